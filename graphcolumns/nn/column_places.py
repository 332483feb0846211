"""Places of a geometry among which columns move while a model trains."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.checks import check_counts

# (graph, current geometry, weight of every edge) -> for each column, the one whose place it takes.
Swaps = Callable[[ColumnGraph, Geometry, Tensor], Tensor]


class ColumnPlaces(nn.Module):
    r"""Which column is at which place, with swaps every so many steps of the optimizer.

    A swap moves two columns and nothing else: parameters, the optimizer's moments and what a column
    sees belong to the column, so that no output changes, and edges only change their length. The
    model calls :meth:`swap_if_due` in its ``after_step``. Places and the number of steps are
    buffers: a resumed run makes the swaps that an uninterrupted one makes.

    Args:
        geometry: Places; column ``n`` starts at place ``n``.
        swaps: Function of the graph, the geometry as it is now and the weight of every edge
            ``[E]``, that returns for each column the one whose place it takes, ``[N]``; see
            ``graphcolumns.placement.SwapColumns``. None: columns stay.
        every: Steps of the optimizer between swaps.

    Attributes:
        slot: Place of each column, an index into the positions of ``geometry``, ``[N]``.

    Raises:
        ValueError: ``every`` is below 1.
    """

    slot: Tensor
    steps: Tensor

    def __init__(self, geometry: Geometry, swaps: Swaps | None = None, every: int = 200) -> None:
        super().__init__()
        check_counts(every=every)
        self.start, self.swaps, self.every = geometry, swaps, every
        self.register_buffer("slot", torch.arange(geometry.num_columns))
        self.register_buffer("steps", torch.tensor(0))

    def geometry(self) -> Geometry:
        """The geometry as it is now: column ``n`` at the place ``slot[n]``."""
        start = self.start.to(self.slot.device)
        return start.permute(self.slot)

    @torch.no_grad()
    def swap_if_due(self, graph: ColumnGraph, weight: Tensor) -> ColumnGraph:
        """Counts a step; where swaps are due, the columns move.

        Args:
            graph: Edges with their lengths now.
            weight: Weight of every edge, ``[E]``, 0 or above.

        Returns:
            The same edges with their lengths from here on.
        """
        if self.swaps is None:
            return graph
        self.steps += 1
        if int(self.steps) % self.every:
            return graph
        self.slot.copy_(self.slot[self.swaps(graph, self.geometry(), weight).to(self.slot)])
        return graph.remeasure(self.geometry())

    def extra_repr(self) -> str:
        """The sizes."""
        return f"num_columns={self.start.num_columns}, every={self.every}"
