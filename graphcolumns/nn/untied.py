"""Layers with one set of weights per column, and the ways of sharing it."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parameter import UninitializedParameter

from graphcolumns.nn.mixture import Mixture
from graphcolumns.ops.untied_linear import Step, untied_linear

WEIGHT_MODES = ("untied", "shared", "mixture", "lowrank")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises ValueError that lists the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {choices}, got {value!r}")


def check_counts(**counts: int) -> None:
    """Raises ValueError for a size below one."""
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")


def no_decay(values: Tensor) -> nn.Parameter:
    """A parameter that the optimizer must not shrink: biases, norms, embeddings."""
    parameter = nn.Parameter(values)
    parameter.no_weight_decay = True  # type: ignore[attr-defined]
    return parameter


class Use(NamedTuple):
    """Weights ready for one application: ``[N, Cin, Cout]`` or shared ``[Cin, Cout]``."""

    weight: Tensor
    bias: Tensor | None
    step: Step | None = None


class UntiedLinear(nn.Module):
    r"""A linear map per column, :math:`y_n = x_n W_n + b_n`.

    Weight modes:

    - ``untied``: every column has its own :math:`W_n`;
    - ``shared``: one :math:`W` for all, as in a transformer;
    - ``mixture``: :math:`W_n = \sum_r c_{nr} W_r` with static coefficients :math:`c` per column;
    - ``lowrank``: :math:`W_n = W + A_n B_n`, shared plus rank ``rank`` per column, with a bias per
      column.

    Columns come first: this is a layer for the inside of a model, see :class:`ColumnConv` for the
    layouts of PyG.

    Args:
        num_columns: ``N``.
        in_channels: ``Cin``, or -1 to take it from the first input.
        out_channels: ``Cout``.
        bias: Whether to learn a bias.
        weights: ``"untied"``, ``"shared"``, ``"mixture"`` or ``"lowrank"``.
        rank: Number of shared sets ``R`` (mixture) or rank per column (lowrank).
        mixture: Coefficients to share with other layers (default: its own).
        std: Standard deviation of a normal initialisation truncated at two deviations; by
            default weights are uniform in :math:`\pm C_\mathrm{in}^{-1/2}`.

    Shapes:
        - input: ``[N, B, Cin]``
        - output: ``[N, B, Cout]``

    Raises:
        ValueError: An unknown mode, a size below one, or an input that does not fit.
    """

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
        self.num_columns, self.in_channels, self.out_channels = (
            num_columns,
            in_channels,
            out_channels,
        )
        self.weights, self.rank, self.std = weights, rank, std
        owned = Mixture(num_columns, rank) if weights == "mixture" and mixture is None else None
        self.own_mixture = owned
        self._mixture = (mixture,)  # in a tuple: a part of the layer that shares it, not of this
        self.bias = no_decay(torch.empty(*self._sets(bias=True), out_channels)) if bias else None
        if in_channels == -1:
            self._lazy = self.register_forward_pre_hook(self._materialize)
        for name in self._weight_shapes(1):
            self.register_parameter(name, UninitializedParameter())
        if in_channels != -1:
            self._allocate(in_channels)

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

    def _allocate(self, in_channels: int) -> None:
        self.in_channels = in_channels
        for name, shape in self._weight_shapes(in_channels).items():
            lazy = getattr(self, name)
            setattr(self, name, nn.Parameter(torch.empty(shape, device=lazy.device)))
        self.reset_parameters()

    def _materialize(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._allocate(inputs[0].shape[-1])
        self._lazy.remove()

    def reset_parameters(self) -> None:
        """Draws new weights; biases become zero. Low-rank parts start at zero effect."""
        if isinstance(self.weight, UninitializedParameter):
            return
        _draw(self.weight, self.in_channels, self.std)
        if self.weights == "lowrank":
            _draw(self.down, self.in_channels, self.std)
            nn.init.zeros_(self.up)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        if self.own_mixture is not None:
            self.own_mixture.reset_parameters()

    def _effective(self) -> Use:
        """The weights as they are applied."""
        mixture = self.own_mixture or self._mixture[0]
        if self.weights != "mixture" or mixture is None:
            return Use(self.weight, self.bias)
        mix = mixture()
        weight = (mix @ self.weight.flatten(1)).view(-1, *self.weight.shape[1:])
        return Use(weight, None if self.bias is None else mix @ self.bias)

    def unroll(self, steps: int, batch: int) -> list[Use]:
        """One :class:`Use` per step of a recurrence; see ``untied_linear.unroll``."""
        weight, bias, _ = self._effective()
        if weight.dim() == 2:  # shared weights see all columns at once: nothing to gain
            return [Use(weight, bias)] * steps
        handles = untied_linear.unroll(weight, bias, steps, batch)  # type: ignore[attr-defined]
        return [Use(weight, bias, step) for step in handles]

    def forward(self, x: Tensor, use: Use | None = None) -> Tensor:
        """Applies the weights; ``use`` is one of the handles of :meth:`unroll`."""
        weight, bias, step = self._effective() if use is None else use
        if weight.dim() == 3:
            return untied_linear(x, weight, bias, step=step)
        if x.dim() != 3 or x.shape[0] != self.num_columns or x.shape[2] != weight.shape[0]:
            raise ValueError(
                f"x must be [N, B, Cin] = [{self.num_columns}, B, {weight.shape[0]}], "
                f"got {list(x.shape)}"
            )
        if self.weights == "lowrank":
            y = x @ weight + untied_linear(untied_linear(x, self.down), self.up)
            return y if bias is None else y + bias[:, None]
        return F.linear(x, weight.t(), bias)

    def rows(self, x: Tensor, column_id: Tensor) -> Tensor:
        """Applies to row ``k`` of ``x [..., K, Cin]`` the map of column ``column_id[k]``."""
        if isinstance(self.weight, UninitializedParameter):
            self._allocate(x.shape[-1])
            self._lazy.remove()
        weight, bias, _ = self._effective()
        if weight.dim() == 3:
            weight = weight.index_select(0, column_id)
        y = torch.einsum("...ki,kio->...ko" if weight.dim() == 3 else "...ki,io->...ko", x, weight)
        if self.weights == "lowrank":
            low = torch.einsum("...ki,kir->...kr", x, self.down.index_select(0, column_id))
            y = y + torch.einsum("...kr,kro->...ko", low, self.up.index_select(0, column_id))
        if bias is None:
            return y
        return y + (bias.index_select(0, column_id) if bias.dim() == 2 else bias)

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


class UntiedLayerNorm(nn.Module):
    r"""Layer normalisation with gain and bias per column.

    .. math::
        y_n = \frac{x_n - \mathrm{E}[x_n]}{\sqrt{\mathrm{Var}[x_n] + \epsilon}} \odot g_n + b_n

    over the channels (Ba et al. 2016, https://arxiv.org/abs/1607.06450). The weight modes are
    those of :class:`UntiedLinear`; ``lowrank`` is :math:`g_n = g + a_n G` with ``rank``
    directions.

    Args:
        num_columns: ``N``.
        channels: ``C``.
        weights: ``"untied"``, ``"shared"``, ``"mixture"`` or ``"lowrank"``.
        rank: Number of shared sets or directions.
        mixture: Coefficients to share with other layers (default: its own).
        eps: Added to the variance.

    Shapes:
        - input and output: ``[N, B, C]``
    """

    def __init__(
        self,
        num_columns: int,
        channels: int,
        weights: str = "untied",
        rank: int = 4,
        mixture: Mixture | None = None,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        check_choice("weights", weights, WEIGHT_MODES)
        check_counts(num_columns=num_columns, channels=channels, rank=rank)
        self.num_columns, self.channels, self.weights, self.eps = (
            num_columns,
            channels,
            weights,
            eps,
        )
        owned = Mixture(num_columns, rank) if weights == "mixture" and mixture is None else None
        self.own_mixture = owned
        self._mixture = (mixture,)
        sets = {"untied": (num_columns,), "mixture": (rank,)}.get(weights, ())
        self.weight = no_decay(torch.empty(*sets, channels))
        self.bias = no_decay(torch.empty(*sets, channels))
        if weights == "lowrank":
            self.coefficient = no_decay(torch.empty(num_columns, rank))
            self.direction = no_decay(torch.empty(2, rank, channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Gain one, bias zero."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)
        if self.weights == "lowrank":
            nn.init.normal_(self.coefficient, std=self.channels**-0.5)
            nn.init.zeros_(self.direction)
        if self.own_mixture is not None:
            self.own_mixture.reset_parameters()

    def _effective(self) -> tuple[Tensor, Tensor]:
        mixture = self.own_mixture or self._mixture[0]
        if self.weights == "mixture" and mixture is not None:
            mix = mixture()
            return mix @ self.weight, mix @ self.bias
        if self.weights == "lowrank":
            gain, shift = self.coefficient @ self.direction[0], self.coefficient @ self.direction[1]
            return self.weight + gain, self.bias + shift
        return self.weight, self.bias

    def forward(self, x: Tensor) -> Tensor:
        """Normalises every column over its channels."""
        if x.dim() != 3 or x.shape[0] != self.num_columns or x.shape[2] != self.channels:
            raise ValueError(
                f"x must be [N, B, C] = [{self.num_columns}, B, {self.channels}], "
                f"got {list(x.shape)}"
            )
        if self.weights == "shared":
            return F.layer_norm(x, (self.channels,), self.weight, self.bias, self.eps)
        gain, bias = self._effective()
        normed = F.layer_norm(x, (self.channels,), eps=self.eps)
        return torch.addcmul(bias[:, None].to(normed.dtype), normed, gain[:, None])

    def extra_repr(self) -> str:
        """The sizes and the weight mode."""
        return (
            f"num_columns={self.num_columns}, channels={self.channels}, weights={self.weights!r}"
        )
