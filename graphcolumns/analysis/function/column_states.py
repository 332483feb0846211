"""States of the columns of any model in one form, and what becomes of their channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from torch import Tensor, nn

from graphcolumns.analysis.watch import run_with_states
from graphcolumns.nn.batches import Inputs

Channels = Literal["mean_abs", "mean", "norm"]
# One number from the channels of a column, ``[..., C]`` to ``[...]``.
OF_CHANNELS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {
        "mean_abs": lambda state: state.abs().mean(-1),
        "mean": lambda state: state.mean(-1),
        "norm": lambda state: state.norm(dim=-1),
    }
)


def states_of_batch(model: nn.Module, inputs: Inputs) -> Tensor:
    """States after every step, ``[T, N, B, C]`` float32, or the last one as ``T = 1``.

    Args:
        model: Model to run, on the device of the inputs.
        inputs: Inputs of ``B`` samples.

    Raises:
        TypeError: A model that returns no state.
    """
    output = run_with_states(model, inputs)
    states, state = getattr(output, "states", None), getattr(output, "state", None)
    if states is None:
        states = None if state is None else state[None]
    if states is None:
        raise TypeError(
            "a model must return the states of its columns. Expected states [T, N, B, C] with "
            f"return_states=True, or a state [N, B, C]. Got none from {type(model).__name__}."
        )
    found: Tensor = states.float()
    return found
