"""Static mixture coefficients: how much of each shared weight set a column has."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Mixture(nn.Module):
    r"""Coefficients :math:`c \in [0, 1]^{N \times R}`, one distribution per column.

    .. math::
        c_n = \mathrm{softmax}\big(e^{\min(s_n, \log 100)} \, w_n / \lVert w_n \rVert\big)

    or :math:`\mathrm{softmax}(w_n)` without temperature. There is no router: the coefficients
    depend on the column, not on the input, so their map over the sheet can be looked at (and
    smoothed, see ``training.losses.total_variation``).

    Args:
        num_columns: ``N``.
        num_sets: ``R``.
        temperature: Whether every column learns the sharpness :math:`e^{s_n}` of its mixture.
        frozen: Coefficients ``[N, R]`` to use as they are, e.g. one-hot to give every sheet its
            own weights; not trained.

    Shapes:
        - output: ``[N, R]``, rows sum to one

    Raises:
        ValueError: A size below one, or ``frozen`` of another shape.
    """

    no_weight_decay = ("weight",)
    column_tensors = ("weight", "log_sharpness")

    def __init__(
        self,
        num_columns: int,
        num_sets: int,
        temperature: bool = True,
        frozen: Tensor | None = None,
    ) -> None:
        super().__init__()
        if num_columns < 1 or num_sets < 1:
            raise ValueError(f"a mixture needs N >= 1 and R >= 1, got {num_columns} and {num_sets}")
        self.num_columns, self.num_sets = num_columns, num_sets
        if frozen is not None and frozen.shape != (num_columns, num_sets):
            raise ValueError(
                f"frozen must be [N, R] = [{num_columns}, {num_sets}], got {list(frozen.shape)}"
            )
        self.frozen = frozen is not None
        learned = torch.empty(num_columns, num_sets) if frozen is None else frozen.float().clone()
        self.weight = nn.Parameter(learned, requires_grad=not self.frozen)
        self.log_sharpness: nn.Parameter | None = None
        if temperature and not self.frozen:
            self.log_sharpness = nn.Parameter(torch.empty(num_columns))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Random directions, sharpness one."""
        if self.frozen:
            return
        std = self.num_sets**-0.5
        nn.init.trunc_normal_(self.weight, std=std, a=-2 * std, b=2 * std)
        if self.log_sharpness is not None:
            nn.init.zeros_(self.log_sharpness)

    def forward(self) -> Tensor:
        """The coefficients ``[N, R]``."""
        if self.frozen:
            return self.weight
        if self.log_sharpness is None:
            return torch.softmax(self.weight, -1)
        # exp(4.6052) = 100, the ceiling of the source: beyond it the softmax is one-hot anyway
        sharpness = self.log_sharpness.clamp(max=4.6052).exp()
        return torch.softmax(sharpness[:, None] * F.normalize(self.weight, dim=-1), -1)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"num_columns={self.num_columns}, num_sets={self.num_sets}"
