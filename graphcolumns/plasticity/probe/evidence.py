"""What a rule reads: edges or candidates, with everything that can be measured of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.batches import Inputs, batch_slices, split_samples
from graphcolumns.nn.per_edge import edge_tensors
from graphcolumns.nn.protocols import graph_of
from graphcolumns.nn.recording import evaluating, recorders, recording
from graphcolumns.ops import EdgeScores
from graphcolumns.plasticity.probe.edge_weights import (
    EdgeWeight,
    edge_weights,
    weight_gradient,
)
from graphcolumns.plasticity.probe.fisher import answers_of, drawn
from graphcolumns.plasticity.probe.trace import Losses, ScoreSum, trace, trace_slice


@dataclass(eq=False)
class Probe:
    """Measurements of a model: edges and candidates go through it together, and only on demand.

    Args:
        model: Model to measure, as in :func:`~graphcolumns.plasticity.probe.trace.trace`.
        geometry: Places of the columns, or None.
        inputs: Samples ``[B, ...]``, or a mapping of such tensors.
        labels: Labels ``[B, ...]``.
        losses: Function from the output and the labels to one loss per sample.
        step: Optimizer steps so far.
        update: Number of the update, from 1.
        seed: Seed of the run.
        age: Updates that each edge has survived, ``[E]`` (default: zeros).
        memory: Tensors that the rule keeps between updates, see ``Scoring.update_memory``.
        slice_size: Samples at a time.
        name: Name of the model's graph that is measured (default: the first).
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
        # Where positions are learned, the graph is measured anew each time it is read.
        self.graph = graph_of(self.model, self.name)
        self.targets, self.sources = self.graph.target.long(), self.graph.source.long()

    def edges(self) -> Evidence:
        """The evidence on the edges."""
        return self._evidence(slice(0, self.graph.num_edges))

    def candidates(self, targets: Tensor, sources: Tensor) -> Evidence:
        """The evidence on these pairs; to be called once, before anything is measured."""
        edges = self.graph.num_edges
        if "scores" in vars(self) or len(self.targets) > edges:
            raise ValueError("candidates must be added once, before a score is read. Got a second.")
        self.targets = torch.cat([self.targets, targets.long()])
        self.sources = torch.cat([self.sources, sources.long()])
        return self._evidence(slice(edges, len(self.targets)))

    def _evidence(self, place: slice) -> Evidence:
        targets, sources = self.targets[place], self.sources[place]
        age = torch.zeros_like(targets) if self.age is None else self.age
        about = self.graph, self.step, self.update, self.seed, self.memory
        return Evidence(self, place, targets, sources, age, *about)

    @cached_property
    def scores(self) -> EdgeScores:
        """Scores of all edges, then of all candidates."""
        return trace(
            self.model, self.inputs, self.labels, self.losses, self.targets, self.sources,
            graph=self.graph, slice_size=self.slice_size,
        )  # fmt: skip

    def fisher(self, place: slice) -> EdgeScores:
        """Second moments of some of them under the labels that the model itself predicts.

        Read first, ``scores`` are measured on the way: samples run forward once for both.
        Where its prediction defines no labels, see ``answers_of``: under the true ones, those of
        ``scores``.
        """
        labels = self.labels
        answers = answers_of(self.losses, labels)
        if answers is None:
            return self.scores.at(place)
        pairs = self.targets[place], self.sources[place]
        every, some = ScoreSum(self.graph, self.targets, self.sources), ScoreSum(self.graph, *pairs)
        loss_of_draw = drawn(answers, self.seed, self.update)
        samples = torch.arange(len(labels), device=labels.device).split(self.slice_size)
        slices = batch_slices(self.inputs, labels, self.slice_size)
        known = "scores" in vars(self)  # measured already: no second time
        for (x, y), numbers in zip(slices, samples, strict=True):
            tasks = [(y, self.losses)] * (not known) + [(numbers, loss_of_draw)]
            traces = trace_slice(self.model, x, tasks, self.graph)
            if not known:
                every.add(traces.pop(0))  # and nothing is kept for the next slice
            some.add(traces.pop(0))
        if not known:
            self.scores = every.scores()
        return some.scores()

    @cached_property
    def activity(self) -> Tensor:
        """The size of every column's last state on every sample, ``[N, B]``."""
        with torch.no_grad(), evaluating(self.model):
            parts = [
                self._last_state(x).norm(dim=-1)
                for x in split_samples(self.inputs, self.slice_size)
            ]
        return torch.cat(parts, 1)

    def _last_state(self, inputs: Inputs) -> Tensor:
        """``output.state`` ``[N, b, C]``, or without one what the columns received last.

        A model of several graphs may give the state of more columns than this graph has.
        """
        with recording(self.model, self.graph) as records:
            state = getattr(self.model(inputs), "state", None)
        if isinstance(state, Tensor) and len(state) == self.graph.num_columns:
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
        probe: Measurements of the model that this is a part of.
        place: Place of these pairs in the probe.
        targets: Target column of each pair, ``[P]`` int64.
        sources: Source column of each pair, ``[P]`` int64.
        age: Edges. Updates survived, ``[E]`` int64.
        graph: Edges as they are.
        step: Optimizer steps so far.
        update: Number of the update, from 1.
        seed: Seed of the run.
        memory: Tensors that the rule keeps between updates, see ``Scoring.update_memory``.
    """

    probe: Probe
    place: slice
    targets: Tensor
    sources: Tensor
    age: Tensor
    graph: ColumnGraph
    step: int
    update: int
    seed: int
    memory: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def are_edges(self) -> bool:
        """Whether these are the edges, and not candidates."""
        return self.place == slice(0, self.graph.num_edges)

    @property
    def geometry(self) -> Geometry:
        """Places of the columns.

        Raises:
            ValueError: No geometry was given.
        """
        if self.probe.geometry is None:
            raise ValueError(
                "this rule needs the places of columns. Got geometry=None; pass the geometry that "
                "measured the graph."
            )
        return self.probe.geometry

    @cached_property
    def distance(self) -> Tensor:
        """Lengths of the pairs, ``[P]``, in the unit of the geometry."""
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
        """Edges. The attention that each gets, or the size of its weight, ``[E]``.

        A mean over samples, passes and heads. In a model without records of its edges: the mean
        size of the parameters that it keeps per edge.

        Raises:
            ValueError: There are neither records nor parameters.
        """
        model, graph = self.probe.model, self.graph
        if recorders(model):
            scores = self.probe.scores.at(self.place)
            return scores.mass / scores.samples
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
        """The size of every column's last state on every sample, ``[N, B]``."""
        return self.probe.activity

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
