"""The bottom-up and the top-down pass along links, whatever makes the steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from graphcolumns.nn.top_down.layer import TopDownLayer
    from graphcolumns.nn.top_down.network import TopDownNetwork
    from graphcolumns.nn.top_down.part import LayerPart

# Values of populations by name: bottom-up neurons, top-down neurons, or gates.
Neurons = Mapping[str, Tensor]


class PlacedProjection(NamedTuple):
    """A projection, with the place of its layer.

    Attributes:
        source: Name of the population below.
        target: Name of the population above.
        place: Index of the layer among those of the network.
    """

    source: str
    target: str
    place: int


# What makes the step along a link: the layer, or the part of it between open columns.
StepOf = Callable[[PlacedProjection], "TopDownLayer | LayerPart"]


def run_bottom_up(
    network: TopDownNetwork,
    step_of: StepOf,
    inputs: Neurons,
    gates: Mapping[str, Tensor | None] | None,
) -> dict[str, Tensor]:
    """The bottom-up pass; see :meth:`TopDownNetwork.bottom_up`.

    Args:
        network: Populations and links.
        step_of: What makes the step along a link.
        inputs: Values of populations that nothing projects to.
        gates: Gates by population; None where all neurons are open.
    """
    neurons, gates = dict(inputs), gates or {}
    for target in network.order:
        below = [link for link in network.links_into(target) if link.source in neurons]
        if not below or target in inputs:
            continue
        z = _summed([step_of(link)(neurons[link.source]) for link in below])
        if network.populations[target].activation == "relu":
            gate = gates.get(target)
            z = z.relu() if gate is None else z.relu() * gate
        neurons[target] = z
    return neurons


def run_top_down(
    network: TopDownNetwork,
    step_of: StepOf,
    tops: Neurons,
    neurons: Neurons,
    *,
    rectified: bool = False,
    until: Sequence[str] = (),
) -> dict[str, Tensor]:
    """The top-down pass; see :meth:`TopDownNetwork.top_down`.

    Args:
        network: Populations and links.
        step_of: What makes the step along a link.
        tops: Top-down neurons that the pass starts from.
        neurons: Bottom-up neurons, which gate their counter neurons.
        rectified: Whether top-down neurons are rectified and biases are added.
        until: Populations whose counter neurons are not needed.
    """
    counters = dict(tops)
    biases = network.top_down_biases if rectified else {}
    for source in reversed(network.order):
        above = [link for link in network.links_out_of(source) if link.target in counters]
        if not above or source in tops or source in until:
            continue
        population, x = network.populations[source], neurons.get(source)
        parts = []
        for link in above:
            counter = counters[link.target]
            samples = counter.shape[network.populations[link.target].batch_dim]
            parts.append(step_of(link).top_down(counter, population.batched(samples), x))
        counter = _summed(parts)
        if population.activation == "relu":
            if rectified:
                counter = (counter + biases[source] if source in biases else counter).relu()
            counter = counter if x is None else _gated(counter, x)
        counters[source] = counter
    return counters


def _gated(counter: Tensor, x: Tensor) -> Tensor:
    """Counter neurons where their neurons are active, 0 elsewhere."""
    if x.shape == counter.shape and x.dtype == counter.dtype:
        # One pass over memory; a product with a comparison takes three.
        gated: Tensor = torch.ops.aten.threshold_backward(counter, x, 0)
        return gated
    return counter * (x > 0)


def _summed(parts: list[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
