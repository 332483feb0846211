"""Static maps of experts over a sheet, from codes of its columns."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphcolumns.nn.checks import check_counts


class ExpertMap(nn.Module):
    r"""Mixture coefficients of columns whose codes are learned elsewhere.

    .. math::
        c_n = \mathrm{softmax}_e \Big( \frac{g_n^\top}{\lVert g_n \rVert} \, s \,
        \frac{w_e}{\lVert w_e \rVert} \Big)

    Takes the place of a :class:`Mixture`, with codes of columns that also pool (and, in the first
    sheet, tell positions), so that the maps of a sheet hang together: TopoMoE (Lane, 2024).

    Args:
        grid: Codes ``[N, C]``, shared with their owner.
        num_sets: Number of experts ``R``.

    Shapes:
        - output: ``[N, R]``, rows sum to one

    Raises:
        ValueError: Codes that are not ``[N, C]``, or no expert.
    """

    no_weight_decay = ("experts", "scale")

    def __init__(self, grid: nn.Parameter, num_sets: int) -> None:
        super().__init__()
        check_counts(num_sets=num_sets)
        if grid.dim() != 2:
            raise ValueError(f"grid must be [N, C], got {list(grid.shape)}")
        self.num_columns, self.num_sets = grid.shape[0], num_sets
        self.grid = grid
        self.experts = nn.Parameter(torch.empty(num_sets, grid.shape[1]))
        self.scale = nn.Parameter(torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Small random codes of the experts, scale one; the codes of columns are not ours."""
        nn.init.trunc_normal_(self.experts, std=0.02)
        nn.init.ones_(self.scale)

    def forward(self) -> Tensor:
        """The coefficients ``[N, R]``."""
        experts = self.scale * F.normalize(self.experts, dim=-1)
        return torch.softmax(F.normalize(self.grid, dim=-1) @ experts.t(), -1)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"num_columns={self.num_columns}, num_sets={self.num_sets}"
