"""Pairs whose edge was dropped a short while ago and may not grow yet."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.graph.keys import contains, edge_keys
from graphcolumns.plasticity.rewiring.rewiring import Rewiring


@dataclass(frozen=True, eq=False)
class CoolDown:
    """Pairs that were dropped recently. A frozen value; two tensors to keep in a checkpoint.

    Args:
        keys: Keys of pairs that were dropped, ``target * M + source``, sorted, int64 ``[R]``.
        died: Number of the update that dropped each, int64 ``[R]``.
    """

    keys: Tensor
    died: Tensor

    @classmethod
    def empty(cls, device: torch.device | str = "cpu") -> CoolDown:
        """Nothing has been dropped yet."""
        none = torch.empty(0, dtype=torch.int64, device=device)
        return cls(none, none)

    def cooling_down(self, update: int, updates: int) -> Tensor:
        """Sorted keys of the pairs that may not grow at ``update``, ``[R]``."""
        return self.keys[self.died + updates >= update]

    def after(self, rewiring: Rewiring, update: int, updates: int) -> CoolDown:
        """The table after ``update``, without what is no longer needed: ``O(R + E)``.

        Args:
            rewiring: Change made at ``update``.
            update: Number of the update.
            updates: Number of updates that an edge has to wait.
        """
        gone = edge_keys(rewiring.before)[rewiring.died].to(self.keys.device)
        # What was dropped and came back in one change may be dropped and grown again at once.
        gone = gone[~contains(edge_keys(rewiring.graph).to(gone.device), gone)]
        kept = (self.died + updates > update) & ~contains(gone, self.keys)
        keys = torch.cat([self.keys[kept], gone])
        died = torch.cat([self.died[kept], torch.full_like(gone, update)])
        order = keys.argsort()
        return CoolDown(keys[order], died[order])
