"""A sheet of columns whose recurrent step descends an energy that is learned."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.checks import check_choice, check_counts
from graphcolumns.nn.dynamics import Drive, EnergyTransformer, Euler, Relaxation, relaxation
from graphcolumns.nn.dynamics.core.arguments import require_positive
from graphcolumns.nn.dynamics.core.circuit import limit_of
from graphcolumns.nn.dynamics.core.states import State
from graphcolumns.nn.dynamics.energy.energy_transformer import MEMORIES
from graphcolumns.nn.edge_bias import EdgeBias
from graphcolumns.nn.moved import moved
from graphcolumns.nn.protocols import ModelOutput
from graphcolumns.nn.recurrence import embedding
from graphcolumns.nn.topology_state import keep_topology
from graphcolumns.ops.column_attention.checks import check_graph

WEIGHTS = ("untied", "shared")


class EnergyColumnformer(nn.Module):
    r"""An energy transformer on the edges of a graph: embed, descend, read out.

    .. math::
        x^0 = \mathrm{embed}(I) + p, \qquad
        x^{t+1} = x^t - dt \, \frac{\partial E}{\partial g}(x^t), \qquad
        y = \mathrm{readout}(g^T)

    All steps have the same weights, because they descend one energy, that of
    :class:`~graphcolumns.nn.dynamics.EnergyTransformer`.

    Args:
        graph: Edges among the columns; in the state dict, and moved with the module.
        embed: Images ``[B, channels, Y, X]`` to tokens ``[N, B, C]``, one per column; has
            ``num_tokens`` and ``channels``.
        readout: Activities ``[N, B, C]`` to predictions.
        heads: ``H``.
        qk_channels: Width ``D`` of queries and keys per head (default: ``C / H``).
        patterns: Patterns ``K`` that every column stores.
        steps: Number of steps ``T``.
        dt: Time step. None: 90 % of the step limit of the current weights, below which the energy
            never increases; for a larger one :meth:`relaxation` shows whether it does.
        weights: ``"untied"`` (every column its own) or ``"shared"``.
        memory_kind: ``"relu"`` or ``"softmax"``.
        edge_bias: Whether to learn a score per edge.
        position_embedding: Whether to learn a code per column, added to the initial state.
        epsilon: Variance that is added in the layer norm.

    Shapes:
        - input: images ``[B, channels, Y, X]``
        - output: :class:`ModelOutput` with the prediction, the activities ``[N, B, C]`` as
          ``state`` and the energy ``[B]`` that was reached

    Raises:
        ValueError: Sizes below 1, an unknown choice, a step that is not positive, or another number
            of tokens than of columns.
        TypeError: ``graph`` is not a ColumnGraph.

    Source: Hoover et al., Energy Transformer, NeurIPS 2023, https://arxiv.org/abs/2302.07253.
    """

    no_weight_decay = ("position", "log_gain", "offset")

    def __init__(
        self,
        graph: ColumnGraph,
        embed: nn.Module,
        readout: nn.Module,
        *,
        heads: int = 2,
        qk_channels: int | None = None,
        patterns: int = 32,
        steps: int = 6,
        dt: float | None = 0.5,
        weights: str = "untied",
        memory_kind: str = "relu",
        edge_bias: bool = True,
        position_embedding: bool = True,
        epsilon: float = 0.1,
    ) -> None:
        super().__init__()
        check_graph(graph)
        check_counts(heads=heads, patterns=patterns, steps=steps)
        check_choice("weights", weights, WEIGHTS)
        check_choice("memory_kind", memory_kind, MEMORIES)
        require_positive(epsilon=epsilon, **({} if dt is None else {"dt": dt}))
        count, channels = graph.num_columns, int(embed.channels)  # type: ignore[arg-type]
        _check_tokens(int(embed.num_tokens), count)  # type: ignore[arg-type]
        width = max(1, channels // heads) if qk_channels is None else qk_channels
        check_counts(qk_channels=width)
        self.graph, self.embed, self.readout = graph, embed, readout
        self.steps, self.dt, self.weights = steps, dt, weights
        self.memory_kind, self.epsilon = memory_kind, epsilon
        sets = (count,) if weights == "untied" else ()
        self.query = nn.Parameter(torch.empty(*sets, channels, heads, width))
        self.key = nn.Parameter(torch.empty(*sets, channels, heads, width))
        self.memory = nn.Parameter(torch.empty(*sets, channels, patterns))
        # The gain is exp(log_gain), positive, so that the layer norm stays a convex function's.
        self.log_gain = nn.Parameter(torch.empty(sets))
        self.offset = nn.Parameter(torch.empty(*sets, channels))
        self.edge_bias = EdgeBias(graph) if edge_bias else None
        self.position = embedding(count, 1, channels) if position_embedding else None
        self.reset_parameters()
        keep_topology(self)

    def reset_parameters(self) -> None:
        """Draws new maps and patterns; the layer norm starts without gain and offset."""
        channels, patterns = self.memory.shape[-2:]
        nn.init.normal_(self.query, std=channels**-0.5)
        nn.init.normal_(self.key, std=channels**-0.5)
        nn.init.normal_(self.memory, std=patterns**-0.5)
        nn.init.zeros_(self.log_gain)
        nn.init.zeros_(self.offset)

    @property
    def graph(self) -> ColumnGraph:
        """The edges."""
        return self._graph

    @graph.setter
    def graph(self, graph: ColumnGraph) -> None:
        self._graph = graph
        # In a tuple: a view of the graph, not a second graph of this module.
        self._turned = (graph.reverse(),)

    @property
    def column_tensors(self) -> tuple[str, ...]:
        """The parameters whose first dimension is the columns."""
        untied = ("query", "key", "memory", "log_gain", "offset")
        return (*(untied if self.weights == "untied" else ()), "position")

    def rewired(self, graph: ColumnGraph) -> None:
        """Takes a new topology."""
        self.graph = graph

    def describe(self) -> str:
        """One sentence on the columns, their energy and their edges."""
        kinds = {"untied": "each with its own weights", "shared": "all with the same weights"}
        return (
            f"A sheet of {self.graph.num_columns:,} columns of width {self.memory.shape[-2]}, "
            f"{kinds[self.weights]}, that descend one energy in {self.steps} steps; "
            f"{self.graph.num_edges:,} edges say which column receives from which."
        )

    def circuit(self) -> EnergyTransformer:
        """The circuit with the weights as they are now."""
        return EnergyTransformer(
            self.graph,
            self.query,
            self.key,
            self.memory,
            self.log_gain.exp(),
            self.offset,
            None if self.edge_bias is None else self.edge_bias(),
            epsilon=self.epsilon,
            memory_kind=self.memory_kind,
            reverse=self._turned[0],
        )

    def start(self, images: Tensor) -> Tensor:
        """The initial states ``[N, B, C]`` of images ``[B, channels, Y, X]``."""
        tokens: Tensor = self.embed(images)
        return tokens if self.position is None else tokens + self.position

    def forward(self, images: Tensor, return_states: bool = False) -> ModelOutput:
        """Runs all steps on images ``[B, channels, Y, X]``."""
        circuit = self.circuit()
        drive = circuit.drive(self.start(images))
        state: State = circuit.initial(drive)
        dt, states = self._time_step(circuit, drive), []
        for _ in range(self.steps):
            state = circuit.step(state, drive, dt)
            if return_states:
                states.append(circuit.output(state, drive))
        active = circuit.output(state, drive)
        return ModelOutput(
            self.readout(active),
            active,
            states=torch.stack(states) if states else None,
            energy=circuit.energy(state, drive),
        )

    @torch.no_grad()
    def relaxation(self, inputs: Tensor) -> Relaxation:
        """Energy, residual and activities after every step, for reports."""
        circuit, start = self.circuit(), self.start(inputs)
        dt = self._time_step(circuit, circuit.drive(start))
        method = Euler(dt, allow_unstable=True)
        return relaxation(circuit, start, method=method, frames=self.steps, every=1)

    def _time_step(self, circuit: EnergyTransformer, drive: Drive) -> float:
        if self.dt is not None:
            return self.dt
        limit = limit_of(circuit, drive)
        assert limit is not None
        return 0.9 * limit

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Moves the graph along with the module."""
        self.graph = moved(self._graph, fn)
        return super()._apply(fn, recurse)


def _check_tokens(tokens: int, columns: int) -> None:
    if tokens != columns:
        raise ValueError(
            f"every column must see one token. Expected {columns} tokens. Got {tokens}; choose "
            "patch, stride and padding for one receptive field per column."
        )
