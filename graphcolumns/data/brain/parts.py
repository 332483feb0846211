"""A data set of recorded responses: the samples, and parts to train on, to choose by, to test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from graphcolumns.data.brain.array_file import ArrayFile
from graphcolumns.data.brain.inputs import InputSource, Sample
from graphcolumns.data.dataset import HeldOut
from graphcolumns.data.regression import Regression
from graphcolumns.data.streamed import StreamedDataset
from graphcolumns.random.streams import generator


class ThreeParts(NamedTuple):
    """Rows of three parts that have none in common.

    Attributes:
        train: Rows to train on, int64, ascending.
        validation: Rows to choose models and options by, int64, ascending.
        test: Rows for the last score, int64, ascending.
    """

    train: Tensor
    validation: Tensor
    test: Tensor


def three_parts(
    count: int, validation: float = 0.1, test: float = 0.1, seed: int = 0
) -> ThreeParts:
    """Rows at random in three parts, a function of the seed.

    The test part depends on ``count``, ``test`` and ``seed`` alone: another share for validation
    moves rows between the other two parts.

    Args:
        count: Number of rows.
        validation: Share for validation, in ``[0, 1)``.
        test: Share for the test, in ``[0, 1)``.
        seed: Seed of the order.

    Raises:
        ValueError: A share out of range, or no row to train on.
    """
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise ValueError(
            "validation and test must be shares in [0, 1) that leave rows to train on. Got "
            f"{validation} and {test}."
        )
    order = torch.randperm(count, generator=generator(seed, "parts of responses"))
    sizes = [round(share * count) or int(share > 0) for share in (test, validation)]
    if sum(sizes) >= count:
        raise ValueError(f"three parts need a row each. Got {count} rows, and {sizes} held out.")
    tested, chosen, rest = order.split([*sizes, count - sum(sizes)])
    return ThreeParts(rest.sort().values, chosen.sort().values, tested.sort().values)


def held_out_part(parts: ThreeParts, held_out: HeldOut) -> Tensor:
    """The rows that are scored.

    Raises:
        ValueError: There are none.
    """
    rows = parts.test if held_out == "test" else parts.validation
    if not len(rows):
        raise ValueError(f"the {held_out} part must have a row. Got none; raise its share.")
    return rows


@dataclass(frozen=True)
class RecordedSamples:
    """Samples of some rows, map-style: the input of a row and the responses of all vertices.

    Args:
        inputs: Inputs of all rows.
        responses: Responses of all rows, ``[n, V]`` in several parts along ``V``: hemispheres.
        rows: Row of each sample, int64.
    """

    inputs: InputSource
    responses: Sequence[ArrayFile | np.ndarray]
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Sample, np.ndarray]:
        row = int(self.rows[index])
        values = np.concatenate([part[row] for part in self.responses])
        return self.inputs[row], values.astype(np.float32)


def recorded(
    inputs: InputSource,
    responses: Sequence[ArrayFile | np.ndarray],
    parts: ThreeParts,
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
