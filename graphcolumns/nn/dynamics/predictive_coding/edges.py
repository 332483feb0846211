"""A connection along the edges of a graph of columns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.dynamics.predictive_coding.connection import Connection, check_shapes
from graphcolumns.ops import edge_linear


@dataclass(frozen=True, eq=False, kw_only=True)
class Edges(Connection):
    r"""Columns predict columns along edges: see :class:`Connection` for the formula.

    .. math::
        (W x)_i = \sum_{j \in \mathcal{N}(i)} w_{ij} \, x_j

    Errors return along the same edges, the other way, with the same weights. A complete graph is
    computed as a product of matrices. A connection from a layer to itself, along a graph with
    cycles or without, is allowed.

    Args:
        graph: Edges from M sources to N columns.
        weight: One weight per edge, ``[E]``.
        bias: One number per column of the target, ``[N]``, or None.
        reverse: The graph turned round, where it is known (default: ``graph.reverse()``).

    Shapes:
        - source: ``[M, B, C]``
        - target: ``[N, B, C]``
    """

    graph: ColumnGraph
    weight: Tensor
    bias: Tensor | None = None
    reverse: ColumnGraph | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reverse is None:
            object.__setattr__(self, "reverse", self.graph.reverse())

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Weights and bias."""
        return (self.weight,) if self.bias is None else (self.weight, self.bias)

    @property
    def complete(self) -> bool:
        """Whether every column receives from every source."""
        return self.graph.num_edges == self.graph.num_columns * self.graph.num_sources

    def check(self, source: tuple[int, ...], target: tuple[int, ...]) -> None:
        """Raises ValueError for layers that are no columns of the graph."""
        for what, shape in (("source", source), ("target", target)):
            if len(shape) != 2:
                raise ValueError(
                    f"the {what} of Edges({self.source!r}, {self.target!r}) must have the shape "
                    f"(N, C) of columns. Got {shape}."
                )
        check_shapes(self, "source", (self.graph.num_sources, target[1]), source)
        check_shapes(self, "target", (self.graph.num_columns, source[1]), target)
        if tuple(self.weight.shape) != (self.graph.num_edges,):
            raise ValueError(
                f"weight must have one number per edge. Expected ({self.graph.num_edges},). Got "
                f"{tuple(self.weight.shape)}."
            )

    def linear(self, x: Tensor, tensors: tuple[Tensor, ...]) -> Tensor:
        """Signed sums over in-edges, plus bias."""
        out = self._sums(x, tensors[0])
        return out + tensors[1][:, None, None] if len(tensors) > 1 else out

    def _sums(self, x: Tensor, weight: Tensor) -> Tensor:
        if not self.complete:
            return edge_linear(x, weight, self.graph)
        # Edges are sorted by target, then source: the weights of a complete graph are a matrix.
        matrix = weight.reshape(self.graph.num_columns, self.graph.num_sources)
        return (matrix @ x.flatten(1)).reshape(self.graph.num_columns, *x.shape[1:])

    def adjoint(self, delta: Tensor, tensors: tuple[Tensor, ...], shape: tuple[int, ...]) -> Tensor:
        """Signed sums over out-edges."""
        weight = tensors[0]
        if not self.complete:
            assert self.reverse is not None
            return edge_linear(delta, weight[self.graph.by_source.permutation], self.reverse)
        matrix = weight.reshape(self.graph.num_columns, self.graph.num_sources)
        return (matrix.T @ delta.flatten(1)).reshape(shape)
