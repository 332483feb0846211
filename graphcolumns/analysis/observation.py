"""What was seen of a model, part by part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.dynamics import Relaxation


class Wiring(NamedTuple):
    """One graph of a model, and what was seen of its ``E`` edges.

    Attributes:
        name: Name of the graph in ``model.graphs``.
        graph: The edges, with the ids of the user.
        attention: Mean weight of each edge over samples and heads at each step, ``[T, E]``, or
            None if no layer attends along these edges.
        weights: Weight of each edge in linear layers, ``[E]``, mean over layers, steps and
            channels, or None if there are no such layers.
    """

    name: str
    graph: ColumnGraph
    attention: Tensor | None = None
    weights: Tensor | None = None


class Observation(NamedTuple):
    """What was seen of a model. Column and edge ids are those of the user, before any reordering.

    What a model does not have is None.

    Attributes:
        geometry: Positions of ``N`` columns, or None.
        wirings: Every graph of the model and what its edges do.
        activity: Mean ``|state|`` over samples and channels after each step, ``[T, N]``, or None.
        chosen: Ids of a few columns spread over the sheet, ``[K]``.
        fields: Receptive fields of the chosen columns, ``[K, Y, X]``, or None: mean over samples
            of ``|d sum(state) / d pixel|``, summed over image channels.
        inputs: Held-out inputs, ``[S, ...]``, or a mapping of such tensors.
        targets: Targets of these samples, ``[S, ...]``.
        prediction: Predictions of the model, ``[S, ...]``.
        classes: Name of each class, where classes have names.
        relaxation: How a model that settles arrives at its fixed point, or None.
    """

    geometry: Geometry | None
    wirings: tuple[Wiring, ...]
    activity: Tensor | None
    chosen: Tensor
    fields: Tensor | None
    inputs: Tensor | Mapping[str, Tensor]
    targets: Tensor
    prediction: Tensor
    classes: tuple[str, ...] | None = None
    relaxation: Relaxation | None = None

    @property
    def wiring(self) -> Wiring:
        """The first graph of the model."""
        return self.wirings[0]

    @property
    def graph(self) -> ColumnGraph:
        """The edges of the first graph."""
        return self.wiring.graph

    @property
    def unit(self) -> str:
        """Unit of lengths."""
        return "unit of the graph" if self.geometry is None else self.geometry.unit

    def places(self, num_columns: int, num_sources: int | None = None) -> Geometry | None:
        """The geometry, if it says where all of these columns (and sources) are."""
        counts = {num_columns, num_columns if num_sources is None else num_sources}
        there = self.geometry is not None and counts == {self.geometry.num_columns}
        return self.geometry if there else None

    def sheet_of(self, graph: ColumnGraph) -> Geometry | None:
        """The geometry, if both ends of the edges of a graph are on it."""
        return self.places(graph.num_columns, graph.num_sources)
