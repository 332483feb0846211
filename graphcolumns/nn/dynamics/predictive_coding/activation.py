"""Activations with their derivatives, which errors pass through on their way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Activation:
    """A function of each value, and its derivative.

    Args:
        function: Function of a tensor of any shape, value by value.
        derivative: Its derivative at the same tensor.
        linear: Whether the function is the identity.

    Functions of a module can be pickled, and circuits with them; lambdas cannot.
    """

    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]
    linear: bool = False


def _same(z: Tensor) -> Tensor:
    return z


def _tanh_derivative(z: Tensor) -> Tensor:
    return 1 - torch.tanh(z).square()


def _relu_derivative(z: Tensor) -> Tensor:
    return (z > 0).to(z.dtype)


identity = Activation(_same, torch.ones_like, linear=True)
tanh = Activation(torch.tanh, _tanh_derivative)
relu = Activation(torch.relu, _relu_derivative)

ACTIVATIONS: Mapping[str, Activation] = {"identity": identity, "tanh": tanh, "relu": relu}
