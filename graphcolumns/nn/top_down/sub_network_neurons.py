"""Neurons of a batch whose samples went through the sub-networks of their tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.nn.top_down.passes import Neurons
from graphcolumns.nn.top_down.sub_network import SubNetwork


class TaskSamples(NamedTuple):
    """The samples of one task and their neurons.

    Attributes:
        sub_network: Sub-network of the task.
        samples: Which samples of the batch they are, ``[B']`` int64, or None: all.
        neurons: Neurons of open columns, by population.
    """

    sub_network: SubNetwork
    samples: Tensor | None
    neurons: Neurons


class SubNetworkNeurons(Mapping[str, Tensor]):
    """Neurons of a whole batch by population, kept as those of open columns, task by task.

    To read a population gives its values as the whole network would, with all columns and the
    samples in their order; they are put together when they are first read. Passes and rules that
    know sub-networks take ``tasks`` instead, and leave closed columns out.

    Args:
        tasks: Every sample of the batch, by task.

    Attributes:
        tasks: Every sample of the batch, by task.
    """

    def __init__(self, tasks: Sequence[TaskSamples]) -> None:
        self.tasks = tuple(tasks)
        self._whole: dict[str, Tensor] = {}
        samples = [task.samples for task in self.tasks if task.samples is not None]
        # The place of each sample among those in order of tasks.
        self._order = torch.cat(samples).argsort() if samples else None

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._whole:
            values = [task.sub_network.scatter(name, task.neurons[name]) for task in self.tasks]
            dim = self.tasks[0].sub_network.network.populations[name].batch_dim
            order = self._order
            whole = values[0] if order is None else torch.cat(values, dim).index_select(dim, order)
            self._whole[name] = whole
        return self._whole[name]

    def __contains__(self, name: object) -> bool:
        # Without putting values together, as a Mapping does.
        return name in self.tasks[0].neurons

    def __iter__(self) -> Iterator[str]:
        return iter(self.tasks[0].neurons)

    def __len__(self) -> int:
        return len(self.tasks[0].neurons)

    def top_down(self, tops: Neurons, until: Sequence[str] = ()) -> SubNetworkNeurons:
        """The error pass of every task through its sub-network.

        Args:
            tops: Top-down neurons of the whole batch, of populations that the pass starts from.
            until: Populations whose counter neurons are not needed.
        """
        found = []
        for part, samples, neurons in self.tasks:
            given = {n: part.select(n, samples_of(part, n, v, samples)) for n, v in tops.items()}
            counters = part.top_down(given, neurons, until=until)
            found.append(TaskSamples(part, samples, counters))
        return SubNetworkNeurons(found)

    def accumulate(self, counters: SubNetworkNeurons) -> None:
        """Adds the Counter-Hebbian gradients of all tasks to ``.grad``.

        Args:
            counters: Top-down neurons of the same tasks.
        """
        for below, above in zip(self.tasks, counters.tasks, strict=True):
            below.sub_network.accumulate(below.neurons, above.neurons)


def samples_of(part: SubNetwork, name: str, values: Tensor, samples: Tensor | None) -> Tensor:
    """The values of some samples of a population."""
    if samples is None:
        return values
    return values.index_select(part.network.populations[name].batch_dim, samples)
