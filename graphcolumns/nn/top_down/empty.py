"""Tasks whose gates let nothing through."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from graphcolumns.nn.top_down.network import TopDownNetwork


class EmptySubNetworkWarning(RuntimeWarning):
    """A task has no sub-network: its prediction is the same for every image.

    Before training it is an error: ``check_fit`` raises ValueError in its place.
    """


def empty_sub_networks(
    network: TopDownNetwork, gates: Mapping[str, Tensor], bottom: str, top: str
) -> list[tuple[int, str]]:
    """Samples whose gates leave no way from one population to another.

    A way leads through populations with an open gate at least. A prediction without a way from the
    image is a constant.

    Args:
        network: Network.
        gates: 0 or 1 for every neuron, by population, for some samples or instructions.
        bottom: Population where ways begin, such as the image.
        top: Population where they end, such as the prediction.

    Returns:
        Index of the sample, and the first population on its ways that is closed.
    """
    if not gates:
        return []
    opened = {name: _any(gate, network, name) for name, gate in gates.items()}
    if torch.stack(list(opened.values())).all():
        return []
    samples = len(next(iter(opened.values())))
    found = [(at, _closed(network, opened, at, bottom, top)) for at in range(samples)]
    return [(at, name) for at, name in found if name is not None]


def _any(gate: Tensor, network: TopDownNetwork, name: str) -> Tensor:
    """Whether a gate of a population is open, for every sample."""
    return gate.movedim(network.populations[name].batch_dim, 0).flatten(1).any(1)


def _closed(
    network: TopDownNetwork, opened: Mapping[str, Tensor], at: int, bottom: str, top: str
) -> str | None:
    """The first closed population on the way up; None where there is an open way."""
    reached, closed = {bottom}, []
    for name in network.order:
        below = {p.source for p in network.projections if p.target == name}
        if below & reached:
            if name in opened and not opened[name][at]:
                closed.append(name)
            else:
                reached.add(name)
    return None if top in reached or not closed else closed[0]
