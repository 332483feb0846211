"""The edges of a layer whose two ends are open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import Tensor

from graphcolumns.graph import induced_subgraph
from graphcolumns.nn.top_down.open_columns import OpenColumns, open_rows
from graphcolumns.nn.top_down.part import PartGradient
from graphcolumns.ops import edge_linear, edge_linear_transposed, edge_products

if TYPE_CHECKING:
    from graphcolumns.nn.top_down.edges import TopDownEdges


class OpenEdges:
    r"""A layer on edges, between open columns: all other edges are left out of its sums.

    .. math::
        z_i = \sum_{j \in \mathcal{N}(i),\, g_j = 1} w_{ij} \odot h_j + b_i
        \quad \text{where } g_i = 1

    A sum of the terms that are not 0, in the same order: equal to the sum of all.

    Args:
        layer: Layer on edges.
        sources: Open columns of the source, or None: all.
        targets: Open columns of the target, or None: all.

    Attributes:
        graph: The edges between open columns, renumbered.
        edge_ids: Which edges of the layer they are, ``[E']`` int64, or None: all.
    """

    def __init__(
        self, layer: TopDownEdges, sources: OpenColumns | None, targets: OpenColumns | None
    ) -> None:
        self.layer, self.targets = layer, targets
        masks = [None if columns is None else columns.mask for columns in (targets, sources)]
        self.graph, self.edge_ids = induced_subgraph(layer.graph, *masks)

    def _of_edges(self, weight: Tensor) -> Tensor:
        return weight if self.edge_ids is None else weight.index_select(0, self.edge_ids)

    def __call__(self, x: Tensor) -> Tensor:
        """Sums over open in-edges."""
        z = edge_linear(x, self._of_edges(self.layer.weight), self.graph)
        bias = self.layer.bias
        return self.layer.shifted(z, None if bias is None else open_rows(bias, self.targets))

    def top_down(self, counter: Tensor, shape: tuple[int, ...], x: Tensor | None = None) -> Tensor:
        """Sums over open out-edges."""
        weight = self._of_edges(self.layer.feedback_weight)
        return edge_linear_transposed(counter, weight, self.graph)

    def counter_hebb(self, x: Tensor, counter: Tensor) -> Iterator[PartGradient]:
        """The products on open edges, and the gradient of open columns' biases."""
        layer = self.layer
        if layer.weight.requires_grad:
            products = edge_products(x, counter, self.graph, heads=layer.heads)
            yield PartGradient(layer.weight, products, self.edge_ids)
        if layer.bias is not None and layer.bias.requires_grad:
            rows = None if self.targets is None else self.targets.ids
            yield PartGradient(layer.bias, layer.unit_sums(counter), rows)
