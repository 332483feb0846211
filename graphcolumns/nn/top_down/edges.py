"""A layer on the edges of a graph of columns, with a pass in each direction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.moved import moved
from graphcolumns.nn.recording.records import LinearRecord
from graphcolumns.nn.top_down.weighted import Feedback, WeightedTopDownLayer
from graphcolumns.nn.topology_state import keep_topology
from graphcolumns.ops import edge_linear, edge_products
from graphcolumns.ops.column_attention.checks import check_graph


class TopDownEdges(WeightedTopDownLayer):
    r"""One weight per edge, used in both directions: an edge and its reverse.

    .. math::
        z_i = \sum_{j \in \mathcal{N}(i)} w_{ij} h_j + b_i, \qquad
        \bar z_j = \sum_{i : j \in \mathcal{N}(i)} \hat w_{ij} \bar h_i, \qquad
        \Delta w_{ij} = \sum_{b, c} \bar h_i h_j

    The top-down pass runs along the reversed graph. Weights learn on edges only; the same product
    on a pair that is no edge is the gradient by which edges are regrown. Weights move with their
    edges when the graph is rewired. See :class:`WeightedTopDownLayer`.

    Args:
        graph: Edges from M sources to N columns; complete for a dense layer.
        bias: Whether columns have a bias.
        feedback: Weights of the top-down pass.

    Attributes:
        graph: The edges.
        recorder: Called with a :class:`~graphcolumns.nn.recording.LinearRecord` of every bottom-up
            pass. Normally None; set only while edges are scored or observed.

    Shapes:
        - source: ``[M, B, C]``
        - target: ``[N, B, C]``

    Raises:
        TypeError: ``graph`` is not a :class:`ColumnGraph`.
    """

    edge_tensors = ("weight", "top_down_weight")

    recorder: Callable[[LinearRecord], None] | None = None

    def __init__(self, graph: ColumnGraph, bias: bool = True, feedback: Feedback = "tied") -> None:
        super().__init__(feedback)
        check_graph(graph)
        self.weight = nn.Parameter(torch.empty(graph.num_edges))
        self.bias = nn.Parameter(torch.empty(graph.num_columns)) if bias else None
        self.rewired(graph)
        self.add_feedback()
        keep_topology(self)

    def rewired(self, graph: ColumnGraph) -> None:
        """Takes other edges; their weights have been carried."""
        self.graph = graph
        # Kept apart from the graphs of the model: it follows from the graph.
        self._reverse = (graph.reverse(),)

    def linear(self, x: Tensor, weight: Tensor) -> Tensor:
        """Sums over in-edges."""
        out = edge_linear(x, weight, self.graph)
        if self.recorder is not None:
            self.recorder(LinearRecord(self.graph, x, weight, out))
        return out

    def adjoint(self, counter: Tensor, weight: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Sums over out-edges."""
        return edge_linear(counter, weight[self.graph.by_source.permutation], self._reverse[0])

    def products(self, x: Tensor, counter: Tensor) -> Tensor:
        """``[E]``."""
        return edge_products(x, counter, self.graph)

    def per_unit(self, values: Tensor) -> Tensor:
        """``[N]`` to ``[N, 1, 1]``."""
        return values[:, None, None]

    @torch.no_grad()
    def draw(self, weight: nn.Parameter) -> None:
        """Normal with variance 2 / (in-degree of the target), for ReLU."""
        degree = self.graph.in_degree.index_select(0, self.graph.target).to(weight)
        weight.normal_().mul_((2 / degree).sqrt())

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.graph}, feedback={self.feedback!r}"

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Moves the graph along with the module."""
        super()._apply(fn, recurse)
        self.graph, self._reverse = moved(self.graph, fn), (moved(self._reverse[0], fn),)
        return self
