"""Columns to class scores."""

import torch
from torch import Tensor, nn

from graphcolumns.nn.checks import check_choice, check_counts, check_ids


class MeanReadout(nn.Module):
    r"""Class scores of the mean output column, :math:`W \,\frac{1}{|O|}\sum_{n \in O} x_n + c`.

    Args:
        channels: ``C``.
        num_classes: ``K``.
        columns: Ids ``O`` of the output columns (default: all).
        norm: Layer norm ``"before"`` the mean, ``"after"`` it, or ``"none"``.

    Shapes:
        - input: ``[N, B, C]``
        - output: ``[B, K]``

    Raises:
        ValueError: An unknown norm, a size below one, or ``columns`` that name none.
        TypeError: ``columns`` that are not int64.
    """

    columns: Tensor | None

    def __init__(
        self, channels: int, num_classes: int, columns: Tensor | None = None, norm: str = "after"
    ) -> None:
        super().__init__()
        check_choice("norm", norm, ("before", "after", "none"))
        check_counts(channels=channels, num_classes=num_classes)
        if columns is not None:
            check_ids("columns", columns)
            if columns.dim() != 1 or not len(columns):
                raise ValueError(f"columns must be ids [O] of columns, got {list(columns.shape)}")
        self.order = norm
        self.register_buffer("columns", columns, persistent=False)
        self.norm = nn.Identity() if norm == "none" else nn.LayerNorm(channels)
        self.linear = nn.Linear(channels, num_classes)

    def reset_parameters(self) -> None:
        """Draws new weights; the norm starts as the identity."""
        if isinstance(self.norm, nn.LayerNorm):
            self.norm.reset_parameters()
        self.linear.reset_parameters()

    def forward(self, state: Tensor) -> Tensor:
        """Class scores ``[B, K]`` of a state ``[N, B, C]``."""
        chosen = state if self.columns is None else state.index_select(0, self.columns)
        if self.order == "before":
            return self.linear(self.norm(chosen).mean(0))
        return self.linear(self.norm(chosen.mean(0)))


class SpatialReadout(nn.Module):
    r"""A map over the output columns for every class.

    .. math::
        y_k = c_k + w_k^\top \sum_{n \in O} \mathrm{softmax}_n(m_{kn}) \, \mathrm{LN}(x_n)

    Args:
        num_columns: Number of output columns ``|O|``.
        channels: ``C``.
        num_classes: ``K``.
        columns: Ids ``O`` of the output columns (default: all ``num_columns``).

    Shapes:
        - input: ``[N, B, C]``
        - output: ``[B, K]``

    Raises:
        ValueError: ``columns`` does not name ``num_columns`` columns.
        TypeError: ``columns`` that are not int64.
    """

    no_weight_decay = ("map",)

    columns: Tensor | None

    def __init__(
        self, num_columns: int, channels: int, num_classes: int, columns: Tensor | None = None
    ) -> None:
        super().__init__()
        check_counts(num_columns=num_columns, channels=channels, num_classes=num_classes)
        if columns is not None:
            check_ids("columns", columns)
            if columns.shape != (num_columns,):
                raise ValueError(
                    f"columns must name {num_columns} columns, got {list(columns.shape)}"
                )
        self.register_buffer("columns", columns, persistent=False)
        self.norm = nn.LayerNorm(channels)
        self.map = nn.Parameter(torch.empty(num_classes, num_columns))
        nn.init.trunc_normal_(self.map, std=0.2)
        self.linear = nn.Linear(channels, num_classes)

    def reset_parameters(self) -> None:
        """Draws new weights and nearly uniform maps."""
        self.norm.reset_parameters()
        nn.init.trunc_normal_(self.map, std=0.2)
        self.linear.reset_parameters()

    def forward(self, state: Tensor) -> Tensor:
        """Class scores ``[B, K]`` of a state ``[N, B, C]``."""
        chosen = state if self.columns is None else state.index_select(0, self.columns)
        weight = torch.softmax(self.map, -1)  # [K, O]
        seen = torch.einsum("ko,obc->bkc", weight, self.norm(chosen))
        return (seen * self.linear.weight).sum(-1) + self.linear.bias
