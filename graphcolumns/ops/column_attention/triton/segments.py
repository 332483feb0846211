"""Long rows in segments: the tables, and the sums over the segments of a row."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphcolumns.ops import tiles

BLOCK = 1024  # numbers of a row that one program of a merge does at most


class Segments(NamedTuple):
    """A CSR whose rows are cut into segments, which are rows of a longer CSR on the same edges.

    So the kernels take it as any other, and edge ids stay what they are. A short row is one
    segment. No size depends on the values of a tensor: nothing waits for the device.
    """

    pointers: Tensor  # [segments + 1] int64, where each starts among the edges
    row: Tensor  # [segments] int64, whose it is
    first: Tensor  # [rows + 1] int64, the segments of each row; what comes after them is empty

    @classmethod
    def of(cls, pointers: Tensor, edges: int, longest: int) -> Segments:
        """Rows ``pointers`` in segments of at most ``longest`` edges."""
        degree = pointers.diff()
        count = ((degree + longest - 1) // longest).clamp(min=1)
        first = torch.nn.functional.pad(count.cumsum(0), (1, 0))
        # A row of d edges has at most d / longest more segments than one.
        segment = torch.arange(len(degree) + edges // longest, device=pointers.device)
        row = torch.searchsorted(first[1:], segment, right=True).clamp(max=len(degree) - 1)
        start = pointers[row] + (segment - first[row]) * longest
        start = torch.minimum(start, pointers[row + 1])
        return cls(torch.cat([start, pointers[-1:]]), row, first)

    def per_segment(self, x: Tensor) -> Tensor:
        """Row values for each segment: ``[rows, ...] -> [segments, ...]``."""
        return x.index_select(0, self.row)

    def begin(self, parts: Tensor) -> Tensor:
        """Of values that the segments of a row share: ``[segments, ...] -> [rows, ...]``."""
        return parts.index_select(0, self.first[:-1])

    def levels(self, highest: Tensor, log_mass: Tensor) -> tuple[Tensor, Tensor]:
        """The normaliser of rows from that of segments ``[segments, ...]``, in two parts."""
        from graphcolumns.ops.column_attention.triton.merge import merge_levels

        shape = (len(self.first) - 1, *highest.shape[1:])
        merged = highest.new_empty(shape), highest.new_empty(shape)
        lanes = highest[:1].numel()
        tensors = {"highest": highest, "log_mass": log_mass}
        tensors |= {"merged_highest": merged[0], "merged_log_mass": merged[1]}
        self._launch(merge_levels, tensors, lanes, lanes=lanes)
        return merged

    def add(self, parts: Tensor, dtype: torch.dtype) -> Tensor:
        """Sums over the segments of a row."""
        return self._merge(parts, (parts,) * 4, 1, dtype, weighted=False)

    def average(
        self,
        parts: Tensor,
        levels: tuple[Tensor, Tensor],
        merged: tuple[Tensor, Tensor],
        dtype: torch.dtype,
    ) -> Tensor:
        """Means over the segments of a row, weighted by their shares of its normaliser."""
        width = parts.shape[-1] if parts.dim() > levels[0].dim() else 1
        return self._merge(parts, (*levels, *merged), width, dtype, weighted=True)

    def _merge(
        self,
        parts: Tensor,
        levels: tuple[Tensor, ...],
        width: int,
        dtype: torch.dtype,
        weighted: bool,
    ) -> Tensor:
        from graphcolumns.ops.column_attention.triton.merge import merge_rows

        merged = parts.new_empty((len(self.first) - 1, *parts.shape[1:]), dtype=dtype)
        numbers = parts[:1].numel()
        names = ("highest", "log_mass", "top", "top_log_mass")
        tensors = {"parts": parts, **dict(zip(names, levels, strict=True)), "merged": merged}
        given = {"numbers": numbers, "width": width, "WEIGHTED": weighted}
        self._launch(merge_rows, tensors, numbers, **given)
        return merged

    def _launch(
        self, kernel: Any, tensors: dict[str, Tensor], size: int, /, **given: int | bool
    ) -> None:
        """Runs ``kernel`` on all rows of ``size`` numbers, in blocks."""
        rows = len(self.first) - 1
        block = min(BLOCK, tiles.power_of_two(size))
        grid = tiles.launch_grid(rows, tiles.ceil_div(size, block))
        if grid.programs == 0:
            return
        with torch.cuda.device_of(self.first):
            kernel[(grid.programs,)](
                **tensors,
                first=self.first,
                rows=rows,
                **given,
                patches=grid.patches,
                patch=grid.patch,
                BLOCK=block,
                num_warps=tiles.WARPS,
                enable_fp_fusion=True,
            )
