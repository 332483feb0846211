"""Positions of columns as parameters."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.checks import check_choice
from graphcolumns.nn.separation import METRICS, displacement


class LearnedPositions(nn.Module):
    r"""Owns the positions of a geometry as parameters; anchored columns stay where they are.

    The topology of a graph does not depend on it: call :meth:`forward` with the graph to get the
    same edges with lengths that are differentiable in the positions. On a sphere positions are
    kept at the radius, on a torus within the period. With ``geometry.spacing`` columns are also
    kept that far apart (to within 1 %), from the start and after every step of the optimizer, so
    that a wiring cost cannot pull all of them into one point. Source: the learned geometry that
    the Columnformer of Lane (2023) proposes.

    Args:
        geometry: Initial positions of the columns; its ``anchors`` are not trained.

    Raises:
        ValueError: A metric in which columns cannot move, or a spacing that cannot be kept.

    Shapes:
        - output: a :class:`ColumnGraph` with distances ``[E]``
    """

    no_weight_decay = ("offset",)

    origin: Tensor
    free: Tensor

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        check_choice("metric of learned positions", geometry.metric, METRICS)
        self.start = geometry
        self.register_buffer("origin", geometry.positions.detach().clone())
        free = torch.ones(geometry.num_columns, 1)
        if geometry.anchors is not None:
            free[geometry.anchors] = 0.0
        self.register_buffer("free", free)
        self.offset = nn.Parameter(torch.empty_like(self.origin))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Columns go back to where they started."""
        nn.init.zeros_(self.offset)
        self.separate()

    def positions(self) -> Tensor:
        """The current positions ``[N, 2 or 3]``, differentiable."""
        moved: Tensor = self.origin + self.free * self.offset
        if self.start.metric == "great-circle":
            tiny = torch.finfo(moved.dtype).tiny
            direction = nn.functional.normalize(moved, dim=-1, eps=tiny)
            on_sphere = self.start.radius * direction  # type: ignore[operator]
            moved = torch.where(self.free > 0, on_sphere, self.origin)
        if self.start.metric == "torus":
            period = moved.new_tensor(self.start.period)
            moved = torch.remainder(moved, period)
            # The remainder of -1e-9 rounds to the period itself, which is 0 on a torus.
            moved = torch.where(moved < period, moved, moved - period)
        return moved

    def geometry(self) -> Geometry:
        """The geometry with the current positions, differentiable."""
        positions = self.positions()
        if positions.dtype != torch.float64:
            positions = positions.float()
        return replace(self.start.to(positions.device), positions=positions)

    @torch.no_grad()
    def separate(self) -> None:
        """Moves columns nearer than ``geometry.spacing`` apart, in place; the others stay.

        Deterministic; runs on the CPU, wherever the positions are.

        Raises:
            ValueError: There is no room for so many columns so far apart.
        """
        spacing = self.start.spacing
        if spacing is None:
            return
        geometry = self.geometry()
        moved = displacement(geometry, spacing, self.free[:, 0] > 0)
        if moved is None:
            return
        moved = moved.to(self.offset.device)
        changed = (moved != 0).any(dim=1)
        # On a sphere an offset also holds a part along the radius, which is taken off here.
        on_sphere = geometry.metric == "great-circle"
        before = geometry.positions - self.origin if on_sphere else self.offset
        self.offset[changed] = (before + moved)[changed].to(self.offset.dtype)

    def rescaled(self, coarse: "LearnedPositions", columns: Tensor) -> None:
        """Every column moves from its start as far as the column it comes from did."""
        self.offset.copy_((coarse.free * coarse.offset)[columns])
        self.separate()

    def after_step(self) -> None:
        """What the training loop calls after every step of the optimizer: :meth:`separate`."""
        self.separate()

    def forward(self, graph: ColumnGraph) -> ColumnGraph:
        """The same edges, measured at the current positions."""
        return graph.remeasure(self.geometry())

    def extra_repr(self) -> str:
        """The sizes."""
        return f"num_columns={self.start.num_columns}, metric={self.start.metric!r}"
