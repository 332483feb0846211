"""A network whose instruction selects the part of it that answers: three passes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.learning.backprop import backprop
from graphcolumns.models.bottom_up_top_down.by_task import (
    SkipClosed,
    Tasks,
    check_skip_closed,
    of_samples,
    skips_closed,
    through_sub_networks,
)
from graphcolumns.models.bottom_up_top_down.empty_warning import warn_of_empty
from graphcolumns.models.bottom_up_top_down.instruction_vectors import instruction_vectors
from graphcolumns.models.bottom_up_top_down.memory import task_memory
from graphcolumns.models.bottom_up_top_down.structure import (
    check_different,
    check_heads,
    check_population,
    count_instructions,
    input_of,
    last_columns,
)
from graphcolumns.nn.batches import Inputs
from graphcolumns.nn.checks import check_choice, check_counts
from graphcolumns.nn.protocols import ModelOutput
from graphcolumns.nn.top_down import (
    DirectFeedback,
    Neurons,
    TopDownNetwork,
    gates_of,
    top_down_gradients,
)
from graphcolumns.nn.top_down.sub_network_cache import SubNetworkCache
from graphcolumns.nn.topology_state import keep_topology

ScoredBy = Literal["counter_hebb", "backprop"]


class BottomUpTopDown(nn.Module):
    r"""A network with a bottom-up and a top-down stream, for a task that an instruction chooses.

    1. *Instruction pass*, top-down from the task: the neurons that become active are the
       sub-network of the task, :math:`g = 1[\bar h > 0]`.
    2. *Guided bottom-up pass* through that sub-network, from the image to the prediction.
    3. *Error pass*, top-down from the prediction: the learning rule
       :func:`~graphcolumns.learning.counter_hebb` makes it, or backpropagation takes its place.

    The instruction pass depends on the instruction alone, so it is made once for every different
    one in a batch. No gradient reaches the projection from the task: it draws the sub-networks,
    which change only along with the weights that they share.

    Args:
        network: Populations and projections, among them ``task`` (if there are instructions) and
            ``prediction``. Its input populations are those that nothing projects to.
        prediction: Name of the population that is read.
        task: Name of the population that the instruction sets, or None: no gates.
        task_input: Name of the population through which the instruction comes from below, like a
            second input, or None.
        heads: Parts of equal size that the population ``prediction`` has. The instruction, which
            must be of one task, then selects the part that is read.
        sweeps: Number of times that both streams run before the prediction is read. From the second
            on, the instruction pass is gated by the neurons of the bottom-up pass before it, so a
            neuron that was silent is closed: the sub-network of each sample narrows.
        image: Name of the input that is seen, where inputs are a mapping.
        instruction: Name of the input that holds the instruction of every sample: ids ``[B]``
            int64, or a vector ``[B, tasks]``.
        scored_by: Gradients by which rules of plasticity score edges: ``"counter_hebb"``, those of
            the top-down stream, Counter-Hebbian products on edges and on absent pairs; or
            ``"backprop"``. With tied weights both are the same. None: those that the model learns
            from, ``"backprop"`` where :func:`~graphcolumns.train` trains it by that rule and
            ``"counter_hebb"`` otherwise.
        skip_closed: Whether the guided pass, the error pass and products leave out columns that the
            task closes, for the samples of each task together: True, False, or ``"auto"``, where
            that is quicker. Results are equal up to rounding. Never with several sweeps, where
            gates depend on the sample, or while a layer is recorded or has hooks.

    Shapes:
        - inputs: ``{image: [B, ...], instruction: [B] or [B, tasks]}``, or ``[B, ...]`` alone
        - prediction: ``[B, K]``
        - state: ``[N, B, C]`` of the last population of columns below the prediction

    Raises:
        ValueError: A population that is not there or has two roles, no input population or several,
            fewer than one sweep or several without a task, heads that do not divide the prediction
            or are not as many as there are tasks, an unknown ``scored_by`` or ``skip_closed``; when
            called, an unknown instruction, another number of them than of images, or one of several
            tasks where heads are selected.
        KeyError: When called, an input that is not there.
        TypeError: When called, images of integers, or inputs that are no tensors.

    Warns:
        EmptySubNetworkWarning: A task whose sub-network is empty: no open neuron leads from the
            image to the prediction, which is then the same for all images.

    Source: Abel & Ullman, Biologically-Motivated Learning Model for Instructed Visual Processing,
    2023, https://arxiv.org/abs/2306.02415.
    """

    def __init__(
        self,
        network: TopDownNetwork,
        *,
        prediction: str = "prediction",
        task: str | None = "task",
        task_input: str | None = None,
        heads: int = 1,
        sweeps: int = 1,
        image: str = "image",
        instruction: str = "instruction",
        scored_by: ScoredBy | None = None,
        skip_closed: SkipClosed = "auto",
    ) -> None:
        super().__init__()
        check_counts(sweeps=sweeps, heads=heads)
        if task is None and sweeps > 1:
            raise ValueError(
                "several sweeps are of networks with gates, which instructions open. Got "
                f"sweeps={sweeps} without a task; leave it out."
            )
        if scored_by is not None:
            check_choice("scored_by", scored_by, get_args(ScoredBy))
        check_skip_closed(skip_closed)
        self._learned_by: ScoredBy = "counter_hebb"
        for name in (prediction, task, task_input):
            if name is not None:
                check_population(name, network)
        self.network, self.prediction, self.task, self.sweeps = network, prediction, task, sweeps
        self.task_input, self.heads = task_input, heads
        self.image, self.instruction, self.scored_by = image, instruction, scored_by
        self.skip_closed, self._sub_networks = skip_closed, SubNetworkCache()
        self.input = input_of(network, task_input)
        check_different(prediction, task, task_input, self.input)
        self.num_instructions = count_instructions(network, task, task_input, heads)
        check_heads(heads, prediction, network)
        self._read = last_columns(network, prediction, self.input)
        direct = any(getattr(layer, "feedback", None) == "direct" for layer in network.layers)
        self.direct_feedback = DirectFeedback(network, prediction) if direct else None
        keep_topology(self)

    @property
    def graphs(self) -> Mapping[str, ColumnGraph]:
        """The graphs of all layers on edges, by name."""
        return self.network.graphs

    @property
    def graph(self) -> ColumnGraph:
        """The first graph.

        Raises:
            ValueError: No layer is on the edges of a graph.
        """
        if not self.graphs:
            raise ValueError(
                "a model must have a graph of columns. Got layers without edges; take a layer on "
                "the edges of connect.complete_between in place of a dense one."
            )
        return next(iter(self.graphs.values()))

    def rewired(self, graph: ColumnGraph, name: str | None = None) -> None:
        """Takes other edges: the layers on them keep them."""

    def learned_by(self, rule: Any) -> None:
        """Takes note of the learning rule, whose gradients edges are scored by."""
        is_backprop = getattr(rule, "func", rule) is backprop
        self._learned_by = "backprop" if is_backprop else "counter_hebb"

    def own_gradients(self) -> AbstractContextManager[None]:
        """The context in which edges are scored, by the gradients that ``scored_by`` names."""
        chosen = self._learned_by if self.scored_by is None else self.scored_by
        return top_down_gradients(self.network) if chosen == "counter_hebb" else nullcontext()

    def forward(self, inputs: Inputs) -> ModelOutput:
        """The first two passes, and what they predict."""
        return self.output(self.neurons(inputs), inputs)

    def neurons(self, inputs: Inputs) -> Neurons:
        """Bottom-up neurons of all populations after the instruction pass and the guided pass."""
        seen = {self.input: self._values(self.input, self._image(inputs))}
        if self.task_input is not None:
            seen[self.task_input] = self._values(self.task_input, self._instruction(inputs))
        if self.task is None:
            # Without a task there are no gates that another sweep could change.
            return self.network.bottom_up(seen)
        tasks = self._tasks(inputs)
        if self.sweeps == 1 and skips_closed(self.network, tasks, self.skip_closed):
            return through_sub_networks(self._sub_networks, self.network, tasks, seen)
        gates = of_samples(self.network, tasks)
        for _ in range(self.sweeps - 1):
            # Only gates go on to the next sweep, and no gradient passes through them.
            with torch.no_grad():
                gates = self.gates(inputs, self.network.bottom_up(seen, gates)) or {}
        return self.network.bottom_up(seen, gates)

    @torch.no_grad()
    def gates(
        self, inputs: Inputs, neurons: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor] | None:
        """The sub-network of every sample's task: 0 or 1 for every neuron, by population.

        Args:
            inputs: Inputs with the instruction; no image is needed.
            neurons: Bottom-up neurons, which gate the instruction pass (default: nothing does).
        """
        if self.task is None:
            return None
        if neurons is not None:
            counters = self._instructed(self._instruction(inputs), neurons)
            return gates_of(self.network, counters)
        return of_samples(self.network, self._tasks(inputs))

    @torch.no_grad()
    def _tasks(self, inputs: Inputs) -> Tasks:
        """The gates of every different instruction, not of every sample."""
        vectors, task_of = self._instruction(inputs).unique(dim=0, return_inverse=True)
        gates = gates_of(self.network, self._instructed(vectors))
        warn_of_empty(self.network, gates, vectors, self.input, self.prediction)
        return Tasks(vectors, task_of, gates)

    def output(self, neurons: Neurons, inputs: Inputs) -> ModelOutput:
        """The prediction that neurons make."""
        populations = self.network.populations
        values = neurons[self.prediction]
        prediction = values.movedim(populations[self.prediction].batch_dim, 0).flatten(1)
        if self.heads > 1:
            each = prediction.unflatten(1, (self.heads, -1))
            prediction = each[torch.arange(len(each), device=each.device), self._head(inputs)]
        state = None if self._read is None else neurons[self._read]
        return ModelOutput(prediction, state)

    def describe(self) -> str:
        """What the model is, in one sentence."""
        count = sum(p.numel() for p in self.parameters())
        populations = len(self.network.populations)
        return (
            f"A bottom-up/top-down network of {populations} populations with {count:,} parameters"
            + ("." if self.task is None else ", whose instruction selects a sub-network.")
            + f" {task_memory(self).sentence}"
        )

    def _instructed(self, vectors: Tensor, neurons: Mapping[str, Tensor] | None = None) -> Neurons:
        assert self.task is not None
        tops = {self.task: self._values(self.task, vectors)}
        return self.network.top_down(tops, neurons, rectified=True, until=(self.input,))

    def _values(self, name: str, values: Tensor) -> Tensor:
        """Samples first, ``[B, ...]``, as values of a population."""
        population = self.network.populations[name]
        if values[:1].numel() != torch.Size(population.sizes).numel() * len(values[:1]):
            raise ValueError(
                f"{name!r} must get one value per neuron. Expected {population.sizes}. Got "
                f"{tuple(values.shape[1:])}."
            )
        shaped = values.reshape(len(values), *population.sizes)
        # Columns first once, or every op that reads the values copies them again.
        return shaped.movedim(0, population.batch_dim).contiguous()

    def _image(self, inputs: Inputs) -> Tensor:
        if not isinstance(inputs, Tensor) and self.image not in inputs:
            raise KeyError(_missing(self.image, inputs, "name the input with image=..."))
        image = inputs if isinstance(inputs, Tensor) else inputs[self.image]
        if not (isinstance(image, Tensor) and image.is_floating_point()):
            got = image.dtype if isinstance(image, Tensor) else type(image).__name__
            raise TypeError(f"{self.image!r} must be a floating tensor. Got {got}; call .float().")
        return image

    def _instruction(self, inputs: Inputs) -> Tensor:
        """Instructions as vectors, ``[B, tasks]``."""
        if isinstance(inputs, Tensor) or self.instruction not in inputs:
            hint = "name the input with instruction=..., or pass task=None to have no instructions"
            raise KeyError(_missing(self.instruction, inputs, hint))
        given = inputs[self.instruction]
        if self.image not in inputs:
            # An instruction pass needs no image.
            return instruction_vectors(given, self.num_instructions).to(next(self.parameters()))
        like, vectors = self._image(inputs), instruction_vectors(given, self.num_instructions)
        if len(vectors) != len(like):
            raise ValueError(
                f"every image must have an instruction. Expected {len(like)} instructions. Got "
                f"{len(vectors)}; repeat the instruction where all images have the same."
            )
        return vectors.to(like)

    def _head(self, inputs: Inputs) -> Tensor:
        """The task of every sample, ``[B]``."""
        vectors = self._instruction(inputs)
        if not ((vectors != 0).sum(1) == 1).all():
            raise ValueError(
                "an instruction must be of one task where it selects a head. Got a vector with "
                "several values or none; build the network with heads=1."
            )
        return vectors.argmax(1)


def _missing(name: str, inputs: Any, hint: str) -> str:
    there = "a tensor" if isinstance(inputs, Tensor) else ", ".join(map(repr, inputs))
    return f"inputs must hold {name!r}. Got {there}; {hint}."
