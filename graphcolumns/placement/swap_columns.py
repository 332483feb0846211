"""Swaps within areas while a model trains."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.placement.swap import swap_change, with_swapped_columns


@dataclass(frozen=True)
class SwapColumns:
    r"""Columns with much weight exchange places within their area, where that saves wire.

    Area by area, the ``top`` columns with the largest :math:`\sum_{e \ni n} |w_e|` are taken one
    after the other. Each exchanges its place with that column of its area with which
    :math:`\sum_e |w_e| d_e` falls most, if it falls. Without areas all columns are one area.
    Anchors of the geometry stay.

    Args:
        top: Columns of every area that are moved, 1 or more.
        power: Exponent of the distance, above 0.

    Raises:
        ValueError: ``top`` is below 1.

    Source: Liu, Gan & Tegmark, Seeing is believing: Brain-inspired modular training for mechanistic
    interpretability, Entropy 26 (2024), https://doi.org/10.3390/e26010041, where neurons of a layer
    are swapped along with their weights.
    """

    top: int = 5
    power: float = 1.0

    def __post_init__(self) -> None:
        if self.top < 1:
            raise ValueError(f"top must be at least 1. Got {self.top}.")

    def __call__(self, graph: ColumnGraph, geometry: Geometry, weight: Tensor) -> Tensor:
        """For each column the one whose place it takes, ``[N]`` int64 on the CPU.

        Args:
            graph: Edges among the columns.
            geometry: Their positions now, with anchors and areas.
            weight: Weight of every edge, ``[E]``.

        Raises:
            ValueError: See ``swap_change``.
        """
        graph, now = graph.to("cpu"), geometry.to("cpu")
        weight = weight.detach().cpu().abs()
        slot = torch.arange(graph.num_columns)
        for members in _areas(now):
            for column in self._heaviest(graph, weight, members):
                here = torch.full_like(members, int(column))
                change = swap_change(graph, now, here, members, weight=weight, power=self.power)
                if float(change.min()) < 0:
                    pair = column[None], members[change.argmin()][None]
                    now = with_swapped_columns(now, *pair)
                    slot[torch.cat(pair)] = slot[torch.cat(pair[::-1])]
        return slot

    def _heaviest(self, graph: ColumnGraph, weight: Tensor, members: Tensor) -> Tensor:
        """The columns of an area whose edges weigh most."""
        total = torch.zeros(graph.num_columns, dtype=weight.dtype)
        total = total.index_add(0, graph.target.long(), weight)
        total = total.index_add(0, graph.source.long(), weight)
        return members[total[members].argsort(descending=True, stable=True)[: self.top]]


def _areas(geometry: Geometry) -> list[Tensor]:
    """Ids of the columns of every area that may move."""
    count = geometry.num_columns
    areas = torch.zeros(count, dtype=torch.long) if geometry.areas is None else geometry.areas
    free = torch.ones(count, dtype=torch.bool)
    if geometry.anchors is not None:
        free[geometry.anchors] = False
    found = [((areas == area) & free).nonzero()[:, 0] for area in areas.unique()]
    return [members for members in found if len(members)]
