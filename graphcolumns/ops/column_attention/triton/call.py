"""One call of attention in Triton: what its kernels have in common, and how they are launched."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphcolumns.ops import tiles
from graphcolumns.ops.column_attention.inputs import AttentionInputs


class Call(NamedTuple):
    """The arguments that every pass over a graph takes."""

    q: Tensor  # [N, B or 1, H, D]
    k: Tensor  # [M, B, H, D]
    v: Tensor  # [M, B, H, Dv]
    bias: Tensor | None  # [E] or [E, H]
    cost: Tensor | None
    scale: float
    dropout: float
    seed: Tensor | None

    @classmethod
    def of(cls, inputs: AttentionInputs, bias: Tensor | None) -> Call:
        """The call for these inputs, with biases that count from the highest of their column."""
        return cls(*inputs[:3], bias, inputs.cost, *inputs[6:])

    @property
    def shared_query(self) -> bool:
        """Whether queries have no batch, and keys do."""
        return self.q.shape[1] != self.k.shape[1]

    def tile(self, rows: int, edges: int) -> tiles.Tile:
        """What a program reads at once from ``edges`` in ``rows``."""
        batch, heads = self.k.shape[1:3]
        width = max(self.q.shape[3], self.v.shape[3])
        return tiles.tile(self.q.dtype, edges / max(rows, 1), batch, heads, width)

    def parts(self, tile: tiles.Tile) -> int:
        """Slices of the lanes, the slice of the batch slowest."""
        batch, heads = self.k.shape[1:3]
        return tiles.ceil_div(batch, tile.batch) * tiles.ceil_div(heads, tile.heads)

    def launch(
        self,
        kernel: Any,
        tile: tiles.Tile,
        rows: int,
        groups: int,
        tensors: dict[str, Tensor],
        **numbers: int,
    ) -> None:
        """Runs ``kernel`` on ``rows`` in patches, ``groups`` times, on the current stream."""
        given = {"q": self.q, "k": self.k, "v": self.v, "bias": self.bias, "cost": self.cost}
        seed = None if self.seed is None else self.seed.to(self.q.device)
        given |= {"seed": seed, **tensors}
        grid = tiles.launch_grid(rows, groups)
        if grid.programs == 0:
            return
        with torch.cuda.device_of(self.q):
            kernel[(grid.programs,)](
                # What is absent is not read, but a kernel wants a pointer.
                **{name: self.q if x is None else x.contiguous() for name, x in given.items()},
                **numbers,
                batch=self.k.shape[1],
                patches=grid.patches,
                patch=grid.patch,
                scale=self.scale,
                rate=self.dropout,
                kept=1.0 / (1.0 - self.dropout),
                **self._constants(tile),
                num_warps=tile.warps,
                enable_fp_fusion=True,  # the default of Triton depends on its version
            )

    def _constants(self, tile: tiles.Tile) -> dict[str, int | bool]:
        width, value_width = self.q.shape[3], self.v.shape[3]
        return {
            "H": self.k.shape[2],
            "D": width,
            "DV": value_width,
            "SHARED_QUERY": self.shared_query,
            "BIAS": per_edge(self.bias),
            "COST": per_edge(self.cost),
            "DROPOUT": self.seed is not None,
            "EDGES": tile.edges,
            "BATCH": tile.batch,
            "HEADS": tile.heads,
            "WIDTH": tiles.power_of_two(width),
            "VALUE_WIDTH": tiles.power_of_two(value_width),
        }


def per_edge(values: Tensor | None) -> int:
    """Values per edge, 0 for none."""
    if values is None:
        return 0
    return 1 if values.dim() == 1 else values.shape[1]
