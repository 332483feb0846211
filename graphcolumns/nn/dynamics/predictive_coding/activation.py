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
    """

    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]
    linear: bool = False


identity = Activation(lambda z: z, torch.ones_like, linear=True)
tanh = Activation(torch.tanh, lambda z: 1 - torch.tanh(z).square())
relu = Activation(torch.relu, lambda z: (z > 0).to(z.dtype))

ACTIVATIONS: Mapping[str, Activation] = {"identity": identity, "tanh": tanh, "relu": relu}
