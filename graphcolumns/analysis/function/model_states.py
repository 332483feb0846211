"""States of all columns after all steps for many samples, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from tqdm import tqdm

from graphcolumns.analysis.function.checks import ids_of_columns, order_of_user
from graphcolumns.analysis.function.column_states import OF_CHANNELS, states_of_batch
from graphcolumns.analysis.watch import device_of_model
from graphcolumns.geometry.checks import check_choice
from graphcolumns.nn.batches import (
    Inputs,
    first_tensor,
    map_tensors,
    num_samples,
    require_samples,
    split_samples,
)
from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.recording import evaluating

ChannelsKept = Literal["all", "mean_abs", "mean", "norm"]


@dataclass(frozen=True, eq=False, repr=False)
class ModelStates:
    """States with the axes step, column, sample and channel. A frozen value that checks itself.

    Args:
        values: States, ``[T, N, S, C]`` floating, in the unit of the model (none).
        steps: Number of each of the ``T`` steps, 1 for the first (default: 1 to ``T``).
        columns: Id of each of the ``N`` columns, ascending or not (default: 0 to ``N - 1``).
        channels: ``"all"``, or how the channels of a column became one, see ``model_states``.

    Raises:
        ValueError: Values of another shape, values that are not finite, or other numbers of steps
            or columns.
    """

    values: Tensor
    steps: tuple[int, ...] = ()
    columns: tuple[int, ...] = ()
    channels: str = "all"

    def __post_init__(self) -> None:
        shape = tuple(self.values.shape)
        if len(shape) != 4 or not self.values.is_floating_point() or 0 in shape:
            raise ValueError(
                "values must be floating states [T, N, S, C], none of them 0. Got "
                f"{self.values.dtype} {list(shape)}."
            )
        object.__setattr__(self, "steps", self.steps or tuple(range(1, shape[0] + 1)))
        object.__setattr__(self, "columns", self.columns or tuple(range(shape[1])))
        if (len(self.steps), len(self.columns)) != shape[:2]:
            raise ValueError(
                f"steps and columns must be those of values, {shape[0]} and {shape[1]}. Got "
                f"{len(self.steps)} and {len(self.columns)}."
            )
        if not bool(self.values.isfinite().all()):
            count = int((~self.values.isfinite()).sum())
            raise ValueError(
                f"states must be finite. Got {count:,} values of {self.values.numel():,} that are "
                "not; train with a smaller learning rate, or leave these samples out."
            )

    def __repr__(self) -> str:
        sizes = zip(self.values.shape, ("steps", "columns", "samples", "channels"), strict=True)
        return f"ModelStates({', '.join(f'{size} {name}' for size, name in sizes)})"

    def at(self, step: int) -> Tensor:
        """The states after one step, ``[N, S, C]``.

        Args:
            step: Number of the step as in ``steps``, or negative from the end.

        Raises:
            ValueError: There is no such step.
        """
        if -len(self.steps) <= step < 0:
            return self.values[step]
        if step not in self.steps:
            raise ValueError(
                f"step must be one of {', '.join(map(str, self.steps))}, or negative from the end. "
                f"Got {step}."
            )
        return self.values[self.steps.index(step)]


@torch.no_grad()
def model_states(
    model: nn.Module,
    inputs: Inputs,
    batch_size: int = 64,
    *,
    channels: ChannelsKept = "all",
    columns: Tensor | None = None,
    permutation: Tensor | None = None,
    progress: bool = False,
) -> ModelStates:
    """The states of the columns after every step, for every sample, without dropout.

    They take ``4 T N S C`` bytes. ``channels`` other than ``"all"`` divides that by ``C``, and
    ``columns`` leaves columns out; beside the result there are only the states of one batch.

    Args:
        model: Model with ``forward(inputs, return_states=True)``, such as a ``Columnformer``; any
            other that returns a ``state`` ``[N, B, C]`` gives that as one step.
        inputs: Samples, ``[S, ...]`` or a mapping of tensors, on the device of the model or not.
        batch_size: Number of samples at a time.
        channels: What is kept of the channels of a column: ``"all"``, or one number, their
            ``"mean"``, the ``"mean_abs"`` of absolute values, or the Euclidean ``"norm"``.
        columns: User's ids of the columns that are kept, ``[K]`` int64 (default: all).
        permutation: User's id of each column of the model, ``[N]`` int64 (default: the model is in
            the user's order, as from ``graphcolumns.load``).
        progress: Whether to show a progress bar.

    Returns:
        States ``[T, K, S, C]`` float32 on the CPU, columns in the user's order.

    Raises:
        ValueError: No sample, states that are not finite, unknown columns, or a permutation that is
            none.
        TypeError: A model that returns no state, or ids that are not int64.
    """
    check_choice("channels", channels, ("all", *OF_CHANNELS))
    check_counts(batch_size=batch_size)
    total, start = require_samples(inputs), 0
    device = device_of_model(model, first_tensor(inputs))
    batches = -(-num_samples(inputs) // batch_size)
    found, places = torch.empty(0), torch.empty(0)
    shown = split_samples(inputs, batch_size)
    with evaluating(model):
        for batch in tqdm(shown, "states", batches, unit="batch", disable=not progress):
            states = states_of_batch(model, map_tensors(lambda tensor: tensor.to(device), batch))
            if not start:
                places = _places(states.shape[1], columns, permutation).to(states.device)
            part = states.index_select(1, places)
            part = part if channels == "all" else OF_CHANNELS[channels](part)[..., None]
            if not start:
                found = torch.empty(*part.shape[:2], total, part.shape[3])
            found[:, :, start : start + part.shape[2]] = part.cpu()
            start += part.shape[2]
    ids = () if columns is None else tuple(columns.tolist())
    return ModelStates(found, columns=ids, channels=channels)


def _places(count: int, columns: Tensor | None, permutation: Tensor | None) -> Tensor:
    """Position in the model of every column that is kept, ``[K]``."""
    order = torch.arange(count)
    if permutation is not None:
        order = order_of_user(permutation, count).argsort()
    return order if columns is None else order[ids_of_columns("columns", columns, count)]
