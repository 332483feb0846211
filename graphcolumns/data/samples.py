"""Samples of a map-style data set, and how they become a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from graphcolumns.data.checks import check_inputs
from graphcolumns.data.dataset import Batch
from graphcolumns.data.spec import INPUTS, TARGETS
from graphcolumns.data.task import Task
from graphcolumns.nn.batches import Inputs


class MapStyle(Protocol):
    """A map-style data set, such as a ``torch.utils.data.Dataset`` with a length."""

    def __len__(self) -> int:
        """The number of samples."""

    def __getitem__(self, index: int, /) -> Any:
        """One sample: ``(inputs, targets)``, or a mapping with an entry ``"targets"``."""


def collate(
    samples: Sequence[Any], task: Task | None = None, num_outputs: int | None = None
) -> Batch:
    """The batch of several samples: floating values as float32, whole numbers as int64.

    Args:
        samples: Samples, ``(inputs, targets)`` or mappings with an entry ``"targets"``.
        task: Task that checks the targets (default: nothing is checked).
        num_outputs: Number of values that are predicted per sample.

    Raises:
        ValueError: Samples of different names or shapes, or that the task refuses.
        TypeError: A sample that is no pair, or of a wrong type.
    """
    pairs = [_pair(sample) for sample in samples]
    first = pairs[0][0]
    inputs: Inputs
    if isinstance(first, Mapping):
        inputs = {name: _stacked(name, [x[name] for x, _ in pairs]) for name in first}
    else:
        inputs = _stacked(INPUTS, [x for x, _ in pairs])
    batch = Batch(inputs, _stacked(TARGETS, [y for _, y in pairs]))
    if task is not None:
        assert num_outputs is not None
        check_inputs(INPUTS, batch.inputs)
        task.check(TARGETS, batch.targets, batch.inputs, num_outputs)
    return batch


def check_repeatable(half: str, source: MapStyle) -> None:
    """Raise unless there are samples, and the first one is the same when it is read again."""
    if not hasattr(source, "__getitem__") or not hasattr(source, "__len__"):
        raise TypeError(
            f"{half} must be a map-style data set, with len() and [i]. Got {type(source).__name__}."
        )
    if not len(source):
        raise ValueError(f"{half} must hold at least one sample. Got none.")
    once, again = collate([source[0]]), collate([source[0]])
    named = [{TARGETS: b.targets} | _named(b.inputs) for b in (once, again)]
    differing = [k for k, v in named[0].items() if not v.equal(named[1][k]) and not v.isnan().any()]
    if differing:
        raise ValueError(
            f"a sample must be a function of its number. Sample 0 of {half} was read twice and "
            f"{differing[0]!r} differed; make random changes with train(..., augmentation=...)."
        )


def _named(inputs: Inputs) -> dict[str, Tensor]:
    return {INPUTS: inputs} if isinstance(inputs, Tensor) else dict(inputs)


def _pair(sample: Any) -> tuple[Any, Any]:
    if isinstance(sample, Mapping) and TARGETS in sample:
        return {k: v for k, v in sample.items() if k != TARGETS}, sample[TARGETS]
    if isinstance(sample, tuple | list) and len(sample) == 2:
        return sample[0], sample[1]
    got = f"the entries {list(sample)}" if isinstance(sample, Mapping) else type(sample).__name__
    raise TypeError(
        f"a sample must be (inputs, targets), or a mapping with an entry {TARGETS!r}. Got {got}."
    )


def _stacked(name: str, values: Sequence[Any]) -> Tensor:
    tensors = [_tensor(name, value) for value in values]
    shapes = {tuple(tensor.shape) for tensor in tensors}
    if len(shapes) > 1:
        raise ValueError(
            f"{name} must have the same shape in every sample. "
            f"Got {' and '.join(map(str, sorted(shapes)[:2]))}."
        )
    return torch.stack(tensors)


def _native(value: Any) -> np.ndarray:
    """A copy of its own in the byte order of this machine, which torch needs."""
    # A row of a memory-mapped file is read here, and cannot be written to.
    array = np.array(value)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _tensor(name: str, value: Any) -> Tensor:
    tensor = value if isinstance(value, Tensor) else torch.from_numpy(_native(value))
    if tensor.is_floating_point():
        return tensor.float()
    if tensor.dtype in (torch.int16, torch.int32, torch.int64):
        return tensor.long()
    if tensor.dtype == torch.bool:
        return tensor
    raise TypeError(
        f"{name} must hold floating values, whole numbers of 16 bits or more, or bool. "
        f"Got {tensor.dtype}; scale images to [0, 1] as float."
    )
