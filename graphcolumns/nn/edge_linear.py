"""Signed weights on edges, as a layer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.long_range import clamp_marked, is_long
from graphcolumns.nn.recording.records import LinearRecord
from graphcolumns.nn.topology_state import own_edges
from graphcolumns.ops import edge_linear
from graphcolumns.ops.column_attention.checks import check_graph


class EdgeLinear(nn.Module):
    r"""A linear layer on edges, with one weight per edge, or per edge and head.

    .. math::
        y_i = \sum_{j \in \mathcal{N}(i)} w_{ij} \odot x_j

    The connectome-constrained layer of a circuit: see :func:`~graphcolumns.edge_linear`. Its
    weights move with their edges when the graph is rewired, and its edges can be scored. Weights
    start normally distributed with variance 1 / (in-degree of the target).

    Args:
        graph: Edges that have weights.
        heads: Weights per edge; each holds for ``C / heads`` neighbouring channels.
        excitatory_beyond: Length beyond which weights are 0 or above, in the unit of the graph.
            They start at their absolute value and are projected after every optimizer step and
            every rewiring (default: weights of any sign everywhere).

    Attributes:
        recorder: Called with a :class:`~graphcolumns.nn.recording.LinearRecord` of every pass.
            Normally None; set only while edges are scored or observed.

    Shapes:
        - input: ``[M, B, C]``
        - output: ``[N, B, C]``

    Raises:
        ValueError: Fewer than one head; a negative length, or one without measured edges; when
            called, a graph with other edges than the weights.
        TypeError: ``graph`` is not a :class:`ColumnGraph`.

    Example:
        >>> import torch
        >>> from graphcolumns import ColumnGraph
        >>> from graphcolumns.nn import EdgeLinear
        >>> graph = ColumnGraph.from_edge_index(torch.tensor([[0, 1], [1, 1]]), 2)
        >>> EdgeLinear(graph)(torch.ones(2, 1, 3), graph).shape
        torch.Size([2, 1, 3])
    """

    edge_tensors = ("weight",)

    recorder: Callable[[LinearRecord], None] | None = None

    def __init__(
        self, graph: ColumnGraph, heads: int = 1, excitatory_beyond: float | None = None
    ) -> None:
        super().__init__()
        check_graph(graph)
        check_counts(heads=heads)
        self.heads, self.excitatory_beyond = heads, excitatory_beyond
        shape = (graph.num_edges,) if heads == 1 else (graph.num_edges, heads)
        self.weight = nn.Parameter(torch.zeros(shape, device=graph.device))
        self.rewired(graph)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws new weights."""
        spread = self._spread.to(self.weight)
        self.weight.normal_().mul_(spread if self.heads == 1 else spread[:, None])
        if self._long is not None:
            far = self._long.to(self.weight.device)
            self.weight[far] = self.weight[far].abs()

    def rewired(self, graph: ColumnGraph) -> None:
        """Takes the in-degrees of a new topology, from which ``reset_parameters`` starts."""
        # Every edge has a target with at least one in-edge: its own.
        self._spread = graph.in_degree.index_select(0, graph.target).double() ** -0.5
        far = self.excitatory_beyond
        self._long = None if far is None else is_long(graph, far)
        own_edges(self, graph)
        self.after_step()

    def after_step(self) -> None:
        """Sets negative weights of long edges to 0, if these are to excite."""
        if self._long is not None:
            clamp_marked(self.weight, self._long)

    def forward(self, x: Tensor, graph: ColumnGraph) -> Tensor:
        """Sums the in-edges of every column."""
        graph.require_fingerprint(getattr(self, "edges_of", ""), self)
        out = edge_linear(x, self.weight, graph)
        if self.recorder is not None:
            self.recorder(LinearRecord(graph, x, self.weight, out))
        return out

    def extra_repr(self) -> str:
        """The sizes."""
        far = self.excitatory_beyond
        beyond = "" if far is None else f", excitatory_beyond={far}"
        return f"edges={len(self.weight)}, heads={self.heads}{beyond}"
