"""From the states of queries to the responses of vertices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.models.brain_encoder.on_edges import OnEdges
from graphcolumns.models.brain_encoder.query_edges import is_one_to_one
from graphcolumns.nn.checks import check_choice, check_counts
from graphcolumns.nn.recording import LinearRecord
from graphcolumns.ops import edge_linear, segment_sum

Reduce = Literal["sum", "mean"]


class VertexReadout(OnEdges):
    r"""A linear read-out per vertex from the queries that it reads.

    .. math::
        y_v = \sum_{r \in \mathcal{R}(v)} g_{vr}\, (w_v^\top T_r + b_v)

    with :math:`g_{vr} = 1` (``"sum"``: a vertex in two regions adds what both predict, its bias
    too) or :math:`1 / |\mathcal{R}(v)|` (``"mean"``), or learned from there. A vertex that reads no
    query is predicted to be 0. Costs ``E C`` products per sample, not ``R V C``.

    Args:
        graph: Edges from ``R`` queries to ``V`` vertices.
        channels: Channels ``C`` of a query.
        reduce: ``"sum"`` or ``"mean"`` over the queries of a vertex.
        edge_weights: Whether :math:`g` is learned: then edges can be scored, pruned and regrown.

    Attributes:
        recorder: Called with a :class:`~graphcolumns.nn.recording.LinearRecord` of every pass with
            learned weights of edges. Normally None; set only while edges are scored or observed.

    Shapes:
        - input: ``[R, B, C]``
        - output: ``[B, V]``

    Raises:
        ValueError: An unknown way to reduce, or fewer than one channel.
    """

    edge_tensors = ("gain",)
    graph: ColumnGraph

    recorder: Callable[[LinearRecord], None] | None = None

    def __init__(
        self,
        graph: ColumnGraph,
        channels: int,
        reduce: Reduce = "sum",
        edge_weights: bool = False,
    ) -> None:
        super().__init__(graph)
        check_choice("reduce", reduce, get_args(Reduce))
        check_counts(channels=channels)
        self.reduce = reduce
        self.weight = nn.Parameter(torch.empty(graph.num_columns, channels))
        self.bias = nn.Parameter(torch.empty(graph.num_columns))
        self.gain = nn.Parameter(torch.empty(graph.num_edges)) if edge_weights else None
        self.rewired(graph)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws new weights, uniform within ``C ** -0.5``."""
        bound = self.weight.shape[1] ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)
        if self.gain is not None:
            self.gain.copy_(self._fixed_gain().to(self.gain))

    def rewired(self, graph: ColumnGraph) -> None:
        """Takes other edges."""
        super().rewired(graph)
        self.one_to_one = self.gain is None and is_one_to_one(graph)
        # The number of vertices of each query: splitting by it costs no look at the device.
        self._counts = [] if self.one_to_one else graph.out_degree.tolist()

    def forward(self, states: Tensor, rows: slice | None = None) -> Tensor:
        """The responses of all vertices, or of those in ``rows``.

        Args:
            states: States of the queries, ``[R, B, C]``, or of those in ``rows``.
            rows: Vertices, one after the other, where each reads a query of its own.

        Raises:
            ValueError: Some rows of a read-out that shares queries.
        """
        if self.one_to_one:
            rows = rows or slice(None)
            weight, bias = self.weight[rows], self.bias[rows]
            return (torch.einsum("vbc,vc->vb", states, weight) + bias[:, None]).t()
        if rows is not None:
            raise ValueError(
                "queries are read in parts only where every vertex has its own. Got "
                f"{self.graph}; leave chunk=None, or read by one_per_vertex."
            )
        if self.gain is not None:
            return self._by_learned_gain(states, self.gain)
        return self._by_query(states)

    def _by_query(self, states: Tensor) -> Tensor:
        """A product for the vertices of each query: no copy of a query per vertex."""
        _, target, permutation = self.graph.by_source
        readers = target.long()
        parts = [
            self.weight[vertices] @ state.t() + self.bias[vertices, None]
            for vertices, state in zip(readers.split(self._counts), states, strict=True)
        ]
        values = torch.cat(parts) * self._fixed_gain().to(states)[permutation, None]
        out = values.new_zeros(self.graph.num_columns, states.shape[1])
        return out.index_add(0, readers, values).t()

    def _by_learned_gain(self, states: Tensor, gain: Tensor) -> Tensor:
        pooled = edge_linear(states, gain, self.graph)
        if self.recorder is not None:
            self.recorder(LinearRecord(self.graph, states, gain, pooled))
        total = segment_sum(gain[:, None], self.graph.target, self.graph.num_columns)
        return (torch.einsum("vbc,vc->vb", pooled, self.weight) + self.bias[:, None] * total).t()

    def _fixed_gain(self) -> Tensor:
        """Weight of every edge before any is learned, ``[E]``."""
        degree = self.graph.in_degree[self.graph.target.long()].double()
        return torch.ones_like(degree) if self.reduce == "sum" else 1 / degree

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.graph}, reduce={self.reduce!r}"
