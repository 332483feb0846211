"""What a model is called with: a tensor, or a mapping of tensors that hold the same samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

# Samples lie along the first dimension of every tensor.
Inputs: TypeAlias = Tensor | Mapping[str, Tensor]


def map_tensors(function: Callable[[Tensor], Tensor], inputs: Inputs) -> Inputs:
    """The result of a function of one tensor on inputs; a mapping stays one, as a dictionary."""
    if isinstance(inputs, Tensor):
        return function(inputs)
    return {name: function(tensor) for name, tensor in inputs.items()}


def first_tensor(inputs: Inputs) -> Tensor:
    """The tensor, or the first one of a mapping."""
    return inputs if isinstance(inputs, Tensor) else next(iter(inputs.values()))


def num_samples(inputs: Inputs) -> int:
    """The number of samples that inputs hold."""
    return len(first_tensor(inputs))


def require_samples(inputs: Inputs) -> int:
    """The number of samples that inputs hold, at least one.

    Raises:
        ValueError: There are none.
    """
    if not num_samples(inputs):
        raise ValueError(
            "a batch must hold at least one sample. Got none; leave empty batches out."
        )
    return num_samples(inputs)


def device_of(inputs: Inputs) -> torch.device:
    """The device of inputs."""
    return first_tensor(inputs).device


def select_samples(inputs: Inputs, index: Tensor | slice) -> Inputs:
    """Some of the samples.

    Args:
        inputs: Tensor ``[B, ...]``, or a mapping of such tensors.
        index: Samples to take: int64 or bool on the device of the inputs, or a slice.
    """
    return map_tensors(lambda tensor: tensor[index], inputs)


def split_samples(inputs: Inputs, size: int) -> Iterator[Inputs]:
    """All samples in order, ``size`` at a time, like ``Tensor.split``."""
    for start in range(0, num_samples(inputs), size):
        yield select_samples(inputs, slice(start, start + size))


def batch_slices(inputs: Inputs, labels: Tensor, size: int) -> Iterator[tuple[Inputs, Tensor]]:
    """Inputs and labels, ``size`` samples at a time.

    Raises:
        ValueError: Other inputs than labels, or a size below 1.
    """
    if size < 1 or len(labels) != num_samples(inputs):
        raise ValueError(
            "inputs and labels must hold the same samples, taken at least one at a time, "
            f"got {num_samples(inputs)}, {len(labels)} and slice_size={size}"
        )
    for start in range(0, len(labels), size):
        place = slice(start, start + size)
        yield select_samples(inputs, place), labels[place]


def split_evenly(inputs: Inputs, parts: int) -> list[Inputs]:
    """All samples in order in a number of parts, like ``Tensor.tensor_split``."""
    if isinstance(inputs, Tensor):
        return list(inputs.tensor_split(parts))
    pieces = {name: tensor.tensor_split(parts) for name, tensor in inputs.items()}
    return [{name: piece[part] for name, piece in pieces.items()} for part in range(parts)]


def join_samples(batches: Sequence[Inputs]) -> Inputs:
    """The samples of several batches, one batch after the other."""
    first = batches[0]
    if isinstance(first, Tensor):
        return torch.cat([first_tensor(batch) for batch in batches])
    return {
        name: torch.cat([batch[name] for batch in batches if not isinstance(batch, Tensor)])
        for name in first
    }
