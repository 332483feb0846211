"""Columns to class scores."""

import torch
from torch import Tensor, nn

from graphcolumns.nn.checks import check_choice, check_counts, check_int64_ids
from graphcolumns.nn.untied import UntiedLinear


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
            check_int64_ids("columns", columns)
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

    def rescaled(self, coarse: "MeanReadout", columns: Tensor) -> None:
        """Checks that the same columns are read as in the sheet that this one comes from."""
        _output_origin(self.columns, coarse.columns, columns)

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
            check_int64_ids("columns", columns)
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

    def rescaled(self, coarse: "SpatialReadout", columns: Tensor) -> None:
        """Shares the weight of a column among those that come from it: every class sees the same.

        With ``c`` columns from one, each gets its entry of the map minus ``log c``.
        """
        origin = _output_origin(self.columns, coarse.columns, columns)
        shares = torch.bincount(origin, minlength=coarse.map.shape[1])[origin]
        self.map.copy_(coarse.map[:, origin] - shares.to(self.map.dtype).log())

    def forward(self, state: Tensor) -> Tensor:
        """Class scores ``[B, K]`` of a state ``[N, B, C]``."""
        chosen = state if self.columns is None else state.index_select(0, self.columns)
        weight = torch.softmax(self.map, -1)  # [K, O]
        seen = torch.einsum("ko,obc->bkc", weight, self.norm(chosen))
        return (seen * self.linear.weight).sum(-1) + self.linear.bias


class ColumnReadout(nn.Module):
    r"""One answer per column, :math:`y_n = w_{[n]}^\top \mathrm{LN}(x_n) + c_{[n]}`.

    Args:
        channels: ``C``.
        columns: Ids ``O`` of the columns that answer, in the order of the answers.
        weights: ``"shared"`` (one ``w`` and ``c`` for all) or ``"untied"`` (each its own).

    Shapes:
        - input: ``[N, B, C]``
        - output: ``[B, O]``

    Raises:
        ValueError: An unknown mode, a size below one, or ``columns`` that name none.
        TypeError: ``columns`` that are not int64.
    """

    # Untied weights are per answer: no part of this belongs to a column of the sheet.
    own_columns = True

    columns: Tensor

    def __init__(self, channels: int, columns: Tensor, weights: str = "shared") -> None:
        super().__init__()
        check_choice("weights", weights, ("shared", "untied"))
        check_counts(channels=channels)
        check_int64_ids("columns", columns)
        if columns.dim() != 1 or not len(columns):
            raise ValueError(f"columns must be ids [O] of columns, got {list(columns.shape)}")
        self.register_buffer("columns", columns, persistent=False)
        self.norm = nn.LayerNorm(channels)
        self.linear = UntiedLinear(len(columns), channels, 1, weights=weights)

    def reset_parameters(self) -> None:
        """Draws new weights; the norm starts as the identity."""
        self.norm.reset_parameters()
        self.linear.reset_parameters()

    def rescaled(self, coarse: "ColumnReadout", columns: Tensor) -> None:
        """Checks that every answer comes from the same answer of the other sheet."""
        origin = _output_origin(self.columns, coarse.columns, columns)
        if not torch.equal(origin, torch.arange(len(coarse.columns), device=origin.device)):
            raise ValueError(
                "each answer must come from one answer of the other sheet, in the same order, "
                f"got {len(origin)} answers from {len(coarse.columns)}"
            )

    def forward(self, state: Tensor) -> Tensor:
        """Answers ``[B, O]`` of a state ``[N, B, C]``."""
        chosen = state.index_select(0, self.columns)
        return self.linear(self.norm(chosen)).squeeze(-1).t()


def _output_origin(outputs: Tensor | None, coarse: Tensor | None, columns: Tensor) -> Tensor:
    """Which output column of another sheet each output column comes from, ``[O]`` int64.

    Args:
        outputs: Columns that are read here, None for all.
        coarse: Columns that are read there, None for all.
        columns: The column there that every column here comes from.
    """
    read = columns if outputs is None else columns[outputs]
    if coarse is None:
        if outputs is not None:
            raise ValueError("the read-out must read all columns, as that of the other sheet does")
        return read
    known = torch.isin(columns, coarse)
    if not torch.isin(read, coarse).all() or len(read) != int(known.sum()):
        raise ValueError(
            "the read-out must read the columns that come from output columns, "
            f"{int(known.sum())} of them, and no others, got {len(read)} columns"
        )
    order = coarse.argsort()
    return order[torch.searchsorted(coarse[order], read)]
