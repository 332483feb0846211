"""A layer on the edges of a graph of columns, with a pass in each direction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.moved import moved
from graphcolumns.nn.recording.records import LinearRecord
from graphcolumns.nn.top_down.open_columns import OpenColumns
from graphcolumns.nn.top_down.open_edges import OpenEdges
from graphcolumns.nn.top_down.part import LayerPart
from graphcolumns.nn.top_down.weighted import Feedback, WeightedTopDownLayer
from graphcolumns.nn.topology_state import keep_topology
from graphcolumns.ops import edge_linear, edge_linear_transposed, edge_products
from graphcolumns.ops.column_attention.checks import check_graph


class TopDownEdges(WeightedTopDownLayer):
    r"""One weight per edge, used in both directions: an edge and its reverse.

    .. math::
        z_i = \sum_{j \in \mathcal{N}(i)} w_{ij} \odot h_j + b_i, \qquad
        \bar z_j = \sum_{i : j \in \mathcal{N}(i)} \hat w_{ij} \odot \bar h_i, \qquad
        \Delta w_{ij} = \sum_{b, c} \bar h_i h_j

    The top-down pass reads the same edges by source. Weights learn on edges only; the same product
    on a pair that is no edge is the gradient by which edges are regrown. Weights move with their
    edges when the graph is rewired. With heads, an edge has a weight for each of them, which holds
    for ``C / heads`` neighbouring channels, and sums of products go over these; with as many heads
    as channels, one weight per channel. See :class:`WeightedTopDownLayer`.

    Args:
        graph: Edges from M sources to N columns; complete for a dense layer.
        bias: Whether columns have a bias, one per head.
        feedback: Weights of the top-down pass.
        heads: Number of weights per edge.
        feedback_noise: Noise on copied weights.

    Attributes:
        graph: The edges.
        recorder: Called with a :class:`~graphcolumns.nn.recording.LinearRecord` of every bottom-up
            pass. Normally None; set only while edges are scored or observed.

    Shapes:
        - source: ``[M, B, C]``
        - target: ``[N, B, C]``

    Raises:
        ValueError: Fewer than one head; when called, values of other columns than those of the
            graph, or heads that do not divide the channels.
        TypeError: ``graph`` is not a :class:`ColumnGraph`.
    """

    edge_tensors = ("weight", "top_down_weight", "top_down_magnitude")

    recorder: Callable[[LinearRecord], None] | None = None

    def __init__(
        self,
        graph: ColumnGraph,
        bias: bool = True,
        feedback: Feedback = "tied",
        heads: int = 1,
        feedback_noise: float = 0.0,
    ) -> None:
        super().__init__(feedback, feedback_noise)
        check_graph(graph)
        check_counts(heads=heads)
        self.heads = heads
        own = () if heads == 1 else (heads,)
        self.weight = nn.Parameter(torch.empty(graph.num_edges, *own, device=graph.device))
        shape = (graph.num_columns, *own)
        self.bias = nn.Parameter(torch.empty(shape, device=graph.device)) if bias else None
        self.rewired(graph)
        self.add_feedback()
        keep_topology(self)

    def rewired(self, graph: ColumnGraph) -> None:
        """Takes other edges; their weights have been carried."""
        self.graph = graph
        magnitude = self.top_down_magnitude
        if magnitude is not None and bool((magnitude > 0).any()):
            # Buffers of new edges start at 0, where no error would pass.
            magnitude[magnitude == 0] = magnitude[magnitude > 0].mean()

    def linear(self, x: Tensor, weight: Tensor) -> Tensor:
        """Sums over in-edges."""
        out = edge_linear(x, weight, self.graph)
        if self.recorder is not None:
            self.recorder(LinearRecord(self.graph, x, weight, out))
        return out

    def adjoint(self, counter: Tensor, weight: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Sums over out-edges."""
        return edge_linear_transposed(counter, weight, self.graph)

    def between(self, sources: OpenColumns | None, targets: OpenColumns | None) -> LayerPart:
        """The edges whose two ends are open."""
        # A class derived from this one may compute anything else.
        mine = type(self) is TopDownEdges
        return OpenEdges(self, sources, targets) if mine else super().between(sources, targets)

    def products(self, x: Tensor, counter: Tensor) -> Tensor:
        """``[E]``, or ``[E, heads]``."""
        return edge_products(x, counter, self.graph, heads=self.heads)

    def forward(self, x: Tensor) -> Tensor:
        """The bottom-up pass."""
        return self.shifted(self.linear(x, self.weight), self.bias)

    def shifted(self, z: Tensor, bias: Tensor | None) -> Tensor:
        """Sums with the biases of their columns, ``[N]`` or ``[N, heads]``, added."""
        if bias is None:
            return z
        if self.heads in (1, z.shape[2]):
            return z + self.per_unit(bias)
        return z + self.per_unit(bias.repeat_interleave(z.shape[2] // self.heads, 1))

    def per_unit(self, values: Tensor) -> Tensor:
        """``[N]`` to ``[N, 1, 1]``, ``[N, heads]`` to ``[N, 1, heads]``."""
        return values[:, None, None] if values.dim() == 1 else values[:, None]

    def unit_sums(self, counter: Tensor) -> Tensor:
        """``[N]``, or ``[N, heads]``."""
        sums = counter.sum(1).unflatten(1, (self.heads, -1)).sum(2)
        return sums[:, 0] if self.heads == 1 else sums

    @torch.no_grad()
    def draw(self, weight: nn.Parameter) -> None:
        """Normal with variance 2 / (in-degree of the target), for ReLU."""
        degree = self.graph.in_degree.index_select(0, self.graph.target).to(weight)
        spread = (2 / degree).sqrt()
        weight.normal_().mul_(spread if self.heads == 1 else spread[:, None])

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.graph}, heads={self.heads}, feedback={self.feedback!r}"

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Moves the graph along with the module."""
        super()._apply(fn, recurse)
        self.graph = moved(self.graph, fn)
        return self
