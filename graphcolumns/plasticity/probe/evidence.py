"""What a rule sees: edges or candidates, with everything that can be measured of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.batches import Inputs, split_samples
from graphcolumns.nn.per_edge import edge_tensors
from graphcolumns.nn.protocols import graph_of
from graphcolumns.nn.recording import evaluating, recorders, recording
from graphcolumns.ops import EdgeScores
from graphcolumns.plasticity.probe.edge_weights import (
    EdgeWeight,
    edge_weights,
    weight_gradient,
)
from graphcolumns.plasticity.probe.fisher import Answers, drawn
from graphcolumns.plasticity.probe.score_sum import ScoreSum
from graphcolumns.plasticity.probe.trace import Losses, iter_slices_together, trace


@dataclass(eq=False)
class Probe:
    """One look at a model: edges and candidates go through it together, and only if asked for.

    Args:
        model: as in `trace`.
        geometry: where the columns are now.
        inputs: samples `[B, ...]`, or a mapping of such tensors.
        labels: `[B, ...]`.
        losses: one loss per sample.
        step: optimizer steps so far.
        update: number of the update, from 1.
        seed: of everything random.
        age: updates that each edge has survived, `[E]`.
        memory: what the rule keeps between updates, see ``Scoring.update_memory``.
        slice_size: samples at a time.
        name: which of the model's graphs is looked at (default: the first).
    """

    model: nn.Module
    geometry: Geometry | None
    inputs: Inputs
    labels: Tensor
    losses: Losses
    step: int = 0
    update: int = 1
    seed: int = 0
    age: Tensor | None = None
    memory: Mapping[str, Tensor] = field(default_factory=dict)
    slice_size: int = 32
    name: str | None = None

    def __post_init__(self) -> None:
        # Where positions are learned, the graph is measured anew each time it is asked for.
        self.graph = graph_of(self.model, self.name)
        self.targets, self.sources = self.graph.target.long(), self.graph.source.long()

    def edges(self) -> Evidence:
        """The evidence on the edges."""
        return Evidence(self, slice(0, self.graph.num_edges))

    def candidates(self, targets: Tensor, sources: Tensor) -> Evidence:
        """The evidence on these pairs; to be called once, before anything is measured."""
        if "scores" in vars(self) or len(self.targets) > self._edges:
            raise ValueError("candidates must be added once, before a score is read. Got a second.")
        self.targets = torch.cat([self.targets, targets.long()])
        self.sources = torch.cat([self.sources, sources.long()])
        return Evidence(self, slice(self._edges, len(self.targets)))

    @property
    def _edges(self) -> int:
        return self.graph.num_edges

    @property
    def num_candidates(self) -> int:
        """How many pairs that are no edges are looked at."""
        return len(self.targets) - self._edges

    @cached_property
    def scores(self) -> EdgeScores:
        """Of all edges, then of all candidates."""
        return trace(
            self.model, self.inputs, self.labels, self.losses, self.targets, self.sources,
            graph=self.graph, slice_size=self.slice_size,
        )  # fmt: skip

    def fisher(self, place: slice) -> EdgeScores:
        """Second moments of some of them under the labels that the model itself predicts.

        Asked for first, `scores` are measured on the way: samples run forward once for both.
        Where labels are neither classes nor bits: under the true ones, those of `scores`.
        """
        labels = self.labels
        answers: Answers = "classes" if labels.dim() == 1 else "bits"
        if answers == "bits" and bool(((labels != 0) & (labels != 1)).any()):
            return self.scores.at(place)
        pairs = self.targets[place], self.sources[place]
        tallies = [ScoreSum(self.graph, self.targets, self.sources), ScoreSum(self.graph, *pairs)]
        samples = torch.arange(len(labels), device=labels.device)
        of_draw = samples, drawn(answers, self.seed, self.update)
        asked = [(labels, self.losses), of_draw]
        if "scores" in vars(self):  # measured already: no second time
            tallies, asked = tallies[1:], asked[1:]
        slices = iter_slices_together(
            self.model, self.inputs, asked, graph=self.graph, slice_size=self.slice_size
        )
        for parts in slices:
            for tally in tallies:
                tally.add(parts.pop(0))  # and nothing is kept for the next slice
        if len(tallies) == 2:
            self.scores = tallies[0].scores()
        return tallies[-1].scores()

    @cached_property
    def activity(self) -> Tensor:
        """The size of every column's last state on every sample, `[N, B]`."""
        with torch.no_grad(), evaluating(self.model):
            parts = [
                self._last_state(x).norm(dim=-1)
                for x in split_samples(self.inputs, self.slice_size)
            ]
        return torch.cat(parts, 1)

    def _last_state(self, inputs: Inputs) -> Tensor:
        """`output.state` `[N, b, C]`, or without one what the columns received last."""
        with recording(self.model, self.graph) as records:
            state = getattr(self.model(inputs), "state", None)
        if isinstance(state, Tensor):
            return state
        if not records:
            raise ValueError(
                "this rule reads the activity of columns. Expected an output with state [N, B, C], "
                f"or a layer that records along the graph. Got neither in "
                f"{type(self.model).__name__}; return a state beside the prediction."
            )
        return records[-1].out.flatten(2)


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a score reads: the edges of a graph, or candidates for new ones.

    A score is a function from here to one number per pair; nothing is measured before a property
    is read. Those under *edges* are for edges only.

    Attributes:
        probe: The look at the model that this is a part of.
        place: Of these pairs in the probe.
    """

    probe: Probe
    place: slice

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def targets(self) -> Tensor:
        """Who would listen, `[P]` int64."""
        return self.probe.targets[self.place]

    @property
    def sources(self) -> Tensor:
        """To whom, `[P]` int64."""
        return self.probe.sources[self.place]

    @property
    def are_edges(self) -> bool:
        """Whether these are the edges, and not candidates."""
        return self.place == slice(0, self.graph.num_edges)

    @property
    def graph(self) -> ColumnGraph:
        """The edges there are."""
        return self.probe.graph

    @property
    def geometry(self) -> Geometry:
        """Where the columns are.

        Raises:
            ValueError: nobody said where.
        """
        if self.probe.geometry is None:
            raise ValueError(
                "this rule asks where columns are. Got geometry=None; pass the geometry that "
                "measured the graph."
            )
        return self.probe.geometry

    @property
    def step(self) -> int:
        """Optimizer steps so far."""
        return self.probe.step

    @property
    def update(self) -> int:
        """Number of the update, from 1."""
        return self.probe.update

    @property
    def seed(self) -> int:
        """Of everything random."""
        return self.probe.seed

    @property
    def memory(self) -> Mapping[str, Tensor]:
        """Tensors that the rule keeps between updates, see ``Scoring.update_memory``."""
        return self.probe.memory

    @cached_property
    def distance(self) -> Tensor:
        """Their lengths, `[P]`, in the unit of the geometry."""
        if self.are_edges and self.graph.distance is not None:
            return self.graph.distance.detach()
        self.geometry.require_columns(self.graph.num_columns)
        self.geometry.require_columns(self.graph.num_sources)
        with torch.no_grad():
            return self.geometry.distance(self.targets, self.sources)

    @property
    def scores(self) -> EdgeScores:
        """What deleting or inserting each would do, summed over the samples."""
        return self.probe.scores.at(self.place)

    @cached_property
    def mass(self) -> Tensor:
        """Edges. The attention that each gets, or the size of its weight, `[E]`.

        A mean over samples, passes and heads. In a model without records of its edges: the mean
        size of the parameters that it keeps per edge.

        Raises:
            ValueError: there are neither records nor parameters.
        """
        model, graph = self.probe.model, self.graph
        if recorders(model):
            return self.scores.mass / self.scores.samples
        tensors = (entry.tensor.detach() for entry in edge_tensors(model, graph))
        sizes = [x.reshape(len(x), -1).abs().double().mean(1) for x in tensors]
        if not sizes:
            raise ValueError(
                "this rule reads the size of edges. Expected layers that record along the graph, "
                f"or parameters per edge (edge_tensors). Got neither in {type(model).__name__}."
            )
        return torch.stack(sizes).mean(0)

    @cached_property
    def fisher(self) -> EdgeScores:
        """Second moments of the same under the labels that the model predicts."""
        return self.probe.fisher(self.place)

    @property
    def activity(self) -> Tensor:
        """The size of every column's last state on every sample, `[N, B]`."""
        return self.probe.activity

    @property
    def age(self) -> Tensor:
        """Edges. Updates survived, `[E]` int64."""
        age = self.probe.age
        return torch.zeros_like(self.targets) if age is None else age

    @property
    def weight(self) -> Tensor:
        """Edges. Their weights in all layers, ``[E, K]``, one column per head or channel.

        The parameters that the model keeps per edge: scores of an edge bias (``-inf`` closes an
        edge), weights of EdgeLinear, or those of a layer that names its ``edge_tensors``. Where an
        edge bias has scores for all heads and scores per head, these are their sums.

        Raises:
            ValueError: The model has none, or these are candidates.
        """
        return torch.cat([weight.values for weight in self._weights], 1)

    @property
    def centred_weight(self) -> Tensor:
        """Edges. As ``weight``, scores of a softmax less the mean of their target's open in-edges.

        A constant that is added to all in-edges of a column changes nothing that it receives.
        """
        return torch.cat([weight.centred(self.graph) for weight in self._weights], 1)

    @cached_property
    def weight_gradient(self) -> Tensor:
        """Edges. The gradient of the mean loss by each entry of ``weight``, ``[E, K]``."""
        probe = self.probe
        batch = probe.inputs, probe.labels, probe.losses
        return weight_gradient(probe.model, *batch, self._weights, probe.slice_size)

    @property
    def _weights(self) -> list[EdgeWeight]:
        if not self.are_edges:
            raise ValueError(
                "weights are those of edges. Expected the evidence on edges. Got candidates, which "
                "have none; choose a criterion for growing."
            )
        return edge_weights(self.probe.model, self.graph)
