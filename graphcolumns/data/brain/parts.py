"""A data set of recorded responses: its samples, and the two halves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from graphcolumns.data.brain.inputs import InputSource, Sample
from graphcolumns.data.brain.splits import ThreeWay
from graphcolumns.data.dataset import HeldOut
from graphcolumns.data.regression import Regression
from graphcolumns.data.streamed import StreamedDataset


def held_out_part(parts: ThreeWay, held_out: HeldOut) -> Tensor:
    """The rows that are scored.

    Raises:
        ValueError: There are none.
    """
    rows = parts.test if held_out == "test" else parts.validation
    if not len(rows):
        raise ValueError(f"the {held_out} part must have a row. Got none; raise its share.")
    return rows


class ResponseRows(Protocol):
    """Responses ``[n, V]`` by row, in memory or not."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, V)``."""

    def __getitem__(self, row: Any, /) -> np.ndarray:
        """Responses of a row, ``[V]``."""


@dataclass(frozen=True)
class RecordedSamples:
    """Samples of some rows, map-style: the input of a row and the responses of all vertices.

    Args:
        inputs: Inputs of all rows.
        responses: Responses of all rows, ``[n, V]`` in several parts along ``V``: hemispheres.
        rows: Row of each sample, int64.
    """

    inputs: InputSource
    responses: Sequence[ResponseRows]
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Sample, np.ndarray]:
        row = int(self.rows[index])
        values = np.concatenate([part[row] for part in self.responses])
        return self.inputs[row], values.astype(np.float32)


def recorded(
    inputs: InputSource,
    responses: Sequence[ResponseRows],
    parts: ThreeWay,
    task: Regression,
    held_out: HeldOut,
    num_workers: int = 0,
    units: Mapping[str, str] | None = None,
) -> StreamedDataset:
    """The data set of recorded responses: the training part, and one of the other two.

    Args:
        inputs: Inputs of all rows.
        responses: Responses of all rows, ``[n, V]`` in several parts along ``V``.
        parts: Rows of the three parts.
        task: Task, with regions, mask and noise ceilings of the vertices.
        held_out: Part that is scored, ``"test"`` or ``"validation"``.
        num_workers: Number of processes that read ahead.
        units: Units of tensors by name, as of ``StreamedDataset``.
    """
    train = RecordedSamples(inputs, responses, parts.train)
    scored = RecordedSamples(inputs, responses, held_out_part(parts, held_out))
    width = sum(part.shape[1] for part in responses)
    return StreamedDataset(
        train, scored, width, task, held_out, units=units, num_workers=num_workers
    )
