"""Sheets of different size, each pooled from the one below: the stages of TopoMoE."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.models.staged_columnformer.stage import Stage
from graphcolumns.nn.checks import check_choice
from graphcolumns.nn.edge_costs import EXPECTED, edge_cost
from graphcolumns.nn.expert_map import ExpertMap
from graphcolumns.nn.mixture import Mixture
from graphcolumns.nn.moved import moved
from graphcolumns.nn.paths import check_paths
from graphcolumns.nn.protocols import ModelOutput
from graphcolumns.nn.topology_state import keep_topology
from graphcolumns.nn.wiring import distance_cost


class StagedColumnformer(nn.Module):
    r"""A columnformer of several sheets, as visual areas differ in size.

    The first sheet sees the tokens; every later one pools the sheet below with learned queries,
    attends to its unpooled tokens once more, and then to its own columns, along the edges of
    graphs. With a single stage it is a feed-forward :class:`Columnformer`.

    To the outside it is one sheet of :math:`N = \sum_s N_s` columns, stage after stage:
    ``model.graph`` holds all their edges, lateral and from below, and ``output.state`` the last
    state of all of them. Every stage has graphs of its own, ``model.graphs``: ``"stage0"``,
    ``"pool1"`` (from stage 0 to stage 1), ``"stage1"``, ... Each can be rewired by its own rule.

    Args:
        embed: Images ``[B, channels, Y, X]`` to tokens ``[N_0, B, C]``; has ``num_tokens``.
        stages: The sheets from the bottom up.
        readout: State ``[N_S, B, C]`` of the last sheet to class scores.
        static_pool: Whether the keys of pooling are the embeddings of the columns below instead of
            their tokens: then a map from sheet to sheet does not depend on the input.
        wiring: Cost reported by the forward pass, None, ``"distance"`` or ``"gaussian"``, see
            :class:`Columnformer`.
        wiring_power: The exponent ``p``.
        wiring_sigma: Radius of the Gaussian, in the unit of the graphs.
        memory: ``"store"`` or ``"recompute"`` the activations of every step.

    Attributes:
        wiring_norm: :math:`D_0`: with uniform attention on these graphs the mean of the reported
            costs is exactly 1, lengths within and between sheets in one unit.
        stage_of_cost: The stage of every reported cost.

    Shapes:
        - input: images ``[B, channels, Y, X]``
        - output: :class:`ModelOutput` with ``state [N, B, C]``, ``states`` None (see
          :meth:`trace`) and ``cost [S]``, the mean cost of every exchange: in a pooled stage
          first that of pooling, then that of the tokens below, then the lateral steps

    Raises:
        ValueError: Stages that do not fit each other, or no path from input to read-out.

    Source: TopoMoE (Lane, 2024, https://github.com/clane9/columnformers).
    """

    def __init__(
        self,
        embed: nn.Module,
        stages: Sequence[Stage],
        readout: nn.Module,
        *,
        static_pool: bool = False,
        wiring: str | None = None,
        wiring_power: float = 1.0,
        wiring_sigma: float = 2.0,
        memory: str = "store",
    ) -> None:
        super().__init__()
        check_choice("memory", memory, ("store", "recompute"))
        if wiring is not None:
            check_choice("wiring", wiring, EXPECTED)
        self.embed, self.readout = embed, readout
        self.stages = nn.ModuleList(stages)
        self.static_pool, self.memory = static_pool, memory
        self.wiring, self.wiring_power, self.wiring_sigma = wiring, wiring_power, wiring_sigma
        self._check_sizes(int(embed.num_tokens))  # type: ignore[arg-type]
        self._union: tuple[list[ColumnGraph], ColumnGraph] | None = None
        self.wiring_norm = _normaliser(self._stages, wiring_power)
        self.stage_of_cost = tuple(s for s, t in enumerate(self._stages) for _ in t.exchanges)
        self._edge_costs()  # an edge without length is an error now, not later
        self._check_paths()
        keep_topology(self)
        self.register_load_state_dict_pre_hook(_without_union)

    @property
    def graphs(self) -> dict[str, ColumnGraph]:
        """The graphs of the stages by name, bottom stage first."""
        found = {}
        for number, stage in enumerate(self._stages):
            if stage.pool_graph is not None:
                found[f"pool{number}"] = stage.pool_graph
            if stage.depth:
                found[f"stage{number}"] = stage.graph
        return found

    def rewired(self, graph: ColumnGraph, name: str) -> None:
        """Takes ``graph`` in place of ``graphs[name]``."""
        kind, number = name.rstrip("0123456789"), name.lstrip("abcdefghijklmnopqrstuvwxyz")
        self._stages[int(number)].rewired(graph, {"stage": "graph", "pool": "pool_graph"}[kind])

    @property
    def graph(self) -> ColumnGraph:
        """All edges of all stages among all columns, stage after stage."""
        now = list(self.graphs.values())
        if self._union is None or any(a is not b for a, b in zip(self._union[0], now, strict=True)):
            self._union = now, _one_graph(self._stages)
        return self._union[1]

    @property
    def _stages(self) -> list[Any]:
        return list(self.stages)

    def _check_sizes(self, tokens: int) -> None:
        below = tokens
        for number, stage in enumerate(self._stages):
            pool = stage.pool_graph
            sources = stage.graph.num_columns if pool is None else pool.num_sources
            if (pool is None) != (number == 0) or sources != below:
                raise ValueError(
                    "the first stage has a column per token, every later one pools the columns of "
                    f"the stage below: stage {number} must attend to {below}, got {sources} "
                    f"({'not pooled' if pool is None else 'pooled'})"
                )
            below = stage.graph.num_columns

    def _check_paths(self) -> None:
        count, last = self.graph.num_columns, self._stages[-1].graph.num_columns
        seen = torch.where(torch.arange(count) < self._stages[0].graph.num_columns, 0, -1)
        read = getattr(self.readout, "columns", None)
        read = torch.arange(last) if read is None else read.cpu()
        check_paths(self.graph, seen, count - last + read, count, None)

    def _edge_costs(self) -> list[tuple[Tensor | None, Tensor | None]]:
        """Costs ``[E]`` of the edges from below and of the lateral edges of every stage."""
        about = self.wiring, self.wiring_power, self.wiring_sigma, self.wiring_norm

        def cost(graph: ColumnGraph | None) -> Tensor | None:
            return None if graph is None else edge_cost(graph, *about)

        return [(cost(stage.pool_graph), cost(stage.graph)) for stage in self._stages]

    def mixture_maps(self) -> list[Tensor]:
        """The expert maps ``[N_s, R_s]`` of the stages that have one, bottom stage first."""
        return [mixture() for _, mixture in self._mixtures()]

    def mixture_graphs(self) -> list[ColumnGraph]:
        """The lateral graph under each of :meth:`mixture_maps`."""
        return [stage.graph for stage, _ in self._mixtures()]

    def _mixtures(self) -> list[tuple[Any, nn.Module]]:
        kinds = (Mixture, ExpertMap)
        found = ((s, m) for s in self._stages for m in s.modules() if isinstance(m, kinds))
        return [(s, m) for s, m in found if not getattr(m, "frozen", False)]

    def trace(self, images: Tensor) -> list[Tensor]:
        """The state ``[N_s, B, C]`` after every exchange, in the order of the costs."""
        return [x for _, x, _ in self._walk(images)]

    def forward(self, images: Tensor) -> ModelOutput:
        """Class scores, last states and costs of images ``[B, channels, Y, X]``."""
        last: dict[int, Tensor] = {}
        costs = []
        for number, x, paid in self._walk(images):
            last[number] = x
            if paid is not None:
                costs.append(paid.mean())
        cost = torch.stack(costs) if costs else None
        return ModelOutput(self.readout(x), torch.cat(list(last.values())), cost, None)

    def _walk(self, images: Tensor) -> Iterator[tuple[int, Tensor, Tensor | None]]:
        below, keys = self.embed(images), None
        for number, (stage, costs) in enumerate(zip(self._stages, self._edge_costs(), strict=True)):
            x = below
            for x, paid in stage.iter_steps(below, keys, costs, self.memory):
                yield number, x, paid
            below, keys = x, stage.grid if self.static_pool else None

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Moves all edges together along with the module."""
        whole = moved(self.graph, fn)
        super()._apply(fn, recurse)
        self._union = list(self.graphs.values()), whole
        return self


def _without_union(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Drop ``graph``, all edges together, from a state dict of an earlier version."""
    for key in [key for key in state if key.startswith(f"{prefix}graph.")]:
        del state[key]


def _one_graph(stages: Sequence[Stage]) -> ColumnGraph:
    """All edges of all stages among all columns, stage after stage."""
    edges, lengths, below, offset = [], [], 0, 0
    for stage in stages:
        parts = [(stage.graph, offset)] if stage.depth else []
        if stage.pool_graph is not None:
            parts.append((stage.pool_graph, below))
        for graph, first in parts:
            shift = torch.tensor([[first], [offset]], device=graph.device)
            edges.append(graph.edge_index + shift)
            lengths.append(graph.distance)
        below, offset = offset, offset + stage.graph.num_columns
    measured = [length.detach() for length in lengths if length is not None]
    distance = torch.cat(measured) if len(measured) == len(lengths) else None
    return ColumnGraph.from_edge_index(torch.cat(edges, 1), offset, distance=distance)


def _normaliser(stages: Sequence[Stage], power: float) -> float:
    """The mean over exchanges of the mean over columns of their mean ``d^p``; 1 without lengths."""
    graphs = [graph for stage in stages for graph in stage.exchanges]
    if any(graph.distance is None for graph in graphs):
        return 1.0
    means = [norm * bool(cost.any()) for cost, norm in (distance_cost(g, power) for g in graphs)]
    return sum(means) / len(means) or 1.0
