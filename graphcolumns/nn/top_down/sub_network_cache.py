"""Sub-networks of the tasks seen last, made again when gates or edges have changed."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import torch

from graphcolumns.nn.top_down.passes import Neurons
from graphcolumns.nn.top_down.sub_network import SubNetwork

if TYPE_CHECKING:
    from graphcolumns.nn.top_down.network import TopDownNetwork


class SubNetworkCache:
    """The last sub-network of each of the tasks seen last.

    Every use compares the gates and the graphs with those that the sub-network was made for, so
    that it is made again when learning moves the gates or edges are rewired. Copies and files of a
    model start without sub-networks.

    Args:
        most: Number of tasks kept.
    """

    def __init__(self, most: int = 64) -> None:
        self.most = most
        self._kept: dict[Hashable, SubNetwork] = {}

    def get(self, network: TopDownNetwork, task: Hashable, gates: Neurons) -> SubNetwork:
        """The sub-network of a task.

        Args:
            network: Network.
            task: What distinguishes the task from others.
            gates: Its gates, with one sample.
        """
        found = self._kept.pop(task, None)
        if found is None or found.network is not network or not found.fits(gates):
            # It is kept for passes that learn, where tensors of inference mode are of no use.
            with torch.inference_mode(False):
                found = SubNetwork(network, {name: gate.clone() for name, gate in gates.items()})
        # At the end of the order: the first is the one not used for longest.
        self._kept[task] = found
        if len(self._kept) > self.most:
            del self._kept[next(iter(self._kept))]
        return found

    def __deepcopy__(self, memo: dict[int, Any]) -> SubNetworkCache:
        return SubNetworkCache(self.most)

    def __reduce__(self) -> tuple[type[SubNetworkCache], tuple[int]]:
        return SubNetworkCache, (self.most,)
