"""Populations of neurons, and the passes between them in both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.recording.evaluating import evaluating
from graphcolumns.nn.top_down.layer import TopDownLayer
from graphcolumns.nn.top_down.passes import Neurons, PlacedProjection, run_bottom_up, run_top_down
from graphcolumns.nn.top_down.population import Population
from graphcolumns.nn.top_down.sub_network_neurons import SubNetworkNeurons


class Projection(NamedTuple):
    """A layer between two populations, bottom-up from the source and top-down from the target.

    Attributes:
        source: Name of the population below.
        target: Name of the population above.
        layer: The layer; one layer may serve several projections, as in an unrolled recurrence.
    """

    source: str
    target: str
    layer: TopDownLayer


class TopDownNetwork(nn.Module):
    r"""Populations of neurons with a bottom-up and a top-down pass along the same projections.

    .. math::
        h_t = g_t \max\Bigl(0, \sum_{s \to t} W_{ts} h_s + b_t\Bigr), \qquad
        \bar h_s = g_s \sum_{s \to t} \hat W_{ts}^\top \bar h_t

    Every bottom-up neuron has a counter neuron in the top-down stream and the other way round. The
    gates :math:`g` are 0 or 1 and come from the other stream: a neuron is open where its counter
    neuron is active (the function GaLU of the source). Populations with several incoming
    projections sum them, so a residual block is an :class:`Identity` beside its layers.

    Args:
        populations: Populations by name.
        projections: Layers between them. They must have an order: a recurrence is unrolled, a
            population per step.

    Attributes:
        populations: Populations by name.
        projections: All projections, in the order that was given.
        order: Names of all populations, each after those below it.
        links: The projections, with places of layers in ``layers``.

    Raises:
        ValueError: A projection from or to no population, a cycle, or a layer whose output has
            another shape than its target, graphs of one name with different edges.
        TypeError: A layer without a top-down pass.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.top_down import Population, Projection, TopDownLinear
        >>> from graphcolumns.nn.top_down import TopDownNetwork
        >>> network = TopDownNetwork(
        ...     {
        ...         "input": Population(4, "identity"),
        ...         "hidden": Population(8),
        ...         "prediction": Population(2, "identity"),
        ...     },
        ...     [
        ...         Projection("input", "hidden", TopDownLinear(4, 8)),
        ...         Projection("hidden", "prediction", TopDownLinear(8, 2)),
        ...     ],
        ... )
        >>> neurons = network.bottom_up({"input": torch.ones(3, 4)})
        >>> counters = network.top_down({"prediction": torch.ones(3, 2)}, neurons)
        >>> counters["hidden"].shape
        torch.Size([3, 8])

    Source: Abel & Ullman, Biologically-Motivated Learning Model for Instructed Visual Processing,
    2023, https://arxiv.org/abs/2306.02415.
    """

    def __init__(
        self, populations: Mapping[str, Population], projections: Sequence[Projection]
    ) -> None:
        super().__init__()
        self.populations = dict(populations)
        for projection in projections:
            _check_projection(projection, self.populations)
        self.layers = nn.ModuleList(dict.fromkeys(p.layer for p in projections))
        index = {layer: place for place, layer in enumerate(self.layers)}
        # Kept with places of layers, so that copies of the network have projections of their own.
        self.links = [PlacedProjection(p.source, p.target, index[p.layer]) for p in projections]
        self.order = _order(self.populations, projections)
        self._into = {name: [p for p in self.links if p[1] == name] for name in self.order}
        self._out_of = {name: [p for p in self.links if p[0] == name] for name in self.order}
        _name_graphs(self)
        self._biased = [n for n, each in self.populations.items() if each.top_down_bias]
        # A list: names of populations need not be names of attributes.
        shapes = [self.populations[name].bias_shape() for name in self._biased]
        self._biases = nn.ParameterList(nn.Parameter(torch.zeros(shape)) for shape in shapes)
        # Layers that keep running statistics must not see the zeros of this trial.
        with evaluating(self):
            _check_shapes(self)

    @property
    def projections(self) -> list[Projection]:
        """All projections, in the order that was given."""
        return [Projection(link.source, link.target, self.layer(link)) for link in self.links]

    @property
    def top_down_biases(self) -> dict[str, Tensor]:
        """The biases of top-down neurons, by population."""
        return dict(zip(self._biased, self._biases, strict=True))

    @property
    def graphs(self) -> dict[str, ColumnGraph]:
        """The graphs of all layers on edges, by name."""
        kept = [getattr(layer, "graph", None) for layer in self.layers]
        return {graph.name: graph for graph in kept if graph is not None}

    def bottom_up(self, inputs: Neurons, gates: Neurons | None = None) -> dict[str, Tensor]:
        """The bottom-up pass.

        Args:
            inputs: Values of populations that nothing projects to.
            gates: 0 or 1 for every neuron, by population, with one sample or as many as the inputs
                have (default: all neurons are open).

        Returns:
            Bottom-up neurons of all populations above the inputs, and the inputs.

        Raises:
            ValueError: Inputs or gates that are of no population, or of another shape.
        """
        _check_values(self, inputs)
        _check_values(self, gates or {})
        return run_bottom_up(self, self.layer, inputs, gates)

    def top_down(
        self,
        tops: Neurons,
        neurons: Neurons | None = None,
        *,
        rectified: bool = False,
        until: Sequence[str] = (),
    ) -> Neurons:
        """The top-down pass; an error pass from neurons of sub-networks stays in these.

        Args:
            tops: Top-down neurons of populations that it starts from.
            neurons: Bottom-up neurons, which gate their counter neurons: closed where they are 0
                (default: all are open).
            rectified: Whether top-down neurons are rectified and biases are added, as in an
                instruction pass; an error pass is linear, and biases are blocked.
            until: Populations whose counter neurons are not needed, such as the input.

        Returns:
            Top-down neurons of all populations below the tops, and the tops.

        Raises:
            ValueError: Tops that are no population, or of another shape.
        """
        _check_values(self, tops)
        if isinstance(neurons, SubNetworkNeurons) and not rectified:
            return neurons.top_down(tops, until)
        given = neurons or {}
        return run_top_down(self, self.layer, tops, given, rectified=rectified, until=until)

    def layer(self, link: PlacedProjection) -> TopDownLayer:
        """The layer of a link."""
        return cast(TopDownLayer, self.layers[link.place])

    def links_into(self, target: str) -> list[PlacedProjection]:
        """The links to a population from those below it."""
        return self._into[target]

    def links_out_of(self, source: str) -> list[PlacedProjection]:
        """The links from a population to those above it."""
        return self._out_of[source]


def _name_graphs(network: TopDownNetwork) -> None:
    """Graphs without a name get that of the first population above them.

    Two of the same edges, such as complete ones, are distinguished by their names. Other edges into
    the same population have the name of their source in front.
    """
    taken: dict[str, ColumnGraph] = {}
    for link in network.links:
        layer: Any = network.layer(link)
        graph = getattr(layer, "graph", None)
        if graph is None:
            continue
        if not graph.name:
            first, second = (graph.named(n) for n in (link.target, f"{link.source}_{link.target}"))
            graph = first if first.same_graph(taken.get(first.name, first)) else second
            layer.rewired(graph)
        if not graph.same_graph(taken.setdefault(graph.name, graph)):
            raise ValueError(
                "graphs of one name must have the same edges. Got others of the name "
                f"{graph.name!r} from {link.source!r} to {link.target!r}; name the graphs of "
                "layers with graph.named(...)."
            )


def _check_projection(projection: Projection, populations: Mapping[str, Population]) -> None:
    if not isinstance(projection.layer, TopDownLayer):
        raise TypeError(
            f"a projection must have a top-down pass. Got {type(projection.layer).__name__} from "
            f"{projection.source!r} to {projection.target!r}; take a layer of "
            "graphcolumns.nn.top_down, or derive from TopDownLayer and define top_down."
        )
    for name in projection[:2]:
        if name not in populations:
            raise ValueError(
                f"a projection must connect populations. Expected "
                f"{', '.join(map(repr, populations))}. Got {name!r}."
            )


def _order(
    populations: Mapping[str, Population], projections: Sequence[Projection]
) -> tuple[str, ...]:
    below: dict[str, set[str]] = {name: set() for name in populations}
    for p in projections:
        below[p.target].add(p.source)
    try:
        return tuple(TopologicalSorter(below).static_order())
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        raise ValueError(
            f"projections must have an order. Got the cycle {circle}; unroll the recurrence, with "
            "a population for every step."
        ) from error


def _check_values(network: TopDownNetwork, values: Neurons) -> None:
    for name, tensor in values.items():
        if name not in network.populations:
            raise ValueError(
                f"values must be those of populations. Expected "
                f"{', '.join(map(repr, network.populations))}. Got {name!r}."
            )
        population = network.populations[name]
        if not population.fits(tensor):
            expected = str(population.batched(-1)).replace("-1", "B")
            raise ValueError(
                f"values of {name!r} must have the shape of their population. Expected {expected}. "
                f"Got {tuple(tensor.shape)}."
            )


@torch.no_grad()
def _check_shapes(network: TopDownNetwork) -> None:
    """Raises ValueError where a layer does not fit the populations at its ends."""
    for source, target, layer in network.projections:
        below, above = network.populations[source], network.populations[target]
        like = next((p for p in layer.parameters()), torch.empty(0))
        try:
            out = layer(torch.zeros(below.batched(2), dtype=like.dtype, device=like.device))
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"a layer must fit its source. {type(layer).__name__} from {source!r} {below.sizes}"
                f" to {target!r} raised: {error}"
            ) from error
        if tuple(out.shape) != above.batched(2):
            raise ValueError(
                "a layer must give the shape of its target. Expected "
                f"{above.batched(2)} for {target!r}. Got {tuple(out.shape)} from "
                f"{type(layer).__name__}; change the population or the layer."
            )
        back = layer.top_down(out, below.batched(2), None)
        if tuple(back.shape) != below.batched(2):
            raise ValueError(
                "a top-down pass must give the shape of its source. Expected "
                f"{below.batched(2)} for {source!r}. Got {tuple(back.shape)} from "
                f"{type(layer).__name__}.top_down."
            )
