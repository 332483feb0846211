"""The edges of a graph as plain tensors, by source and by target."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class BySource(NamedTuple):
    """The edges sorted by (source, target): the order of a backward pass over sources.

    ``permutation[p]`` is the edge id at position ``p``. So ``x[permutation]`` brings a per-edge
    tensor into this order, which is also the edge order of ``ColumnGraph.reverse()``.
    """

    colptr: Tensor  # [M + 1] int64
    target: Tensor  # [E] int32
    permutation: Tensor  # [E] int64


class Views(NamedTuple):
    """Edges by target (CSR) and by source (CSC), see :class:`~graphcolumns.ColumnGraph`."""

    rowptr: Tensor  # [N + 1] int64
    source: Tensor  # [E] int32
    target: Tensor  # [E] int32
    colptr: Tensor  # [M + 1] int64
    csc_target: Tensor  # [E] int32, in CSC order like the next
    csc_edge: Tensor  # [E] int64
