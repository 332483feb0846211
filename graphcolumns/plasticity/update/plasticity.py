"""A rule at work: what it has to remember from one update to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from graphcolumns.distributed.consensus import require_same_edges
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.batches import Inputs, num_samples, select_samples
from graphcolumns.nn.current_geometry import current_geometry
from graphcolumns.nn.per_edge import edge_tensors
from graphcolumns.nn.positions import LearnedPositions
from graphcolumns.nn.protocols import graph_of, require_different_graphs
from graphcolumns.nn.topology_state import keep_topology
from graphcolumns.plasticity.criteria.gradient import movement_of_step
from graphcolumns.plasticity.probe.evidence import Probe
from graphcolumns.plasticity.probe.trace import Losses
from graphcolumns.plasticity.rewiring.cool_down import CoolDown
from graphcolumns.plasticity.rewiring.rewiring import Rewiring
from graphcolumns.plasticity.rules.outcome import outcome, shortfall
from graphcolumns.plasticity.rules.rule import Rule
from graphcolumns.plasticity.state.carry import carry
from graphcolumns.plasticity.update.follow import require_following
from graphcolumns.plasticity.update.metrics import Past, describe
from graphcolumns.plasticity.update.propose import propose_swaps
from graphcolumns.plasticity.update.trial import Trial

# What run folders of earlier versions call it in the memory of a rule.
FORMER_NAMES = {"ends_in": "synaptic_elements_in", "ends_out": "synaptic_elements_out"}


class Update(NamedTuple):
    """One update: the change, and what is to be said of it."""

    number: int
    rewiring: Rewiring
    metrics: dict[str, float]


class Plasticity:
    """A rule at work on a model: ages, cool-downs and memory between updates.

    Args:
        rule: what dies, what is born, and when.
        geometry: where the columns are, for newborns of a measured graph and for rules that ask;
            learned positions are read from the model.
        seed: of everything random.
        graph: name of the graph of the model that is rewired (default: the first).

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
    ) -> None:
        self.rule, self.geometry, self.seed, self.graph = rule, geometry, seed, graph
        self.updates = 0
        self.age: Tensor | None = None
        self.memory: dict[str, Tensor] = {}
        self.cool_down = CoolDown.empty()
        self.past: Past | None = None
        self.shortfall: str | None = None
        self.edges_of = ""  # fingerprint of the edges that it remembers

    def start(self, model: nn.Module) -> None:
        """Look at the first edges; nothing if it has begun already.

        Raises:
            ValueError: the rule cannot start from this graph, or what it remembers is of other
                edges than those of the model.
        """
        graph = graph_of(model, self.graph)
        require_different_graphs(model)
        keep_topology(model)
        if self.past is not None:
            self._require_edges(graph)
            # It may come from a checkpoint, which is read to the CPU.
            self.past = Past(
                **{name: keys.to(graph.device) for name, keys in vars(self.past).items()}
            )
            return
        self.rule.constraints.check(graph)
        # The first edges are no newborns: there is no grace for them.
        self.age = torch.full((graph.num_edges,), self.rule.newborns.grace)
        self.past = Past.start(graph)
        self.edges_of = graph.fingerprint

    def _require_edges(self, graph: ColumnGraph) -> None:
        assert self.age is not None
        known = self.edges_of and graph.fingerprint
        other = bool(known) and self.edges_of != graph.fingerprint
        if other or len(self.age) != graph.num_edges:
            raise ValueError(
                "what a rule remembers must be of the edges of the model. Got a model of "
                f"{graph.num_edges} edges, {graph.fingerprint}, and a memory of {len(self.age)}, "
                f"{self.edges_of or 'not named'}; load the state dicts of both that were saved "
                "together, or begin anew with Plasticity(rule, geometry)."
            )

    def dry_run(
        self, model: nn.Module, step: int, inputs: Inputs, labels: Tensor, losses: Losses
    ) -> None:
        """Decide once and do nothing, so that a rule that cannot work fails before training.

        Arguments as of `update`, with any number of samples.

        Raises:
            ValueError: whatever `update` refuses.
        """
        self.start(model)
        rule, graph = self.rule, graph_of(model, self.graph)
        per_edge = list(edge_tensors(model, graph))  # refuses what cannot be carried along
        require_following(model, inputs, graph)
        memory = dict(self.memory)
        if rule.scoring.watch_movement and any(_is_trained(entry.tensor) for entry in per_edge):
            memory["movement"] = torch.zeros(graph.num_edges, device=graph.device)
        look = Probe(
            model, self._geometry(model), inputs, labels, losses,
            step=step, update=self.updates + 1, seed=self.seed, age=self.age, memory=memory,
            name=self.graph,
        )  # fmt: skip
        if rule.scoring.update_memory is not None:
            look.memory = memory | dict(rule.scoring.update_memory(look.edges()))
        chosen = propose_swaps(rule, look)
        if rule.acceptance.check_samples:
            length = None if rule.budget is None else rule.budget.length(step)
            samples = inputs, inputs, labels
            Trial(rule, model, look.geometry, *samples, losses, length, name=self.graph).run(chosen)

    def due(self, step: int) -> bool:
        """Whether an update is due after `step` optimizer steps."""
        return self.rule.is_due(step)

    @torch.no_grad()
    def watch(self, model: nn.Module) -> None:
        """Take note of gradients, between the backward pass and the optimizer's step."""
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
        """Decide, change the model, and bring everything along.

        Args:
            model: has a ColumnGraph as `model.graph`, or several as `model.graphs`.
            optimizer: of its parameters.
            step: optimizer steps so far.
            inputs: `rule.num_samples` samples `[B, ...]`.
            labels: `[B, ...]`.
            losses: from the output of the model and the labels to one loss per sample `[B]`.
            averages: copies of the model that hold moving averages of its parameters, or the
                `torch.optim.swa_utils.AveragedModel` around them: brought along, see `carry`.

        Raises:
            ValueError: fewer samples than the rule wants, or what scores and choices refuse; of
                several processes that train together, some chose other edges than others.
        """
        self.start(model)
        rule, geometry = self.rule, self._geometry(model)
        if num_samples(inputs) < rule.num_samples:
            raise ValueError(
                f"an update takes {rule.num_samples} samples. Got {num_samples(inputs)}; pass more."
            )
        self.updates += 1
        looks, check = self._looks(model, geometry, step, inputs, labels, losses)
        if rule.scoring.update_memory is not None:
            self.memory |= rule.scoring.update_memory(looks[0].edges())
            looks[0].memory = self.memory
        waiting = rule.newborns.cool_down
        cooling_down = self.cool_down.cooling_down(self.updates, waiting) if waiting else None
        chosen = propose_swaps(rule, looks[0], cooling_down, looks[1] if len(looks) > 1 else None)
        length = None if rule.budget is None else rule.budget.length(step)
        scored = select_samples(inputs, slice(rule.scoring.samples))
        trial = Trial(rule, model, geometry, scored, *check, losses, length, name=self.graph)
        verdict = trial.run(chosen)
        rewiring = verdict.rewiring
        require_same_edges(rewiring.graph)
        newborn = trial.newborn(rewiring)
        carry(rewiring, model, optimizer, newborn=newborn, averages=averages)
        self._remember(rewiring)
        metrics = self._described(rewiring, model)
        missing = self._missing(rewiring, step)
        if missing:
            metrics["edges_missing"] = missing
        self.shortfall = shortfall(
            rule, missing, chosen, len(looks[0].targets) - rewiring.before.num_edges
        )
        if verdict.predicted is not None and verdict.realised is not None:
            metrics |= {
                "predicted_change": verdict.predicted,
                "realised_change": verdict.realised,
                "accepted": verdict.made / verdict.offered if verdict.offered else 1.0,
            }
        return Update(self.updates, rewiring, metrics)

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
        """What the rule aimed at in a run of `steps` and did not reach, see `outcome`."""
        first = 0 if self.past is None else len(self.past.first)
        return outcome(self.rule, graph_of(model, self.graph), steps, first, self.shortfall)

    def _looks(
        self,
        model: nn.Module,
        geometry: Geometry | None,
        step: int,
        inputs: Inputs,
        labels: Tensor,
        losses: Losses,
    ) -> tuple[list[Probe], tuple[Inputs, Tensor]]:
        """One probe, or two on half the samples each, and the samples set aside."""
        rule = self.rule
        halves = 2 if rule.acceptance.accept == "split" else 1
        size = rule.scoring.samples // halves
        looks = [
            Probe(
                model,
                geometry,
                select_samples(inputs, slice(part * size, (part + 1) * size)),
                labels[part * size : (part + 1) * size],
                losses,
                step=step,
                update=self.updates,
                seed=self.seed,
                age=self.age,
                memory=self.memory,
                name=self.graph,
            )
            for part in range(halves)
        ]
        aside = slice(rule.scoring.samples, rule.num_samples)
        return looks, (select_samples(inputs, aside), labels[aside])

    def _remember(self, rewiring: Rewiring) -> None:
        assert self.age is not None
        self.age = rewiring.carried(self.age + 1)
        if waiting := self.rule.newborns.cool_down:
            self.cool_down = self.cool_down.after(rewiring, self.updates, waiting)
        self.memory.pop("movement", None)  # accumulated from one update to the next
        self.edges_of = rewiring.graph.fingerprint

    def _described(self, rewiring: Rewiring, model: nn.Module) -> dict[str, float]:
        assert self.past is not None
        outputs = getattr(getattr(model, "readout", None), "columns", None)
        metrics = describe(rewiring.graph, rewiring, self.past, outputs)
        self.past = self.past.after(rewiring)
        return metrics

    def _geometry(self, model: nn.Module) -> Geometry | None:
        """Where the columns are now; None if nobody said."""
        learned = any(isinstance(part, LearnedPositions) for part in model.modules())
        return current_geometry(model, self.geometry) if learned else self.geometry

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
        """Go on where `state_dict` was called.

        Raises:
            ValueError: the state is of a rule on another graph of the model.
        """
        if state.get("graph") not in (None, self.graph):
            raise ValueError(
                f"a rule must go on with the graph that it began with, {state['graph']!r}. Got "
                f"{self.graph!r}; pass Plasticity(..., graph={state['graph']!r})."
            )
        self.updates, self.age = state["updates"], state["age"]
        self.memory = {FORMER_NAMES.get(name, name): x for name, x in state["memory"].items()}
        # "resting" in run folders of earlier versions.
        self.cool_down = CoolDown(*state.get("cool_down", state.get("resting")))
        self.past = None if state["past"] is None else Past(**state["past"])
        self.shortfall = state.get("shortfall")
        self.edges_of = state.get("edges_of", "")


def _is_trained(tensor: Tensor) -> bool:
    return isinstance(tensor, nn.Parameter) and tensor.requires_grad
