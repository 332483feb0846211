"""The winner-take-all circuit: excitatory units that share one inhibitory unit."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Drive
from graphcolumns.nn.dynamics.winner_take_all.inhibition import (
    InhibitoryCircuit,
    check_nonnegative,
    check_signal,
)
from graphcolumns.nn.dynamics.winner_take_all.regime import Regime


@dataclass(frozen=True, eq=False, kw_only=True)
class WTA(InhibitoryCircuit):
    r"""Winner-take-all: excitatory units compete through one inhibitory unit.

    .. math::
        \dot x_i &= -G x_i + f(I_i + \alpha x_i - \beta_1 y - T) \\
        \dot y &= -G y + f(\beta_2 \textstyle\sum_i x_i - T_N), \qquad f(v) = \max(v, 0)

    With leak 1 these are the equations of the paper below. A circuit with leak G is one with leak
    1 whose inputs, thresholds and weights are divided by G, and which is G times as fast.
    What it does depends on :math:`\alpha` and :math:`\beta = \beta_1 \beta_2` alone, see
    :func:`~graphcolumns.nn.dynamics.regime_of`; :meth:`fixed_point` has closed forms.

    With :math:`T_N > 0` and :math:`1 < \alpha < \min(2, 1 + \beta)` the winner stays active when
    the input is taken away, at :math:`(\beta_1 T_N - T) / (1 + \beta - \alpha)`, provided that
    :math:`(\alpha - 1) T_N > \beta_2 T`.

    Args:
        alpha: Self-excitation :math:`\alpha`, 0 or more.
        beta1: Weight :math:`\beta_1` from the inhibitory unit, 0 or more.
        beta2: Weight :math:`\beta_2` to the inhibitory unit, 0 or more.
        threshold: Threshold T of excitatory units, in units of the input.
        inhibitory_threshold: Threshold :math:`T_N` of inhibitory units.
        leak: Leak G, above 0.
        sequential: Whether steps are in Gauss-Seidel order, inhibitory units first.
        dims: Dimensions over which units share an inhibitory unit. For states ``[N, B, C]``
            with ``batch_dim=1``: ``(2,)`` for one winning channel in every column, ``(0,)`` for one
            winning column in every channel.
        batch_dim: Dimension of samples.

    Shapes:
        - inputs, output: ``[B, n]``, or of any shape with ``dims`` and ``batch_dim``
        - state: x as the inputs; y with size 1 along ``dims``

    Raises:
        ValueError: A negative or infinite number, a leak that is not positive, or dimensions that
            are repeated or hold samples; when solving, inputs that do not fit.

    Source: Rutishauser, Douglas & Slotine, Collective stability of networks of winner-take-all
    circuits, Neural Computation 2011, https://doi.org/10.1162/NECO_a_00091.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import WTA, solve
        >>> wta = WTA(alpha=0.5)
        >>> solve(wta, torch.tensor([[1.0, 0.1, 0.68, 0.7]])).output.round(decimals=2)
        tensor([[0.6400, 0.0000, 0.0000, 0.0400]])
    """

    beta1: float = 1.0
    beta2: float = 1.0
    dims: tuple[int, ...] = (1,)
    batch_dim: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_nonnegative(beta1=self.beta1, beta2=self.beta2)
        if not self.dims or len(set(self.dims)) < len(self.dims) or min(self.dims) < 0:
            raise ValueError(f"dims must be different dimensions, 0 or more. Got {self.dims!r}.")
        if self.batch_dim in self.dims:
            raise ValueError(
                f"dims must not have the dimension of samples. Got dims={self.dims!r} with "
                f"batch_dim={self.batch_dim}."
            )

    def check_inputs(self, inputs: Tensor) -> None:
        """Raises ValueError or TypeError for inputs that do not fit."""
        check_signal(inputs)
        if max(*self.dims, self.batch_dim) >= inputs.dim():
            raise ValueError(
                f"inputs must have the dimensions dims={self.dims!r} and batch_dim="
                f"{self.batch_dim}. Got {list(inputs.shape)}."
            )

    def excite(self, x: Tensor, drive: Drive) -> Tensor:
        r""":math:`\beta_2 \sum x`."""
        return self.beta2 * x.sum(self.dims, keepdim=True)

    def inhibit(self, y: Tensor, drive: Drive) -> Tensor:
        r""":math:`\beta_1 y`."""
        return self.beta1 * y

    def loop(self, drive: Drive) -> tuple[float, float]:
        r""":math:`\beta_1 \beta_2` for one unit, times their number for all."""
        beta = self.beta1 * self.beta2
        return beta, beta * prod(drive.samples[0].shape[d] for d in self.dims)

    def fixed_point(self, inputs: Tensor) -> Tensor:
        r"""The fixed point that is reached from zero, in closed form.

        With :math:`u = I - T` and leak 1. For :math:`\alpha < 1` (soft), with the sums
        :math:`S_k` of the k largest u,

        .. math::
            x = \frac{f(u - \beta_1 y)}{1 - \alpha}, \qquad y = f\Bigl(\max_k \,
            \frac{\beta_2 S_k - (1 - \alpha) T_N}{1 - \alpha + k \beta}\Bigr).

        For :math:`1 \le \alpha < \min(2, 1 + \beta)`, the largest u, if it is positive, wins
        (the first of equals; from zero, equals stay at an unstable fixed point between them):
        :math:`x_w = (u_w + \beta_1 T_N) / (1 + \beta - \alpha)`, a gain of
        :math:`1 / (1 + \beta - \alpha)`.

        Raises:
            ValueError: A circuit in a regime without a stable fixed point.
        """
        self.check_inputs(inputs)
        drive = self.ready(inputs)
        regime = self.regime(drive)
        if regime not in (Regime.SOFT, Regime.SINGLE_WINNER):
            raise ValueError(
                "a fixed point must be stable. Expected alpha < min(2, 1 + beta). Got the regime "
                f"{regime.value!r}."
            )
        u = (inputs - self.threshold).movedim(self.dims, tuple(range(-len(self.dims), 0)))
        flat = u.flatten(-len(self.dims))
        active = self._soft(flat) if regime is Regime.SOFT else self._hard(flat)
        return active.reshape(u.shape).movedim(tuple(range(-len(self.dims), 0)), self.dims)

    def _soft(self, u: Tensor) -> Tensor:
        """Fixed point of units along the last dimension, alpha below the leak."""
        rest = self.leak - self.alpha
        sums = u.sort(-1, descending=True).values.cumsum(-1)
        k = torch.arange(1, u.shape[-1] + 1, dtype=u.dtype, device=u.device)
        top = self.beta2 * sums - rest * self.inhibitory_threshold
        y = torch.relu(top / (self.leak * rest + k * self.beta1 * self.beta2)).amax(-1, True)
        return torch.relu(u - self.beta1 * y) / rest

    def _hard(self, u: Tensor) -> Tensor:
        """Fixed point with one active unit along the last dimension."""
        best, where = u.max(-1, keepdim=True)
        beta = self.beta1 * self.beta2
        rate = self.leak * best + self.beta1 * self.inhibitory_threshold
        rate = rate / (self.leak * (self.leak - self.alpha) + beta)
        return torch.zeros_like(u).scatter(-1, where, torch.where(best > 0, rate, 0))
