"""Rewiring while training: the rules at work, and the samples that they look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from graphcolumns.data import AnyDataset
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.protocols import graph_of, graphs_of
from graphcolumns.plasticity import Rule
from graphcolumns.random.streams import generator
from graphcolumns.training.plastic_graph import PlasticGraph

# A rule, or a function of ``steps`` that returns one, such as ``presets.rigl``.
RuleMaker = Rule | Callable[..., Rule]
# That of the first graph, or one for each of several graphs by name.
Rules = RuleMaker | Mapping[str, RuleMaker]
# Where columns are: of all graphs, or of each by name; of a graph with other sources, both.
Places = Geometry | Mapping[str, Geometry | tuple[Geometry, Geometry]]


class PlasticUpdates:
    """The rules of a run at work, in the order of the graphs that they change.

    Args:
        graphs: The graphs that are changed; none where edges stay as they are.
        seed: Seed of the run.
        data: Data of the run.

    Attributes:
        fitted: The samples that are trained on.
        scoring_set: The samples that edges are scored on.

    Raises:
        ValueError: Too few samples of either, or rules that reserve different shares.
    """

    def __init__(self, graphs: tuple[PlasticGraph, ...], seed: int, data: AnyDataset) -> None:
        self.graphs, self.seed = graphs, seed
        self.fitted, self.scoring_set = self._set_aside(data)

    @classmethod
    def begin(
        cls,
        plasticity: Rules | None,
        model: nn.Module,
        data: AnyDataset,
        geometry: Places | None,
        steps: int,
        seed: int,
    ) -> PlasticUpdates:
        """The rules, checked against the model and the data.

        Raises:
            ValueError: A name of no graph, too few samples for a rule, a graph that breaks its
                constraints, a measured graph without a geometry, or one of other columns; what
                cannot be reached in ``steps``, see ``require_arrival``; or whatever the first
                update would refuse.
            TypeError: No rule, and no function that returns one.
        """
        found = []
        for name, rule in rules_by_graph(plasticity, model).items():
            places = places_of(geometry, name)
            by_name = isinstance(plasticity, Mapping) and isinstance(geometry, Geometry)
            if by_name and not _has_ends(geometry, graph_of(model, name)):
                places = None, None
            found.append(PlasticGraph.of(_rule(rule, steps), model, name, *places, seed))
            found[-1].require_measured(model, steps)
        for each in found:
            each.plasticity.start(model)
        updates = cls(tuple(found), seed, data)
        for each in found:
            each.try_out(model, data, steps)
        return updates

    def __bool__(self) -> bool:
        return bool(self.graphs)

    def due(self, step: int) -> Iterator[PlasticGraph]:
        """The graphs that are changed after ``step`` optimizer steps."""
        return (each for each in self.graphs if each.plasticity.due(step))

    def skip(self, step: int) -> bool:
        """Whether an update takes the place of this optimizer step."""
        return any(each.plasticity.rule.skip_optimizer_step for each in self.due(step))

    def watch(self, model: nn.Module) -> None:
        """Take note of gradients, between the backward pass and the optimizer's step."""
        for each in self.graphs:
            each.plasticity.watch(model)

    def _set_aside(self, data: AnyDataset) -> tuple[AnyDataset, AnyDataset]:
        """The samples that are trained on, and those that edges are scored on."""
        rules, samples = [each.plasticity.rule for each in self.graphs], data.size("train")
        reserved = {rule.reserve for rule in rules}
        if len(reserved) > 1:
            raise ValueError(
                "rules of one run must keep the same samples from the optimizer. Got "
                f"reserve={', '.join(map(str, sorted(reserved)))}; give all of them the same."
            )
        reserve = reserved.pop() if reserved else 0.0
        kept = round(reserve * samples) if reserve else samples
        for rule in rules:
            if kept < rule.num_samples or (reserve and kept == samples):
                raise ValueError(
                    f"an update takes {rule.num_samples} samples (samples={rule.scoring.samples}, "
                    f"check_samples={rule.acceptance.check_samples}) and may draw from {kept} of "
                    f"{samples} (reserve={reserve}). Lower samples and check_samples, or change "
                    "reserve."
                )
        if not reserve:
            return data, data
        order = torch.randperm(samples, generator=generator(self.seed, "reserve"))
        return data.subset(order[kept:]), data.subset(order[:kept])

    def summary(self, model: nn.Module, steps: int) -> dict[str, float | str | None]:
        """Updates made, and what each rule aimed at and did not reach, for ``summary.json``."""
        found: dict[str, float | str | None] = {}
        for each in self.graphs:
            reached = each.plasticity.outcome(model, steps)
            found |= each.named({"updates": each.plasticity.updates, **reached})
        return found

    def state_dict(self) -> dict[str, Any] | None:
        """All that changes: of the first graph alone, that of its rule; None without rules."""
        states = {each.name: each.plasticity.state_dict() for each in self.graphs}
        if len(self.graphs) == 1 and self.graphs[0].first:
            return states[self.graphs[0].name]
        return {"graphs": states} if states else None

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state_dict`` was called.

        Raises:
            ValueError: The state is of rules on other graphs.
        """
        names = [each.name for each in self.graphs]
        states = state.get("graphs", {names[0]: state} if names else {})
        if list(states) != names:
            raise ValueError(
                "rules must go on with the graphs that they began with. Expected "
                f"{', '.join(map(repr, states))}. Got {', '.join(map(repr, names))}."
            )
        for each in self.graphs:
            each.plasticity.load_state_dict(states[each.name])


def rules_by_graph(plasticity: Rules | None, model: nn.Module) -> dict[str, Any]:
    """The rule of each graph that has one, in the order of the graphs of the model.

    Raises:
        ValueError: A name of no graph.
    """
    names = list(graphs_of(model))
    if plasticity is None:
        return {}
    if not isinstance(plasticity, Mapping):
        return {names[0]: plasticity}
    for name in plasticity:
        if name not in names:
            raise ValueError(
                f"plasticity must name graphs of the model. Expected {', '.join(map(repr, names))}"
                f". Got {name!r}."
            )
    return {name: plasticity[name] for name in names if name in plasticity}


def _rule(made: RuleMaker, steps: int) -> Rule:
    rule = made(steps=steps) if callable(made) else made
    if not isinstance(rule, Rule):
        raise TypeError(
            "plasticity must be a Rule or a function of steps that returns one, such as "
            "presets.rigl, or a mapping of these by graph; leave out graphs that stay as they are. "
            f"Got {made!r}."
        )
    return rule


def places_of(geometry: Places | None, name: str) -> tuple[Geometry | None, Geometry | None]:
    """Where the columns of a graph are, and its sources if they are others."""
    place = geometry.get(name) if isinstance(geometry, Mapping) else geometry
    return place if isinstance(place, tuple) else (place, None)


def _has_ends(geometry: Places | None, graph: ColumnGraph) -> bool:
    """Whether a geometry says where both ends of the edges of a graph are."""
    sizes = {graph.num_columns, graph.num_sources}
    return isinstance(geometry, Geometry) and sizes == {geometry.num_columns}
