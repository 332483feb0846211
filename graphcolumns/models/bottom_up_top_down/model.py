"""A network whose instruction selects the part of it that answers: three passes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.batches import Inputs
from graphcolumns.nn.checks import check_choice, check_counts
from graphcolumns.nn.protocols import ModelOutput
from graphcolumns.nn.top_down import TopDownNetwork, gates_of, top_down_gradients
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
        task: Name of the population that the instruction sets, or None: no instruction, no gates.
        sweeps: Number of times that both streams run before the prediction is read. From the second
            on, the instruction pass is gated by the neurons of the bottom-up pass before it.
        image: Name of the input that is seen, where inputs are a mapping.
        instruction: Name of the input that holds the instruction of every sample: ids ``[B]``
            int64, or a vector ``[B, tasks]``.
        scored_by: Gradients by which rules of plasticity score edges: ``"counter_hebb"``, those of
            the top-down stream, Counter-Hebbian products on edges and on absent pairs; or
            ``"backprop"``, for models with own top-down weights that backpropagation trains. With
            tied weights both are the same.

    Shapes:
        - inputs: ``{image: [B, ...], instruction: [B] or [B, tasks]}``, or ``[B, ...]`` alone
        - prediction: ``[B, K]``
        - state: ``[N, B, C]`` of the last population of columns

    Raises:
        ValueError: A population that is not there, no input population or several, no graph of
            columns, fewer than one sweep, an unknown ``scored_by``; when called, an unknown
            instruction.
        KeyError: When called, an input that is not there.

    Source: Abel & Ullman, Biologically-Motivated Learning Model for Instructed Visual Processing,
    2023, https://arxiv.org/abs/2306.02415.
    """

    def __init__(
        self,
        network: TopDownNetwork,
        *,
        prediction: str = "prediction",
        task: str | None = "task",
        sweeps: int = 1,
        image: str = "image",
        instruction: str = "instruction",
        scored_by: ScoredBy = "counter_hebb",
    ) -> None:
        super().__init__()
        check_counts(sweeps=sweeps)
        check_choice("scored_by", scored_by, get_args(ScoredBy))
        for name in (prediction, *(() if task is None else (task,))):
            _check_population(name, network)
        self.network, self.prediction, self.task, self.sweeps = network, prediction, task, sweeps
        self.image, self.instruction, self.scored_by = image, instruction, scored_by
        targets = {p.target for p in network.projections}
        inputs = [name for name in network.order if name not in targets]
        if len(inputs) != 1:
            raise ValueError(f"a network must have one input population. Got {inputs}.")
        self.input = inputs[0]
        keep_topology(self)

    @property
    def graphs(self) -> Mapping[str, ColumnGraph]:
        """The graphs of all layers on edges, by name."""
        return self.network.graphs

    @property
    def graph(self) -> ColumnGraph:
        """The first graph."""
        return next(iter(self.graphs.values()))

    def rewired(self, graph: ColumnGraph, name: str | None = None) -> None:
        """Takes other edges: the layers on them keep them."""

    def own_gradients(self) -> AbstractContextManager[None]:
        """The context in which edges are scored, by the gradients that ``scored_by`` names."""
        return (
            top_down_gradients(self.network) if self.scored_by == "counter_hebb" else nullcontext()
        )

    def forward(self, inputs: Inputs) -> ModelOutput:
        """The first two passes, and what they predict."""
        return self.output(self.neurons(inputs), inputs)

    def neurons(self, inputs: Inputs) -> dict[str, Tensor]:
        """Bottom-up neurons of all populations after the instruction pass and the guided pass."""
        seen = {self.input: self._values(self.input, self._image(inputs))}
        gates = self.gates(inputs)
        neurons = self.network.bottom_up(seen, gates)
        for _ in range(self.sweeps - 1):
            gates = self.gates(inputs, neurons)
            neurons = self.network.bottom_up(seen, gates)
        return neurons

    @torch.no_grad()
    def gates(
        self, inputs: Inputs, neurons: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor] | None:
        """The sub-network of every sample's task: 0 or 1 for every neuron, by population.

        Args:
            inputs: Inputs with the instruction.
            neurons: Bottom-up neurons, which gate the instruction pass (default: nothing does).
        """
        if self.task is None:
            return None
        vectors = self._instruction(inputs)
        if neurons is not None:
            counters = self._instructed(vectors, neurons)
            return gates_of(self.network, counters)
        # Once for every different instruction, not once for every sample.
        different, index = vectors.unique(dim=0, return_inverse=True)
        gates = gates_of(self.network, self._instructed(different))
        return {
            name: gate.index_select(self.network.populations[name].batch_dim, index)
            for name, gate in gates.items()
        }

    def output(self, neurons: Mapping[str, Tensor], inputs: Inputs) -> ModelOutput:
        """The prediction that neurons make."""
        populations = self.network.populations
        values = neurons[self.prediction]
        prediction = values.movedim(populations[self.prediction].batch_dim, 0).flatten(1)
        columns = [n for n in self.network.order if populations[n].columns and n in neurons]
        hidden = [name for name in columns if name not in (self.prediction, self.input)]
        return ModelOutput(prediction, neurons[hidden[-1]] if hidden else None)

    def describe(self) -> str:
        """What the model is, in one sentence."""
        count = sum(p.numel() for p in self.parameters())
        populations = len(self.network.populations)
        return (
            f"A bottom-up/top-down network of {populations} populations with {count:,} parameters"
            + ("." if self.task is None else ", whose instruction selects a sub-network.")
        )

    def _instructed(
        self, vectors: Tensor, neurons: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
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
        return values.reshape(len(values), *population.sizes).movedim(0, population.batch_dim)

    def _image(self, inputs: Inputs) -> Tensor:
        if isinstance(inputs, Tensor):
            return inputs
        if self.image not in inputs:
            raise KeyError(_missing(self.image, inputs, "image"))
        return inputs[self.image]

    def _instruction(self, inputs: Inputs) -> Tensor:
        """Instructions as vectors, ``[B, tasks]``."""
        if isinstance(inputs, Tensor) or self.instruction not in inputs:
            raise KeyError(_missing(self.instruction, inputs, "instruction"))
        assert self.task is not None
        given, like = inputs[self.instruction], self._image(inputs)
        tasks = torch.Size(self.network.populations[self.task].sizes).numel()
        if given.ndim == 2 and given.shape[1] == tasks:
            return given.to(like)
        if given.ndim != 1 or given.is_floating_point():
            raise ValueError(
                f"an instruction must be ids [B] int64, or a vector [B, {tasks}]. Got "
                f"{given.dtype} {tuple(given.shape)}."
            )
        if given.numel() and not 0 <= int(given.min()) <= int(given.max()) < tasks:
            raise ValueError(
                f"an instruction must be the id of a task, 0 to {tasks - 1}. Got "
                f"{int(given.min())} to {int(given.max())}; build the network with as many tasks "
                "as there are instructions."
            )
        return nn.functional.one_hot(given, tasks).to(like)


def _missing(name: str, inputs: Any, option: str) -> str:
    there = "a tensor" if isinstance(inputs, Tensor) else ", ".join(map(repr, inputs))
    return (
        f"inputs must hold {name!r}. Got {there}; name the input with {option}=..., or pass "
        "task=None for a network without instructions."
    )


def _check_population(name: str, network: TopDownNetwork) -> None:
    if name not in network.populations:
        raise ValueError(
            f"the network must have the population {name!r}. Expected one of "
            f"{', '.join(map(repr, network.populations))}."
        )
