"""The tokens among the inputs of an encoder, and their type."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.nn.batches import Inputs


def named_input(inputs: Inputs, name: str) -> Tensor:
    """The input itself, or the one of this name.

    Args:
        inputs: Tensor, or tensors by name.
        name: Name of the input.

    Raises:
        KeyError: There is no input of this name.
    """
    if isinstance(inputs, Tensor):
        return inputs
    if name not in inputs:
        raise KeyError(
            f"inputs must have {name!r}. Got {', '.join(map(repr, inputs))}; name the input with "
            "features=..."
        )
    return inputs[name]


def check_type(tokens: Tensor, weight: Tensor) -> None:
    """Raise unless tokens have the floating type of the weights; under autocast, any floating one.

    Args:
        tokens: Tokens ``[B, M, F]``.
        weight: Weight that they are multiplied by, sooner or later.
    """
    if tokens.dtype == weight.dtype:
        return
    if not (tokens.is_floating_point() and torch.is_autocast_enabled(tokens.device.type)):
        raise TypeError(
            f"tokens must have the type of the weights, {weight.dtype}. Got {tokens.dtype}; call "
            f".to({weight.dtype})."
        )
