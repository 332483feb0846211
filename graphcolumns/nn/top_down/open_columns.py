"""The columns of one population that a task leaves open."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class OpenColumns(NamedTuple):
    """Columns that take part in a pass; all others are 0 in it.

    Attributes:
        mask: Whether each column is open, ``[N]`` bool.
        ids: The open columns, ``[N']`` int64, ascending.
    """

    mask: Tensor
    ids: Tensor

    @classmethod
    def of_gates(cls, gate: Tensor) -> OpenColumns:
        """Columns with an open channel in one sample or more of ``gate`` ``[N, B, C]``."""
        mask = gate.flatten(1).any(1)
        return cls(mask, mask.nonzero()[:, 0])

    def select(self, values: Tensor) -> Tensor:
        """The rows of open columns, ``[N, ...]`` to ``[N', ...]``."""
        return values.index_select(0, self.ids)

    def scatter(self, values: Tensor) -> Tensor:
        """Rows of open columns among rows of zeros, ``[N', ...]`` to ``[N, ...]``."""
        whole = values.new_zeros(len(self.mask), *values.shape[1:])
        return whole.index_copy_(0, self.ids, values)


def open_rows(values: Tensor, columns: OpenColumns | None) -> Tensor:
    """Rows of the open columns, or all."""
    return values if columns is None else columns.select(values)


def all_rows(values: Tensor, columns: OpenColumns | None) -> Tensor:
    """Rows of the open columns in their place, zeros elsewhere."""
    return values if columns is None else columns.scatter(values)


def shared_places(
    sources: OpenColumns | None, targets: OpenColumns | None
) -> tuple[Tensor, Tensor]:
    """Places of the columns open in both, among the open sources and among the open targets."""
    known = sources or targets
    assert known is not None
    every = torch.ones_like(known.mask)
    masks = [every if columns is None else columns.mask for columns in (sources, targets)]
    both = masks[0] & masks[1]
    below, above = (both[mask].nonzero()[:, 0] for mask in masks)
    return below, above
