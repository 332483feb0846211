"""A linear map per column, and the ways of sharing its weights."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parameter import UninitializedParameter, is_lazy

from graphcolumns.graph.edges import place_in_row
from graphcolumns.nn.checks import (
    check_choice,
    check_counts,
    check_mixture,
    has_values,
)
from graphcolumns.nn.mixture import Mixture
from graphcolumns.ops.context import check_precision
from graphcolumns.ops.untied_linear import Step, untied_linear

WEIGHT_MODES = ("untied", "shared", "mixture", "lowrank")


class Use(NamedTuple):
    """Weights ready for one application.

    Attributes:
        weight: ``[N, Cin, Cout]``, or shared ``[Cin, Cout]``, or with ``mix`` ``[R, Cin, Cout]``.
        bias: ``[N, Cout]``, or shared ``[Cout]``, or None.
        step: A handle for time-batched gradients, or None.
        mix: Coefficients ``[N, R]`` that the inputs are mixed with, in place of weights, or None.
    """

    weight: Tensor
    bias: Tensor | None
    step: Step | None = None
    mix: Tensor | None = None


class UntiedLinear(nn.Module):
    r"""A linear map per column, :math:`y_n = x_n W_n + b_n`.

    Weight modes:

    - ``untied``: every column has its own :math:`W_n`;
    - ``shared``: one :math:`W` for all, as in a transformer;
    - ``mixture``: :math:`W_n = \sum_r c_{nr} W_r` with static coefficients :math:`c` per column;
    - ``lowrank``: :math:`W_n = W + A_n B_n`, shared plus rank ``rank`` per column, with a bias per
      column.

    Columns come first: this is a layer for the inside of a model, see :class:`ColumnConv` for the
    layouts of PyG. A lazy layer (``in_channels=-1``) gets its weights from the first input, or from
    the state dict that it loads.

    Args:
        num_columns: ``N``.
        in_channels: ``Cin``, or -1 to take it from the first input.
        out_channels: ``Cout``.
        bias: Whether to learn a bias.
        weights: ``"untied"``, ``"shared"``, ``"mixture"`` or ``"lowrank"``.
        rank: Number of shared sets ``R`` (mixture) or rank per column (lowrank).
        mixture: Coefficients to share with other layers (default: its own). They are not a
            submodule of this layer: the module that shares them registers them, as :class:`Column`
            does.
        std: Standard deviation of a normal initialisation truncated at two deviations; by
            default weights are uniform in :math:`\pm C_\mathrm{in}^{-1/2}`.

    Shapes:
        - input: ``[N, B, Cin]``
        - output: ``[N, B, Cout]``

    Raises:
        ValueError: An unknown mode, a size below one, a mixture of another size, or an input that
            does not fit.
        TypeError: An input of another dtype than the weights, without autocast.
    """

    no_weight_decay = ("bias",)

    weight: nn.Parameter
    down: nn.Parameter
    up: nn.Parameter

    def __init__(
        self,
        num_columns: int,
        in_channels: int,
        out_channels: int,
        bias: bool = True,
        weights: str = "untied",
        rank: int = 4,
        mixture: Mixture | None = None,
        std: float | None = None,
    ) -> None:
        super().__init__()
        check_choice("weights", weights, WEIGHT_MODES)
        check_counts(num_columns=num_columns, out_channels=out_channels, rank=rank)
        if in_channels != -1:
            check_counts(in_channels=in_channels)
        if std is not None and not std > 0:
            raise ValueError(f"std must be above 0, or None for uniform weights, got {std}")
        self.num_columns, self.in_channels = num_columns, in_channels
        self.out_channels, self.weights, self.rank, self.std = out_channels, weights, rank, std
        self.own_mixture: Mixture | None = None
        if weights == "mixture":
            check_mixture(mixture, num_columns, rank)
            self.own_mixture = Mixture(num_columns, rank) if mixture is None else None
        # In a tuple: a part of the module that shares it, not of this one.
        self._mixture = (mixture if weights == "mixture" else None,)
        if in_channels == -1:
            self._make_lazy()
        else:
            for name, shape in self._weight_shapes(in_channels).items():
                setattr(self, name, nn.Parameter(torch.empty(shape)))
        self.bias = (
            nn.Parameter(torch.empty(*self._sets(bias=True), out_channels)) if bias else None
        )
        self.reset_parameters()

    def _sets(self, bias: bool = False) -> tuple[int, ...]:
        if self.weights == "untied" or (bias and self.weights == "lowrank"):
            return (self.num_columns,)
        return (self.rank,) if self.weights == "mixture" else ()

    def _weight_shapes(self, in_channels: int) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {
            "weight": (*self._sets(), in_channels, self.out_channels)
        }
        if self.weights == "lowrank":
            shapes["down"] = (self.num_columns, in_channels, self.rank)
            shapes["up"] = (self.num_columns, self.rank, self.out_channels)
        return shapes

    def _make_lazy(self) -> None:
        for name in self._weight_shapes(1):
            setattr(self, name, UninitializedParameter())

    def _materialize(self, in_channels: int) -> None:
        """In place, so that an optimizer made before the first input holds the same weights."""
        self.in_channels = in_channels
        for name, shape in self._weight_shapes(in_channels).items():
            getattr(self, name).materialize(shape)
        self.reset_parameters()

    @property
    def column_tensors(self) -> tuple[str, ...]:
        """The parameters whose first dimension is the columns."""
        per_column = {"untied": ("weight", "bias"), "lowrank": ("down", "up", "bias")}
        return per_column.get(self.weights, ())

    @property
    def lazy(self) -> bool:
        """Whether the layer still waits for its first input."""
        return isinstance(self.weight, UninitializedParameter)

    def reset_parameters(self) -> None:
        """Draws new weights; biases become zero. Low-rank parts start at zero effect."""
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        if self.own_mixture is not None:
            self.own_mixture.reset_parameters()
        if self.lazy:
            return
        _draw(self.weight, self.in_channels, self.std)
        if self.weights == "lowrank":
            _draw(self.down, self.in_channels, self.std)
            nn.init.zeros_(self.up)

    @property
    def shared_mixture(self) -> Mixture | None:
        """The coefficients that belong to another module, if any."""
        return self._mixture[0]

    def _effective(self, batch: int | None = None) -> Use:
        """The weights as they are applied to a batch of that size (None: to any)."""
        mixture = self.own_mixture or self.shared_mixture
        if self.weights != "mixture" or mixture is None:
            return Use(self.weight, self.bias)
        mix = mixture()
        if batch is not None and batch * self.rank <= self.out_channels:
            # R copies of a column's inputs are fewer numbers than its mixed weights.
            return Use(self.weight, None if self.bias is None else mix @ self.bias, mix=mix)
        weight = (mix @ self.weight.flatten(1)).view(-1, *self.weight.shape[1:])
        return Use(weight, None if self.bias is None else mix @ self.bias)

    def unroll(self, steps: int, batch: int) -> list[Use]:
        """One :class:`Use` per step of a recurrence; see ``untied_linear.unroll``."""
        if self.lazy:
            raise RuntimeError(
                "a lazy layer (in_channels=-1) has no weights to unroll: call it once before"
            )
        use = self._effective(batch)
        weight, bias, _, mix = use
        if weight.dim() == 2 or mix is not None:  # few weights, whose gradients cost little
            return [use] * steps
        handles = untied_linear.unroll(weight, bias, steps, batch)  # type: ignore[attr-defined]
        if not handles[0].batched:  # left to autograd: not even a handle to check
            return [Use(weight, bias)] * steps
        return [Use(weight, bias, step) for step in handles]

    def forward(self, x: Tensor, use: Use | None = None) -> Tensor:
        """Applies the weights; ``use`` is one of the handles of :meth:`unroll`."""
        if self.lazy:
            self._materialize(x.shape[-1])
        if use is None:
            use = self._effective(x.shape[1] if x.dim() == 3 else None)
        weight, bias, step, mix = use
        if x.dim() != 3 or x.shape[0] != self.num_columns or x.shape[2] != weight.shape[-2]:
            raise ValueError(
                f"x must be [N, B, Cin] = [{self.num_columns}, B, {weight.shape[-2]}], "
                f"got {list(x.shape)}"
            )
        if mix is None:
            return self._map(x, weight, bias, step)
        check_precision(x, weight)
        mixed = mix[:, None, :, None].to(x.dtype) * x[:, :, None]  # [N, B, R, Cin]
        y = mixed.flatten(2) @ weight.flatten(0, 1)
        return y if bias is None else y + bias[:, None].to(y.dtype)

    def rows(self, x: Tensor, column_id: Tensor) -> Tensor:
        """Applies to row ``k`` of ``x [K, B, Cin]`` the map of column ``column_id[k]``."""
        if self.lazy:
            self._materialize(x.shape[-1])
        weight, bias, _, _ = self._effective()
        if self.weights == "shared":
            return self._map(x, weight, bias)
        if not has_values(column_id):  # the grouping below has sizes that depend on the ids
            return self._map(x, weight, bias, columns=column_id)
        columns, slot, copies = _group(column_id)
        grouped = x.new_zeros(len(columns) * copies, *x.shape[1:]).index_copy(0, slot, x)
        grouped = grouped.view(len(columns), copies * x.shape[1], x.shape[2])
        y = self._map(grouped, weight, bias, columns=columns)
        return y.reshape(-1, x.shape[1], self.out_channels).index_select(0, slot)

    def _map(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        step: Step | None = None,
        columns: Tensor | None = None,
    ) -> Tensor:
        """Applies the weights of all columns, or those of ``columns``."""

        def own(values: Tensor) -> Tensor:
            return values if columns is None else values.index_select(0, columns)

        check_precision(x, weight)
        if weight.dim() == 3:
            return untied_linear(x, own(weight), bias if bias is None else own(bias), step=step)
        if self.weights == "shared":
            return F.linear(x, weight.t(), bias)
        y = x @ weight + untied_linear(untied_linear(x, own(self.down)), own(self.up))
        return y if bias is None else y + own(bias)[:, None]

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, parameter in self._parameters.items():
            if parameter is not None:
                whole = keep_vars or is_lazy(parameter)  # a lazy parameter cannot be detached
                destination[prefix + name] = parameter if whole else parameter.detach()

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        saved = state_dict.get(prefix + "weight")
        if is_lazy(saved):
            self.in_channels = -1
            self._make_lazy()
        elif saved is not None and self.lazy:
            self._materialize(saved.shape[-2])
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        """The sizes and the weight mode."""
        return (
            f"num_columns={self.num_columns}, in_channels={self.in_channels}, "
            f"out_channels={self.out_channels}, weights={self.weights!r}"
        )


def _draw(weight: Tensor, fan_in: int, std: float | None) -> None:
    if std is None:
        nn.init.uniform_(weight, -(fan_in**-0.5), fan_in**-0.5)
    else:
        nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


def _group(column_id: Tensor) -> tuple[Tensor, Tensor, int]:
    """Nodes by column: the columns that occur, the slot of every node, and the slots per column.

    Memory then grows with columns, not with nodes: without it every node of a mini-batch of copies
    would gather weights of its own.
    """
    columns, which, counts = column_id.unique(return_inverse=True, return_counts=True)
    order = which.argsort(stable=True)
    copies = int(counts.max()) if len(counts) else 1
    slot = torch.empty_like(which)
    slot[order] = which[order] * copies + place_in_row(counts)
    return columns, slot, copies
