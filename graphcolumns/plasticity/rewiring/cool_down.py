"""Pairs whose edge died a short while ago and may not grow yet."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.plasticity.rewiring.change import Rewiring
from graphcolumns.plasticity.rewiring.keys import contains, edge_keys


@dataclass(frozen=True, eq=False)
class CoolDown:
    """When recently dropped edges died. A frozen value; two tensors to keep in a checkpoint.

    Args:
        keys: of pairs that died, `target * M + source`, sorted, int64 `[R]`.
        died: the update at which each died, int64 `[R]`.
    """

    keys: Tensor
    died: Tensor

    @classmethod
    def empty(cls, device: torch.device | str = "cpu") -> CoolDown:
        """Nothing has died yet."""
        none = torch.empty(0, dtype=torch.int64, device=device)
        return cls(none, none)

    def resting(self, update: int, updates: int) -> Tensor:
        """Sorted keys of the pairs that may not grow at `update`: dead for at most `updates`."""
        return self.keys[self.died + updates >= update]

    def after(self, rewiring: Rewiring, update: int, updates: int) -> CoolDown:
        """The table after `update`, without what is no longer needed: `O(R + E)`.

        Args:
            rewiring: the change made at `update`.
            update: its number.
            updates: how many updates an edge has to wait.
        """
        gone = edge_keys(rewiring.before)[rewiring.died].to(self.keys.device)
        # What died and came back in one change does not rest.
        gone = gone[~contains(edge_keys(rewiring.graph).to(gone.device), gone)]
        kept = (self.died + updates > update) & ~contains(gone, self.keys)
        keys = torch.cat([self.keys[kept], gone])
        died = torch.cat([self.died[kept], torch.full_like(gone, update)])
        order = keys.argsort()
        return CoolDown(keys[order], died[order])
