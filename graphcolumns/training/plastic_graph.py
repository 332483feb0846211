"""A graph of a model and the rule that changes it while the model is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.data import AnyDataset, Batch
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.column_places import ColumnPlaces
from graphcolumns.nn.positions import LearnedPositions
from graphcolumns.nn.protocols import graph_of, graphs_of
from graphcolumns.plasticity import Plasticity, Rule
from graphcolumns.plasticity.rules.arrival import require_arrival
from graphcolumns.random.counter import derive
from graphcolumns.random.streams import generator
from graphcolumns.training.terms import per_sample


@dataclass(frozen=True, eq=False)
class PlasticGraph:
    """A rule at work on one graph of a model.

    Args:
        plasticity: The rule at work.
        seed: Seed of the run.
        name: Name of the graph.
        first: Whether it is the first graph of the model. Its metrics and its random numbers are
            those of a model with one graph; those of others have the name of the graph in theirs.
        several: Whether the model has several graphs.
    """

    plasticity: Plasticity
    seed: int
    name: str
    first: bool
    several: bool

    @classmethod
    def of(
        cls,
        rule: Rule,
        model: nn.Module,
        name: str,
        geometry: Geometry | None,
        sources: Geometry | None,
        seed: int,
    ) -> PlasticGraph:
        """The graph of a model under a rule, nothing of it started yet.

        Args:
            rule: Rule that changes the graph.
            model: Model of the graph.
            name: Name of the graph.
            geometry: Positions of its columns.
            sources: Positions of its sources, if they are others.
            seed: Seed of the run.

        Raises:
            ValueError: A geometry of other columns than the graph.
        """
        names, graph = list(graphs_of(model)), graph_of(model, name)
        first, several = name == names[0], len(names) > 1
        if geometry is not None:
            geometry = geometry.to(str(graph.device))
            geometry.require_columns(graph.num_columns)
        sources = None if sources is None else sources.to(str(graph.device))
        purpose = "plasticity" if first else f"plasticity/{name}"
        own = None if first else name
        made = Plasticity(rule, geometry, derive(seed, purpose), own, sources)
        return cls(made, seed, name, first, several)

    @property
    def log_name(self) -> str | None:
        """The name of the graph in ``edges.jsonl``; None in a model with one graph."""
        return self.name if self.several else None

    def graph(self, model: nn.Module) -> ColumnGraph:
        """The edges as they are."""
        return graph_of(model, self.name)

    def stream(self, purpose: str) -> str:
        """The name of a stream of random numbers."""
        return purpose if self.first else f"{purpose}/{self.name}"

    def named(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values under the names that they have in ``metrics.jsonl`` and ``summary.json``."""
        return {name if self.first else f"{self.name}/{name}": x for name, x in values.items()}

    def samples(self, scoring_set: AnyDataset, augmentation: Callable[..., Tensor] | None) -> Batch:
        """What the next update looks at: as many samples as its rule wants, none twice."""
        number = self.plasticity.updates + 1
        order = generator(self.seed, self.stream("scores"), number)
        chosen = torch.randperm(scoring_set.size("train"), generator=order)
        inputs, targets = scoring_set.batch("train", chosen[: self.plasticity.rule.num_samples])
        if augmentation is not None:
            stream = generator(self.seed, self.stream("scores augmentation"), number)
            inputs = augmentation(inputs, generator=stream)
        return Batch(inputs, targets)

    def require_measured(self, model: nn.Module, steps: int) -> None:
        """Raise unless newborns of a graph with distances can be measured.

        Raises:
            ValueError: There is no geometry.
        """
        graph, rule = self.graph(model), self.plasticity.rule
        kinds = LearnedPositions | ColumnPlaces
        moving = any(isinstance(part, kinds) for part in model.modules())
        measured = self.plasticity.geometry is not None or moving or graph.distance is None
        if not measured and rule.grows and self._updates(steps):
            raise ValueError(
                "newborn edges of a graph with distances must be measured. Got geometry=None; pass "
                "train(..., geometry=...), the one that measured the graph."
            )

    def try_out(self, model: nn.Module, data: AnyDataset, steps: int) -> None:
        """Raise what the first update would raise, and what cannot be reached in ``steps``."""
        rule, geometry = self.plasticity.rule, self.plasticity.geometry
        require_arrival(rule, self.graph(model), steps, geometry)
        if due := self._updates(steps):
            few = data.batch("train", torch.arange(min(2, data.size("train"))))
            self.plasticity.dry_run(model, due[0], *few, per_sample(data.task))

    def _updates(self, steps: int) -> list[int]:
        return [step for step in range(1, steps + 1) if self.plasticity.due(step)]
