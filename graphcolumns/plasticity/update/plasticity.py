"""A rule at work: its updates, and what it keeps from one to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from graphcolumns.distributed.consensus import require_same_edges
from graphcolumns.geometry import Geometry
from graphcolumns.nn.batches import Inputs, num_samples, select_samples
from graphcolumns.nn.column_places import ColumnPlaces
from graphcolumns.nn.current_geometry import current_geometry
from graphcolumns.nn.different_graphs import require_different_graphs
from graphcolumns.nn.per_edge import edge_tensors
from graphcolumns.nn.positions import LearnedPositions
from graphcolumns.nn.protocols import graph_of
from graphcolumns.nn.topology_state import keep_topology
from graphcolumns.plasticity.criteria.gradient import movement_of_step
from graphcolumns.plasticity.probe.evidence import Probe
from graphcolumns.plasticity.probe.trace import Losses
from graphcolumns.plasticity.rewiring.cool_down import CoolDown
from graphcolumns.plasticity.rewiring.rewiring import Rewiring
from graphcolumns.plasticity.rules.former import of_today
from graphcolumns.plasticity.rules.outcome import outcome, shortfall
from graphcolumns.plasticity.rules.rule import Rule
from graphcolumns.plasticity.state.carry import carry
from graphcolumns.plasticity.update.follow import require_following
from graphcolumns.plasticity.update.metrics import Past, update_metrics
from graphcolumns.plasticity.update.propose import propose_swaps
from graphcolumns.plasticity.update.trial import Trial


class Update(NamedTuple):
    """The result of one update: the rewiring and its metrics."""

    number: int
    rewiring: Rewiring
    metrics: dict[str, float]


class Plasticity:
    """A rule at work on a model: ages, cool-downs and memory between updates.

    Args:
        rule: Rule that says what changes, when, and how much.
        geometry: Places of the columns, for newborns of a measured graph and for rules that need
            them; learned positions are read from the model.
        seed: Seed of the run.
        graph: Name of the graph of the model that is rewired (default: the first).
        sources: Places of the sources of a bipartite graph (default: ``geometry``).

    Example:
        >>> from graphcolumns.plasticity import Plasticity, Rule, Scoring, criteria
        >>> rule = Rule(scoring=Scoring(prune=criteria.mass, grow=criteria.chance))
        >>> Plasticity(rule).updates
        0
    """

    def __init__(
        self,
        rule: Rule,
        geometry: Geometry | None = None,
        seed: int = 0,
        graph: str | None = None,
        sources: Geometry | None = None,
    ) -> None:
        self.rule, self.geometry, self.seed, self.graph = rule, geometry, seed, graph
        self.sources = sources
        self.updates = 0
        self.age: Tensor | None = None
        self.memory: dict[str, Tensor] = {}
        self.cool_down = CoolDown.empty()
        self.past: Past | None = None
        self.shortfall: str | None = None
        self.edges_of = ""  # fingerprint of the edges that all this is of
        self.started = False

    def start(self, model: nn.Module) -> None:
        """Take the first edges of a model; nothing if it has begun already.

        Raises:
            ValueError: The rule cannot start from this graph, or what it has kept is of other edges
                than those of the model.
        """
        graph = graph_of(model, self.graph)
        if not self.started:
            require_different_graphs(model)
            keep_topology(model)
        if self.past is None:
            self.rule.constraints.check(graph)
            # The first edges are no newborns: there is no grace for them.
            self.age = torch.full((graph.num_edges,), self.rule.newborns.grace)
            self.past, self.edges_of = Past.start(graph), graph.fingerprint
        assert self.age is not None
        known = self.edges_of and graph.fingerprint
        if (known and self.edges_of != graph.fingerprint) or len(self.age) != graph.num_edges:
            raise ValueError(
                "the state of a rule must be of the edges of the model. Got a model of "
                f"{graph.num_edges} edges, {graph.fingerprint}, and a state of {len(self.age)}, "
                f"{self.edges_of or 'not named'}; load the state dicts of both that were saved "
                "together, or begin anew with Plasticity(rule, geometry)."
            )
        # It may come from a checkpoint, which is read to the CPU.
        self.past = Past(**{name: keys.to(graph.device) for name, keys in vars(self.past).items()})
        self.started = True

    def dry_run(
        self, model: nn.Module, step: int, inputs: Inputs, labels: Tensor, losses: Losses
    ) -> None:
        """Select swaps once and make none, so that a rule that cannot work fails before training.

        Arguments as of ``update``, with any number of samples.

        Raises:
            ValueError: Whatever ``update`` refuses.
        """
        self.start(model)
        rule, graph = self.rule, graph_of(model, self.graph)
        per_edge = list(edge_tensors(model, graph))  # refuses what cannot be carried along
        require_following(model, inputs, graph)
        memory = dict(self.memory)
        if rule.scoring.watch_movement and any(_is_trained(entry.tensor) for entry in per_edge):
            memory["movement"] = torch.zeros(graph.num_edges, device=graph.device)
        probe = Probe(
            model, self._geometry(model), inputs, labels, losses,
            step=step, update=self.updates + 1, seed=self.seed, age=self.age, memory=memory,
            name=self.graph,
        )  # fmt: skip
        if rule.scoring.update_memory is not None:
            probe.memory = memory | dict(rule.scoring.update_memory(probe.edges()))
        chosen = propose_swaps(rule, probe)
        if rule.acceptance.check_samples:
            length = None if rule.budget is None else rule.budget.length(step)
            samples = inputs, inputs, labels
            trial = Trial(
                rule, model, probe.geometry, *samples, losses, length, name=self.graph,
                sources=self.sources,
            )  # fmt: skip
            trial.run(chosen)

    def due(self, step: int) -> bool:
        """Whether an update is due after ``step`` optimizer steps."""
        return self.rule.is_due(step)

    @torch.no_grad()
    def watch(self, model: nn.Module) -> None:
        """Accumulate gradients, between the backward pass and the optimizer's step."""
        if not self.rule.scoring.watch_movement:
            return
        total = self.memory.get("movement")
        for entry in edge_tensors(model, graph_of(model, self.graph)):
            if entry.tensor.grad is not None:
                moved = movement_of_step(entry.tensor, entry.tensor.grad)
                total = moved if total is None else total.to(moved) + moved
        if total is not None:
            self.memory["movement"] = total

    def update(
        self,
        model: nn.Module,
        optimizer: Optimizer | None,
        step: int,
        inputs: Inputs,
        labels: Tensor,
        losses: Losses,
        averages: Iterable[nn.Module] = (),
    ) -> Update:
        """Propose swaps, try them, change the model, and carry its state along.

        Args:
            model: Model with a ColumnGraph as ``model.graph``, or several as ``model.graphs``.
            optimizer: Optimizer of its parameters.
            step: Optimizer steps so far.
            inputs: ``rule.num_samples`` samples ``[B, ...]``.
            labels: Labels ``[B, ...]``.
            losses: Function from the output of the model and the labels to one loss per sample.
            averages: Copies of the model that hold moving averages of its parameters, or the
                ``torch.optim.swa_utils.AveragedModel`` around them: brought along, see ``carry``.

        Raises:
            ValueError: Fewer samples than the rule takes, or what scores and selection refuse; of
                several processes that train together, some chose other edges than others.
        """
        self.start(model)
        rule, scoring = self.rule, self.rule.scoring
        if num_samples(inputs) < rule.num_samples:
            raise ValueError(
                f"an update takes {rule.num_samples} samples. Got {num_samples(inputs)}; pass more."
            )
        self.updates += 1
        probes = self._probes(model, step, inputs, labels, losses)
        if scoring.update_memory is not None:
            self.memory |= scoring.update_memory(probes[0].edges())
        waiting = rule.newborns.cool_down
        cooling_down = self.cool_down.cooling_down(self.updates, waiting) if waiting else None
        chosen = propose_swaps(rule, probes[0], cooling_down, *probes[1:])
        # Tried on samples that no score has seen: the best of many noisy scores is partly chance.
        scored, aside = slice(scoring.samples), slice(scoring.samples, rule.num_samples)
        trial = Trial(
            rule, model, probes[0].geometry, select_samples(inputs, scored),
            select_samples(inputs, aside), labels[aside], losses,
            None if rule.budget is None else rule.budget.length(step), name=self.graph,
            sources=self.sources,
        )  # fmt: skip
        result = trial.run(chosen)
        rewiring = result.rewiring
        require_same_edges(rewiring.graph)
        carry(rewiring, model, optimizer, newborn=trial.newborn(rewiring), averages=averages)
        metrics = self._record(rewiring, model)
        if missing := self._missing(rewiring, step):
            metrics["edges_missing"] = missing
        candidates = len(probes[0].targets) - rewiring.before.num_edges
        self.shortfall = shortfall(rule, missing, chosen, candidates) if missing else None
        if result.predicted is not None and result.realised is not None:
            metrics |= {
                "predicted_change": result.predicted,
                "realised_change": result.realised,
                "accepted": result.made / result.offered if result.offered else 1.0,
            }
        return Update(self.updates, rewiring, metrics)

    def _probes(
        self, model: nn.Module, step: int, inputs: Inputs, labels: Tensor, losses: Losses
    ) -> list[Probe]:
        """One probe, or two on half the samples each."""
        rule, geometry = self.rule, self._geometry(model)
        parts = 2 if rule.acceptance.accept == "split" else 1
        size = rule.scoring.samples // parts
        halves = [slice(part * size, (part + 1) * size) for part in range(parts)]
        return [
            Probe(
                model, geometry, select_samples(inputs, half), labels[half], losses,
                step=step, update=self.updates, seed=self.seed, age=self.age, memory=self.memory,
                name=self.graph,
            )
            for half in halves
        ]  # fmt: skip

    def _geometry(self, model: nn.Module) -> Geometry | None:
        """Places of the columns now; None if no geometry was given."""
        kinds = LearnedPositions | ColumnPlaces
        moving = any(isinstance(part, kinds) for part in model.modules())
        return current_geometry(model, self.geometry) if moving else self.geometry

    def _record(self, rewiring: Rewiring, model: nn.Module) -> dict[str, float]:
        """Bring ages, cool-downs and earlier edges up to date; the metrics of the update."""
        assert self.age is not None
        assert self.past is not None
        outputs = getattr(getattr(model, "readout", None), "columns", None)
        metrics = update_metrics(rewiring.graph, rewiring, self.past, outputs)
        self.past, self.age = self.past.after(rewiring), rewiring.carried(self.age + 1)
        if waiting := self.rule.newborns.cool_down:
            self.cool_down = self.cool_down.after(rewiring, self.updates, waiting)
        self.memory.pop("movement", None)  # accumulated from one update to the next
        self.edges_of = rewiring.graph.fingerprint
        return metrics

    def _missing(self, rewiring: Rewiring, step: int) -> int:
        """Edges fewer than there should be after an update; negative: more."""
        rule, goal = self.rule, rewiring.before.num_edges
        if rule.choose is not None:
            return 0
        if rule.budget is not None:
            wanted = rule.budget.edges(step, rewiring.before, rule.constraints.self_loops)
            goal = rewiring.graph.num_edges if wanted is None else wanted
        return goal - rewiring.graph.num_edges

    def outcome(self, model: nn.Module, steps: int) -> dict[str, float | str | None]:
        """What the rule aimed at in a run of ``steps`` and did not reach, see ``outcome``."""
        first = 0 if self.past is None else len(self.past.first)
        return outcome(self.rule, graph_of(model, self.graph), steps, first, self.shortfall)

    def state_dict(self) -> dict[str, Any]:
        """All that changes, as tensors and numbers."""
        past = None if self.past is None else vars(self.past)
        return {
            "updates": self.updates,
            "age": self.age,
            "memory": dict(self.memory),
            "cool_down": (self.cool_down.keys, self.cool_down.died),
            "past": None if past is None else dict(past),
            "shortfall": self.shortfall,
            "edges_of": self.edges_of,
            "graph": self.graph,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state_dict`` was called.

        Raises:
            ValueError: The state is of a rule on another graph of the model.
        """
        if state.get("graph") not in (None, self.graph):
            raise ValueError(
                f"a rule must go on with the graph that it began with, {state['graph']!r}. Got "
                f"{self.graph!r}; pass Plasticity(..., graph={state['graph']!r})."
            )
        state = of_today(state)
        self.updates, self.age = state["updates"], state["age"]
        self.memory = dict(state["memory"])
        self.cool_down = CoolDown(*state["cool_down"])
        self.past = None if state["past"] is None else Past(**state["past"])
        self.shortfall = state.get("shortfall")
        self.edges_of, self.started = state.get("edges_of", ""), False


def _is_trained(tensor: Tensor) -> bool:
    return isinstance(tensor, nn.Parameter) and tensor.requires_grad
