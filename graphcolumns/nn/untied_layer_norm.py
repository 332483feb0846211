"""Layer normalisation with one gain and bias per column."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphcolumns.nn.checks import check_choice, check_counts, check_mixture
from graphcolumns.nn.mixture import Mixture
from graphcolumns.nn.untied import WEIGHT_MODES


class UntiedLayerNorm(nn.Module):
    r"""Layer normalisation with gain and bias per column.

    .. math::
        y_n = \frac{x_n - \mathrm{E}[x_n]}{\sqrt{\mathrm{Var}[x_n] + \epsilon}} \odot g_n + b_n

    over the channels. The weight modes are those of :class:`UntiedLinear`; ``lowrank`` is
    :math:`g_n = g + a_n G` with ``rank`` directions.

    Args:
        num_columns: Number of columns ``N``.
        channels: Channels per column ``C``.
        weights: ``"untied"``, ``"shared"``, ``"mixture"`` or ``"lowrank"``.
        rank: Number of shared sets or directions.
        mixture: Coefficients to share with other layers (default: its own).
        eps: Added to the variance.

    Shapes:
        - input and output: ``[N, B, C]``

    Raises:
        ValueError: An unknown mode, a size below one, a mixture of another size, or an input that
            does not fit.

    Source: Ba, Kiros & Hinton, Layer normalization, 2016, https://arxiv.org/abs/1607.06450.
    """

    no_weight_decay = ("weight", "bias", "coefficient", "direction")

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
        self.num_columns, self.channels = num_columns, channels
        self.weights, self.eps = weights, eps
        self.own_mixture: Mixture | None = None
        if weights == "mixture":
            check_mixture(mixture, num_columns, rank)
            self.own_mixture = Mixture(num_columns, rank) if mixture is None else None
        # In a tuple: a part of the module that shares it, not of this one.
        self._mixture = (mixture if weights == "mixture" else None,)
        sets = {"untied": (num_columns,), "mixture": (rank,)}.get(weights, ())
        self.weight = nn.Parameter(torch.empty(*sets, channels))
        self.bias = nn.Parameter(torch.empty(*sets, channels))
        if weights == "lowrank":
            self.coefficient = nn.Parameter(torch.empty(num_columns, rank))
            self.direction = nn.Parameter(torch.empty(2, rank, channels))
        self.reset_parameters()

    @property
    def column_tensors(self) -> tuple[str, ...]:
        """The parameters whose first dimension is the columns."""
        per_column = {"untied": ("weight", "bias"), "lowrank": ("coefficient",)}
        return per_column.get(self.weights, ())

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
        return f"num_columns={self.num_columns}, channels={self.channels}, weights={self.weights!r}"
