"""Learned additive scores on the edges of one topology."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.per_edge import all_parts_on
from graphcolumns.nn.topology_state import own_edges
from graphcolumns.ops.column_attention.checks import check_graph


class EdgeBias(nn.Module):
    r"""A learned score per edge, :math:`b_{ij} + b^h_{ij}`.

    The bias matrix of a dense columnformer, kept on the edges only. Gaussian-local
    initialisation (``sigma``) sets :math:`b_{ij} = \max(-d_{ij}^2 / 2\sigma^2, \mathrm{floor})`.

    The scores follow the edge order of the graph. When edges are dropped and grown,
    ``graphcolumns.plasticity.carry`` brings the scores along. The state dict says to which edges
    the scores belong (``edges_of``); they are not loaded for others, see :func:`keep_topology`.

    Args:
        graph: The topology; its distances are needed for a Gaussian-local start.
        heads: ``H``.
        common: Whether to learn one score per edge for all heads, ``[E]``.
        per_head: Whether to learn (also) one score per edge and head, ``[E, H]``.
        sigma: Length of the Gaussian, in the unit of the graph (default: start at ``std``).
        floor: Lowest initial score; e^-8 of a near edge's attention is left to any far one.
        std: Standard deviation of the initial scores without a Gaussian (default: zeros).

    Shapes:
        - output: ``[E]``, or ``[E, H]`` with ``per_head``

    Raises:
        ValueError: Neither kind of score, ``sigma`` not positive, or a graph without distances
            when ``sigma`` is given.
        TypeError: ``graph`` is not a ColumnGraph.
    """

    no_weight_decay = ("common", "per_head")
    edge_tensors = ("common", "per_head")
    # Whether the scores are the weights of a signed sum, see ``ColumnAttention``.
    signed = False

    _start: Tensor | None

    def __init__(
        self,
        graph: ColumnGraph,
        heads: int = 1,
        common: bool = True,
        per_head: bool = False,
        sigma: float | None = None,
        floor: float = -8.0,
        std: float = 0.0,
    ) -> None:
        super().__init__()
        check_graph(graph)
        check_counts(heads=heads)
        if not (common or per_head):
            raise ValueError("an edge bias needs common=True or per_head=True, got neither")
        if sigma is not None and not sigma > 0:
            raise ValueError(f"a Gaussian-local bias needs sigma > 0, got sigma={sigma}")
        if sigma is not None and graph.distance is None:
            raise ValueError(
                "a Gaussian-local bias needs a graph with distances, got distance=None: "
                "call graph.remeasure(geometry)"
            )
        self.heads, self.sigma, self.floor, self.std = heads, sigma, floor, std
        # No buffer: Module.to_empty would leave it without values, and start from those.
        self._start = self._gaussian(graph.distance)
        edges = graph.num_edges
        self.common = nn.Parameter(torch.empty(edges)) if common else None
        self.per_head = nn.Parameter(torch.empty(edges, heads)) if per_head else None
        self.reset_parameters()
        own_edges(self, graph)

    def _gaussian(self, distance: Tensor | None) -> Tensor | None:
        if distance is None or self.sigma is None:
            return None
        return (-0.5 * (distance.detach() / self.sigma) ** 2).clamp(min=self.floor)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """The Gaussian start, or small random scores."""
        scores = [x for x in (self.common, self.per_head) if x is not None]
        for score in scores:
            if self.std:
                nn.init.trunc_normal_(score, std=self.std)
            else:
                score.zero_()
        if self._start is not None:  # once, in the first kind of score that exists
            start = self._start.to(scores[0].device)
            scores[0].add_(start if self.common is not None else start[:, None])

    def rewired(self, graph: ColumnGraph) -> None:
        """Takes the lengths of a new topology, where ``reset_parameters`` starts from."""
        self._start = self._gaussian(graph.distance)
        own_edges(self, graph)

    def forward(self) -> Tensor:
        """The scores, ``[E]`` or ``[E, H]``."""
        if self.per_head is None:
            assert self.common is not None
            return self.common
        return self.per_head if self.common is None else self.per_head + self.common[:, None]

    def extra_repr(self) -> str:
        """The sizes and the start."""
        edges = len(self.forward())
        return f"edges={edges}, heads={self.heads}, sigma={self.sigma}, std={self.std}"


def edge_biases(model: nn.Module, graph: ColumnGraph) -> list[EdgeBias]:
    """All edge biases of a model that belong to the edges of one of its graphs."""
    return [part for _, part in all_parts_on(model, graph) if isinstance(part, EdgeBias)]
