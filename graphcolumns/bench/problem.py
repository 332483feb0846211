"""One attention problem that every peer solves, and the least work that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import isqrt
from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns import connect
from graphcolumns.bench.clock import MachineLimits
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph

HEADS, WIDTH = 4, 16


class Shape(NamedTuple):
    """Sizes of an attention problem."""

    columns: int  # N
    degree: int  # K, in-edges per column
    batch: int  # B
    order: str = "spatial"  # of the columns: along a Hilbert curve, "random", or a "grid" by rows
    heads: int = HEADS
    width: int = WIDTH
    dtype: torch.dtype = torch.float32
    far: float = 0.0  # share of the in-edges that come from anywhere

    def __str__(self) -> str:
        text = f"N={self.columns} K={self.degree} B={self.batch}"
        if (self.heads, self.width) != (HEADS, WIDTH):
            text += f" H={self.heads} D={self.width}"
        if self.order != "spatial":
            text += ", grid" if self.order == "grid" else f", {self.order} order"
        if self.far:
            text += f", {self.far:.0%} far"
        return text if self.dtype == torch.float32 else f"{text}, {str(self.dtype)[6:]}"


@dataclass(frozen=True, eq=False)
class Problem:
    """Inputs that want gradients, and the gradient of the output.

    ``q``, ``k``, ``v``, ``grad``: ``[N, B, H, D]``; ``bias``: ``[E, H]``. Peers that have no bias
    are given none: unequal work, in their favour.
    """

    shape: Shape
    graph: ColumnGraph
    q: Tensor
    k: Tensor
    v: Tensor
    bias: Tensor
    grad: Tensor

    @property
    def flops(self) -> tuple[int, int]:
        """Operations of the forward and of the backward pass (two passes, without atomics)."""
        n, k, b, _, h, d, *_ = self.shape
        return 4 * n * k * b * h * d, 14 * n * k * b * h * d

    @property
    def bytes(self) -> tuple[int, int]:
        """Bytes that must move at least, forward and backward: every input and output once."""
        n, k, b, _, h, d, dtype, _ = self.shape
        size, edges = dtype.itemsize, n * k
        forward = 4 * n * b * h * d * size + edges * (4 + h * size) + 4 * n * b * h
        backward = 8 * n * b * h * d * size + edges * (12 + 2 * h * size) + 8 * n * b * h
        return forward, backward

    def least_seconds(self, limits: MachineLimits) -> float:
        """Forward and backward at the rates of the machine, whichever binds."""
        return max(
            sum(self.bytes) / limits.bytes_per_second, sum(self.flops) / limits.flops_per_second
        )


def geometry_of(shape: Shape) -> Geometry:
    """Points drawn uniformly in the unit square."""
    points = torch.rand(shape.columns, 2, generator=torch.Generator().manual_seed(0))
    geometry = Geometry(points, unit="mm")
    return geometry.reorder()[0] if shape.order == "spatial" else geometry


@lru_cache(maxsize=2)
def graph_of_shape(shape: Shape) -> ColumnGraph:
    """Nearest neighbours of these points, some replaced by far ones; or windows of a grid.

    The last two are kept: a case takes a graph more than once, and a large one takes a while.
    """
    if shape.order == "grid":
        side, window = isqrt(shape.columns), isqrt(shape.degree)
        if (side**2, window**2) != (shape.columns, shape.degree) or window > side:
            raise ValueError(
                f"a grid has a square of columns and windows of a square within it. Got {shape}."
            )
        return windows(side, window)
    if shape.far:
        return with_far_edges(geometry_of(shape), shape.degree, round(shape.far * shape.degree))
    return connect.nearest(geometry_of(shape), shape.degree)


def windows(side: int, window: int) -> ColumnGraph:
    """Edges of a square grid, row by row: to every column from ``window`` x ``window`` around it.

    At a border the window moves inwards, so that all have the same size.

    Source: Hassani et al., Neighborhood Attention Transformer, CVPR 2023.
    """
    start = (torch.arange(side) - window // 2).clamp(0, side - window)
    line = start[:, None] + torch.arange(window)  # [side, window], along one axis
    source = line[:, None, :, None] * side + line[None, :, None, :]  # rows x columns, both windows
    target = torch.arange(side**2).repeat_interleave(window**2)
    return ColumnGraph.from_edge_index(torch.stack([source.flatten(), target]), side**2)


def with_far_edges(geometry: Geometry, degree: int, far: int) -> ColumnGraph:
    """``degree - far`` nearest columns, and ``far`` others drawn uniformly, for every column."""
    n = geometry.num_columns
    generator = torch.Generator().manual_seed(0)
    drawn = connect.random(geometry, degree, self_loops=False).source.view(n, degree).long()
    # In random order; those that are near anyway come last. There are enough of the others.
    order = torch.rand(drawn.shape, generator=generator)
    near = drawn[:, :0]
    if far < degree:
        near = connect.nearest(geometry, degree - far).source.view(n, degree - far).long()
        order += (drawn[:, :, None] == near[:, None, :]).any(-1)
    chosen = drawn.gather(1, order.argsort(1)[:, :far])
    source = torch.cat([near, chosen], 1).flatten()
    target = torch.arange(n).repeat_interleave(degree)
    return ColumnGraph.from_edge_index(torch.stack([source, target]), n)


def draw(shape: Shape, device: str = "cpu") -> Problem:
    """A problem with normal inputs from seed 0."""
    graph = graph_of_shape(shape).to(device)
    generator = torch.Generator().manual_seed(0)
    size = (shape.columns, shape.batch, shape.heads, shape.width)

    def normal(*sizes: int) -> Tensor:
        return torch.randn(sizes, generator=generator).to(device, shape.dtype)

    q, k, v = (normal(*size).requires_grad_() for _ in range(3))
    bias = normal(graph.num_edges, shape.heads).requires_grad_()
    return Problem(shape, graph, q, k, v, bias, normal(*size))
