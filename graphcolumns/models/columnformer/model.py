"""The columnformer: embed, then one layer of columns again and again, then read out."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.models.columnformer.receptive import check_direct_edges, receptive_tokens
from graphcolumns.nn.checks import check_choice, check_counts
from graphcolumns.nn.column import Column
from graphcolumns.nn.dynamics.column_dynamics import ColumnDynamics
from graphcolumns.nn.edge_costs import (
    WIRINGS,
    check_communicable,
    communicability_cost,
    edge_cost,
)
from graphcolumns.nn.mixture import Mixture
from graphcolumns.nn.moved import moved
from graphcolumns.nn.paths import check_paths
from graphcolumns.nn.positions import LearnedPositions
from graphcolumns.nn.protocols import ONLY, ModelOutput
from graphcolumns.nn.recording import recording
from graphcolumns.nn.recurrence import embedding, recurrent_steps, run_step
from graphcolumns.nn.topology_state import keep_topology
from graphcolumns.nn.wiring import distance_cost
from graphcolumns.ops.column_attention.checks import check_graph

# Name of the graph along which columns inhibit each other.
LATERAL = "lateral"


class Columnformer(nn.Module):
    r"""A sheet of columns that attend along the edges of a graph, applied recurrently.

    .. math::
        x^0 = \mathrm{place}(\mathrm{embed}(I)) + p, \qquad
        x^{t+1} = \mathrm{column}(x^t, \mathrm{graph}), \qquad
        y = \mathrm{readout}(x^T)

    After the Columnformer of Lane (2023, https://github.com/clane9/columnformers): one wide layer
    of untied columns in place of a narrow stack of layers. Given ``depth`` columns instead of one
    it is feed-forward: step ``t`` uses the weights of column ``t``.

    Args:
        graph: Edges among the columns; in the state dict, and moved with the module.
        embed: Images ``[B, channels, Y, X]`` to tokens ``[P, B, C]``; has ``num_tokens``.
        columns: One :class:`Column` (recurrent), or one per step (feed-forward).
        readout: State ``[N, B, C]`` to class scores; a buffer ``columns`` names what it reads.
        depth: Number of steps ``T``.
        receptive: Token that each column sees, ``[N]`` int64, -1 for none (default: token n for
            the first ``P`` columns).
        drive: The input enters in the ``"initial"`` state only, or at ``"every_step"``.
        position_embedding: Whether to learn a code per column, added to the initial state.
        time_embedding: Whether to learn a code per step, added at every step.
        direct_edges: Column or input that each column copies before steps 1, 2, ...: ids ``[N]``
            into ``[input; x]``, so below ``N`` an input and from ``N`` on a column.
        wiring: Cost of edges reported by the forward pass: ``None``, ``"distance"``
            (:math:`d^p / D_0`, in units of uniform attention on this graph), ``"gaussian"``
            (:math:`-\log` of a Gaussian over the in-edges) or ``"communicability"`` (distance times
            communicability, see :func:`.communicability_cost`; up to 1024 columns).
        wiring_power: The exponent ``p``.
        wiring_sigma: Radius of the Gaussian, in the unit of the graph.
        positions: Where the columns are, if that is learned: the graph is measured there at every
            forward pass, and the cost of edges moves the columns. :math:`D_0` is that of the
            initial positions.
        memory: ``"store"`` the activations of every step, or ``"recompute"`` them step by step in
            the backward pass.

    Shapes:
        - input: images ``[B, channels, Y, X]``
        - output: :class:`ModelOutput`

    Raises:
        ValueError: Parts that do not fit each other, or no path from any input to any output.
        TypeError: ``graph`` is not a ColumnGraph, or ids are not int64.
    """

    no_weight_decay = ("position", "time")
    column_tensors = ("position",)

    direct_edges: Tensor | None
    placed: Tensor
    seen: Tensor

    def __init__(
        self,
        graph: ColumnGraph,
        embed: nn.Module,
        columns: Column | Sequence[Column],
        readout: nn.Module,
        *,
        depth: int,
        receptive: Tensor | None = None,
        drive: str = "initial",
        position_embedding: bool = True,
        time_embedding: bool = False,
        direct_edges: Tensor | None = None,
        wiring: str | None = None,
        wiring_power: float = 1.0,
        wiring_sigma: float = 2.0,
        positions: LearnedPositions | None = None,
        memory: str = "store",
    ) -> None:
        super().__init__()
        check_graph(graph)
        check_counts(depth=depth)
        check_choice("drive", drive, ("initial", "every_step"))
        check_choice("memory", memory, ("store", "recompute"))
        if wiring is not None:
            check_choice("wiring", wiring, WIRINGS)
        self.positions, self.graph = positions, graph
        self.embed, self.readout = embed, readout
        self.recurrent = isinstance(columns, Column)
        self.columns = nn.ModuleList([columns] if isinstance(columns, Column) else columns)
        self.depth, self.drive, self.memory = depth, drive, memory
        self.dynamics: ColumnDynamics | None = None
        self._check_columns()
        self.wiring, self.wiring_power, self.wiring_sigma = wiring, wiring_power, wiring_sigma
        # D_0, frozen on the first graph and kept with the topology: costs stay comparable.
        graph = self.graph
        self.wiring_norm = 1.0 if graph.distance is None else distance_cost(graph, wiring_power)[1]
        self.edge_cost()  # an edge without length or a negative sigma is an error now, not later
        if wiring == "communicability":
            check_communicable(graph, self.columns)
        first: Any = self.columns[0]
        count, tokens = graph.num_columns, int(embed.num_tokens)  # type: ignore[arg-type]
        receptive = receptive_tokens(receptive, count, tokens)
        check_direct_edges(direct_edges, count)
        self.register_buffer("placed", receptive.clamp(min=0), persistent=False)
        self.register_buffer("seen", (receptive >= 0).float()[:, None, None], persistent=False)
        self.register_buffer("direct_edges", direct_edges, persistent=False)
        self.position = embedding(count, 1, first.channels) if position_embedding else None
        self.time = embedding(depth, 1, 1, first.channels) if time_embedding else None
        keeps = any(column.skip_attention for column in self.columns)
        outputs, renewed = getattr(readout, "columns", None), drive == "every_step"
        check_paths(graph, receptive, outputs, depth, direct_edges, keeps, renewed)
        keep_topology(self)

    def _check_columns(self) -> None:
        graph = self.graph
        columns: list[Any] = list(self.columns)
        if graph.num_columns != graph.num_sources:
            raise ValueError(
                f"the graph of a sheet must have as many sources as columns, got {graph}"
            )
        if not self.recurrent and len(columns) != self.depth:
            raise ValueError(
                f"a feed-forward columnformer needs one Column per step, depth = {self.depth}, "
                f"got {len(columns)}"
            )
        held = {column.num_columns for column in columns}
        if held != {graph.num_columns}:
            raise ValueError(
                f"the columns hold weights for {sorted(held)} columns, "
                f"the graph has {graph.num_columns}"
            )

    def inhibit(self, dynamics: ColumnDynamics) -> None:
        """Lets columns inhibit each other after every step, on a second graph, ``"lateral"``.

        Raises:
            ValueError: Lateral edges of other columns.
        """
        count = self._graph.num_columns
        if dynamics.graph.num_columns != count:
            raise ValueError(
                f"lateral edges must join the columns of the sheet. Expected {count} columns. Got "
                f"{dynamics.graph.num_columns}."
            )
        self.dynamics = dynamics

    @property
    def graph(self) -> ColumnGraph:
        """The edges; where positions are learned, measured at the current ones."""
        if self.positions is None:
            return self._graph
        with torch.no_grad():
            return self.positions(self._graph)

    @graph.setter
    def graph(self, graph: ColumnGraph) -> None:
        self._graph = graph

    @property
    def graphs(self) -> dict[str, ColumnGraph]:
        """The edges by name: ``"graph"``, and ``"lateral"`` where columns inhibit each other."""
        lateral = {} if self.dynamics is None else {LATERAL: self.dynamics.graph}
        return {ONLY: self.graph} | lateral

    def rewired(self, graph: ColumnGraph, name: str = ONLY) -> None:
        """Takes a new topology; :math:`D_0` stays that of the first one."""
        if name == LATERAL and self.dynamics is not None:
            self.dynamics.rewired(graph)
        else:
            self.graph = graph

    @property
    def receptive(self) -> Tensor:
        """The token that each column sees, ``[N]`` int64, -1 for none."""
        return torch.where(self.seen.flatten() > 0, self.placed, -1)

    def describe(self) -> str:
        """One sentence on the columns, their weights and their edges."""
        column: Any = self.columns[0]
        weights = column.hidden.weights
        kinds = {"untied": "each with its own weights", "shared": "all with the same weights"}
        depth = f"{self.depth} layers of them, one after the other"
        return (
            f"A sheet of {self._graph.num_columns:,} columns of width {column.channels}, "
            f"{kinds.get(weights, f'with {weights} weights')}, "
            f"{f'applied {self.depth} times' if self.recurrent else depth}; "
            f"{self._graph.num_edges:,} edges say which column receives from which"
            + (
                "."
                if self.dynamics is None
                else f", and {self.dynamics.graph.num_edges:,} which inhibits which."
            )
        )

    def edge_cost(self) -> Tensor | None:
        """The cost ``[E]`` of every edge as the forward pass reports it, or None.

        Differentiable in learned positions.
        """
        if self.wiring is None:
            return None
        graph = self._graph if self.positions is None else self.positions(self._graph)
        return edge_cost(graph, self.wiring, self.wiring_power, self.wiring_sigma, self.wiring_norm)

    def mixture_maps(self) -> list[Tensor]:
        """The learned mixture coefficients of the columns, each ``[N, R]``."""
        maps = (module for module in self.columns.modules() if isinstance(module, Mixture))
        return [mixture() for mixture in maps if not mixture.frozen]

    def forward(
        self, images: Tensor, depth: int | None = None, return_states: bool = False
    ) -> ModelOutput:
        """Runs ``depth`` steps (default: the depth of the model) on images ``[B, ch, Y, X]``."""
        depth = self.depth if depth is None else depth
        self._check_depth(depth)
        tokens = self.embed(images)
        inputs = tokens.index_select(0, self.placed) * self.seen.to(tokens.dtype)
        start = inputs if self.position is None else inputs + self.position
        walk = start, inputs, depth, return_states
        if self.wiring == "communicability":
            with recording(self.columns) as records:
                x, states, _ = self._walk(*walk, None)
            lengths = self.edge_cost()
            assert lengths is not None
            costs = [communicability_cost(records, lengths)]
        else:
            x, states, costs = self._walk(*walk, self.edge_cost())
        return ModelOutput(
            self.readout(x),
            x,
            torch.stack(costs) if costs else None,
            torch.stack(states) if states else None,
        )

    def _walk(
        self, start: Tensor, inputs: Tensor, depth: int, keep: bool, cost: Tensor | None
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """The last state; the states after every step if kept; the costs if edges have any."""
        x, states, costs = start, [], []
        for t, (column, uses) in enumerate(recurrent_steps(self.columns, depth, x.shape[1])):
            if t and self.direct_edges is not None:
                x = torch.cat([start, x]).index_select(0, self.direct_edges)
            if t and self.drive == "every_step":
                x = x + inputs
            if self.time is not None:
                x = x + self.time[t]
            x, expected = run_step(self.memory, column, x, self._graph, cost, uses)
            if self.dynamics is not None:
                x = self.dynamics(x)
            if keep:
                states.append(x)
            if expected is not None:
                costs.append(expected)
        return x, states, costs

    def _check_depth(self, depth: int) -> None:
        limited = not self.recurrent or self.time is not None
        if depth < 1 or (limited and depth > self.depth):
            raise ValueError(
                f"depth must be at least 1{f' and at most {self.depth}' if limited else ''}, "
                f"got {depth}. Only a recurrent columnformer without time embedding can run longer "
                "than it was built for"
            )

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Moves the graph along with the module."""
        self._graph = moved(self._graph, fn)
        return super()._apply(fn, recurse)
