"""What a layer computed along the edges of a graph in one pass."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from graphcolumns.graph import ColumnGraph


class AttentionRecord(NamedTuple):
    """Softmax attention along edges; shapes as in :func:`~graphcolumns.column_attention`.

    Attributes:
        graph: The edges.
        q: Queries, ``[N, B, H, D]``, or ``[N, 1, H, D]`` if all samples share them.
        k: Keys, ``[M, B, H, D]``.
        v: Values, ``[M, B, H, Dv]``.
        bias: Scores of the edges, ``[E]`` or ``[E, H]``, or None.
        scale: Scaling factor of the dot products (None: ``D ** -0.5``).
        out: Output of attention, ``[N, B, H, Dv]``; the layer goes on with this tensor.
        lse: Logarithm of the normaliser of the softmax, ``[N, B, H]``.
    """

    graph: ColumnGraph
    q: Tensor
    k: Tensor
    v: Tensor
    bias: Tensor | None
    scale: float | None
    out: Tensor
    lse: Tensor


class LinearRecord(NamedTuple):
    """A signed sum along edges; shapes as in :func:`~graphcolumns.edge_linear`.

    Attributes:
        graph: The edges.
        x: State of the sources, ``[M, B, C]``.
        weight: Weights of the edges, ``[E]``, per head ``[E, H]`` or per channel ``[E, C]``.
        out: Weighted sums, ``[N, B, C]``; the layer goes on with this tensor.
    """

    graph: ColumnGraph
    x: Tensor
    weight: Tensor
    out: Tensor


Record = AttentionRecord | LinearRecord
