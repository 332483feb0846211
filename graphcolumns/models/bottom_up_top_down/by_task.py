"""The samples of a batch by task, and the guided pass through the sub-network of each task."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from graphcolumns.nn.top_down import (
    Neurons,
    SubNetworkNeurons,
    TaskSamples,
    TopDownEdges,
    TopDownNetwork,
)
from graphcolumns.nn.top_down.sub_network_cache import SubNetworkCache
from graphcolumns.nn.top_down.sub_network_neurons import samples_of

# Whether guided passes leave closed columns out.
SkipClosed = bool | Literal["auto"]


def check_skip_closed(option: object) -> None:
    """Raises ValueError for an unknown option."""
    if option not in (True, False, "auto"):
        raise ValueError(f"skip_closed must be True, False or 'auto'. Got {option!r}.")


class Tasks(NamedTuple):
    """The different instructions of a batch, and what each of them opens.

    Attributes:
        vectors: The different instructions, ``[K, tasks]``.
        task_of: Which of them each sample has, ``[B]`` int64.
        gates: Gates by population, one sample for each of them.
    """

    vectors: Tensor
    task_of: Tensor
    gates: Neurons


def of_samples(network: TopDownNetwork, tasks: Tasks) -> dict[str, Tensor]:
    """The gates of every sample of the batch."""
    found = {}
    for name, gate in tasks.gates.items():
        dim = network.populations[name].batch_dim
        if len(tasks.vectors) == 1:
            # One task for all samples is shown to all of them, without copies.
            found[name] = gate.expand(*gate.shape[:dim], len(tasks.task_of), *gate.shape[dim + 1 :])
        else:
            found[name] = gate.index_select(dim, tasks.task_of)
    return found


def skips_closed(network: TopDownNetwork, tasks: Tasks, option: SkipClosed) -> bool:
    """Whether the guided pass is made through sub-networks.

    Layers that are recorded or have hooks are run whole, so that these see all columns. Layers that
    need the whole batch at once do not get it task by task.
    """
    # The attribute of a model is set after it was built, too.
    check_skip_closed(option)
    if (
        option is False
        or not len(tasks.vectors)
        or torch.compiler.is_compiling()
        or _observed(network)
    ):
        return False
    if len(tasks.vectors) > 1 and any(layer.whole_batch for layer in network.layers):
        return False
    return option is True or _pays(network, tasks)


def through_sub_networks(
    cache: SubNetworkCache, network: TopDownNetwork, tasks: Tasks, seen: Neurons
) -> SubNetworkNeurons:
    """The guided pass, for the samples of one task after those of another."""
    found = []
    for place, vector in enumerate(tasks.vectors):
        gates = {
            name: gate.narrow(network.populations[name].batch_dim, place, 1)
            for name, gate in tasks.gates.items()
        }
        part = cache.get(network, tuple(vector.tolist()), gates)
        one = len(tasks.vectors) == 1
        samples = None if one else (tasks.task_of == place).nonzero()[:, 0]
        inputs = {name: samples_of(part, name, values, samples) for name, values in seen.items()}
        found.append(TaskSamples(part, samples, part.bottom_up(inputs)))
    return SubNetworkNeurons(found)


def _pays(network: TopDownNetwork, tasks: Tasks) -> bool:
    """Whether passes through sub-networks are quicker, by the columns that are open."""
    masks = [
        (gate > 0).any(2) for name, gate in tasks.gates.items() if network.populations[name].columns
    ]
    if not masks or len(tasks.task_of) < FEWEST_SAMPLES * len(tasks.vectors):
        return False
    lateral = (layer for layer in network.layers if isinstance(layer, TopDownEdges))
    largest = max((layer.graph.num_edges for layer in lateral), default=0)
    return largest >= FEWEST_EDGES and float(torch.cat(masks).float().mean()) <= MOST_OPEN


def _observed(network: TopDownNetwork) -> bool:
    return any(
        getattr(layer, "recorder", None) is not None
        or layer._forward_hooks
        or layer._forward_pre_hooks
        for layer in network.layers
    )


# Whole pass over sub-network made anew, on 4096 columns with 98,304 edges and 8 channels, see
# docs/measurements/gated_edges.md: 1.2 to 1.7 with 70 % of the columns open, 2.8 to 3.6 with 20 %.
MOST_OPEN = 0.7
# With 20 %, 16 samples of each task: 1.2 to 1.7 for one task, 1.5 to 1.9 for four. With 4 samples
# 0.9 to 1.2 and 0.5 to 0.7 (16 tasks): each task reads its edges and weights for itself.
FEWEST_SAMPLES = 16
# Below, a pass takes little more than the calls that it consists of. Not measured.
FEWEST_EDGES = 2**16
