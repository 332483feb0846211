"""Positions of columns as parameters."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph


class LearnedPositions(nn.Module):
    r"""Owns the positions of a geometry as parameters; anchored columns stay where they are.

    The topology of a graph does not depend on it: call :meth:`forward` with the graph to get the
    same edges with lengths that are differentiable in the positions. On a sphere positions are
    kept at the radius, on a torus within the period.

    Args:
        geometry: Where the columns start; its ``anchors`` are not trained.

    Shapes:
        - output: a :class:`ColumnGraph` with distances ``[E]``
    """

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.start = geometry
        self.register_buffer("origin", geometry.positions.detach().clone())
        free = torch.ones(geometry.num_columns, 1)
        if geometry.anchors is not None:
            free[geometry.anchors] = 0.0
        self.register_buffer("free", free)
        self.offset = nn.Parameter(torch.zeros_like(self.origin))
        self.offset.no_weight_decay = True  # type: ignore[attr-defined]

    def positions(self) -> Tensor:
        """The current positions ``[N, 2 or 3]``, differentiable."""
        moved: Tensor = self.origin + self.free * self.offset
        if self.start.metric == "great-circle":
            return self.start.radius * nn.functional.normalize(moved, dim=-1)  # type: ignore[operator]
        if self.start.metric == "torus":
            return torch.remainder(moved, moved.new_tensor(self.start.period))
        return moved

    def geometry(self) -> Geometry:
        """The geometry with the current positions."""
        return replace(self.start, positions=self.positions())

    def forward(self, graph: ColumnGraph) -> ColumnGraph:
        """The same edges, measured at the current positions."""
        return graph.remeasure(self.geometry())

    def extra_repr(self) -> str:
        """The sizes."""
        return f"num_columns={self.start.num_columns}, metric={self.start.metric!r}"
