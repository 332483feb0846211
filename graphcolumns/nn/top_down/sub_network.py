"""The sub-network of one task, and passes that do not leave it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from graphcolumns.nn.top_down.open_columns import OpenColumns, all_rows, open_rows
from graphcolumns.nn.top_down.part import LayerPart
from graphcolumns.nn.top_down.passes import Neurons, PlacedProjection, run_bottom_up, run_top_down

if TYPE_CHECKING:
    from graphcolumns.nn.top_down.network import TopDownNetwork


class SubNetwork:
    r"""A network without the columns that gates close: what is computed follows what is active.

    A column is open if one of its channels is. Values of populations of columns are those of open
    columns, ``[N', B, C]``; edges are those between open columns. All other populations and layers
    are whole, and gated as in the network. Results equal those of the whole network times the
    gates: closed columns are exactly 0, and so are the gradients of their edges.

    A sub-network reads the weights of the network whenever it is run. It is one of the gates and
    the graphs that it was made for: see :meth:`fits`.

    Args:
        network: Network.
        gates: 0 or 1 for every neuron of one task, by population, with one sample.

    Attributes:
        network: The network.
        gates: The gates.
        open: Open columns of each population, or None: all, or no columns.

    Raises:
        ValueError: Gates of several samples.
    """

    def __init__(self, network: TopDownNetwork, gates: Neurons) -> None:
        self.network, self.gates = network, dict(gates)
        self._graphs = _graphs(network)
        self.open = _open_columns(network, gates)
        self._gates = {name: self._of_open(name, gate) for name, gate in gates.items()}
        self._parts: dict[PlacedProjection, LayerPart] = {}
        known: dict[tuple[int, int, int], LayerPart] = {}
        for link in network.links:
            ends = self.open[link.source], self.open[link.target]
            key = (link.place, id(ends[0]), id(ends[1]))
            if key not in known:
                known[key] = network.layer(link).between(*ends)
            self._parts[link] = known[key]

    def fits(self, gates: Neurons) -> bool:
        """Whether it is the sub-network of these gates, on the graphs that layers have now."""
        graphs = _graphs(self.network)
        if gates.keys() != self.gates.keys() or len(graphs) != len(self._graphs):
            return False
        return all(a is b for a, b in zip(graphs, self._graphs, strict=True)) and all(
            gate.device == self.gates[name].device
            and gate.dtype == self.gates[name].dtype
            and torch.equal(gate, self.gates[name])
            for name, gate in gates.items()
        )

    def bottom_up(self, inputs: Neurons) -> dict[str, Tensor]:
        """The bottom-up pass through open columns.

        Args:
            inputs: Values of populations that nothing projects to; these have no gates.

        Returns:
            Bottom-up neurons of open columns, by population.
        """
        return run_bottom_up(self.network, self._part, inputs, self._gates)

    def top_down(
        self, tops: Neurons, neurons: Neurons, *, until: Sequence[str] = ()
    ) -> dict[str, Tensor]:
        """The error pass through open columns.

        Args:
            tops: Top-down neurons of open columns of populations that it starts from.
            neurons: Bottom-up neurons of open columns.
            until: Populations whose counter neurons are not needed.

        Returns:
            Top-down neurons of open columns, by population.
        """
        return run_top_down(self.network, self._part, tops, neurons, until=until)

    def accumulate(self, neurons: Neurons, counters: Neurons) -> None:
        """Adds the Counter-Hebbian gradients to ``.grad``, where they are not 0.

        Args:
            neurons: Bottom-up neurons of open columns.
            counters: Top-down neurons of open columns.
        """
        for link in self.network.links:
            if link.source in neurons and link.target in counters and link.target in neurons:
                ends = neurons[link.source], counters[link.target]
                for part in self._parts[link].counter_hebb(*ends):
                    _add(part.parameter, part.gradient, part.rows)

    def scatter(self, name: str, values: Tensor) -> Tensor:
        """Values of open columns as those of all columns, 0 where a column is closed."""
        return all_rows(values, self.open[name])

    def select(self, name: str, values: Tensor) -> Tensor:
        """Values of all columns as those of open columns."""
        return open_rows(values, self.open[name])

    def _of_open(self, name: str, gate: Tensor) -> Tensor | None:
        """The gates of open columns, or None where all their channels are open."""
        gate = open_rows(gate, self.open[name])
        return None if bool((gate == 1).all()) else gate

    def _part(self, link: PlacedProjection) -> LayerPart:
        return self._parts[link]


def _open_columns(network: TopDownNetwork, gates: Neurons) -> dict[str, OpenColumns | None]:
    """One value for populations with the same open columns, so that they share sub-graphs."""
    found: dict[str, OpenColumns | None] = dict.fromkeys(network.populations)
    for name, gate in gates.items():
        population = network.populations[name]
        if gate.shape[population.batch_dim] != 1:
            raise ValueError(
                "a sub-network must be that of one task: gates of one sample. Got "
                f"{tuple(gate.shape)} for {name!r}; group the samples by task."
            )
        if population.columns:
            columns = OpenColumns.of_gates(gate)
            known = (
                c for c in found.values() if c is not None and torch.equal(c.mask, columns.mask)
            )
            whole = len(columns.ids) == len(columns.mask)
            found[name] = None if whole else next(known, columns)
    return found


def _graphs(network: TopDownNetwork) -> tuple[object, ...]:
    return tuple(getattr(layer, "graph", None) for layer in network.layers)


def _add(parameter: torch.nn.Parameter, gradient: Tensor, rows: Tensor | None) -> None:
    if rows is None:
        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        return
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    parameter.grad.index_add_(0, rows, gradient.to(parameter.grad.dtype))
