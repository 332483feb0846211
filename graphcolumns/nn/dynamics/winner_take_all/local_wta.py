"""Winner-take-all in overlapping windows along one dimension."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Drive
from graphcolumns.nn.dynamics.winner_take_all.inhibition import (
    InhibitoryCircuit,
    check_nonnegative,
    check_signal,
)


@dataclass(frozen=True, eq=False)
class LocalWTA(InhibitoryCircuit):
    r"""Winner-take-all in windows: every excitatory unit has an inhibitory unit with a window.

    .. math::
        \dot x &= -G x + f(I + \alpha x - W y - T), \qquad \dot y = -G y + f(W x - T_N) \\
        W_{ij} &= \sqrt{\beta} \quad \text{for } |i - j| \le h, \text{ otherwise } 0

    Where inhibitory units are above threshold, the lateral inhibition is the kernel
    :math:`W^2`, a triangle away from the borders:
    :math:`(W^2)_{ij} = \beta \max(0, 2h + 1 - |i - j|)`. At a border, windows end, and the kernel
    counts those that contain both units; on a circle the triangle needs :math:`n > 4h`. Two units
    at a distance d can win together only for :math:`\alpha < 1 + \beta d` (with leak 1), so that a
    larger :math:`\alpha` tells fewer neighbours apart.

    Args:
        halfwidth: Half-width h of windows, in units, 0 or more.
        beta: Strength :math:`\beta` of the inhibition through one window, 0 or more; at the default
            of :math:`1 / (2h + 1)` a single winner away from borders has the gain
            :math:`1 / (2 - \alpha)`.
        circular: Whether windows go on at the other end.
        alpha: Self-excitation :math:`\alpha`, 0 or more.
        threshold: Threshold T of excitatory units, in units of the input.
        inhibitory_threshold: Threshold :math:`T_N` of inhibitory units.
        leak: Leak G, above 0.
        sequential: Whether steps are in Gauss-Seidel order, inhibitory units first.

    Shapes:
        - inputs, output: ``[B, n]``
        - state: x and y, both ``[B, n]``

    Raises:
        ValueError: A negative or infinite number, or a leak that is not positive; when solving,
            inputs that do not fit, or circular windows that overlap themselves.
        TypeError: A half-width that is not a whole number.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import LocalWTA, solve
        >>> bump = torch.tensor([[0.0, 0.5, 1.0, 0.6, 0.0, 0.0]])
        >>> solve(LocalWTA(1, alpha=1.0), bump, tolerance=1e-6).output.round(decimals=3)
        tensor([[0., 0., 1., 0., 0., 0.]])
    """

    halfwidth: int
    beta: float | None = None
    circular: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not hasattr(self.halfwidth, "__index__"):
            raise TypeError(f"halfwidth must be a whole number. Got {self.halfwidth!r}.")
        check_nonnegative(halfwidth=self.halfwidth)
        if self.beta is not None:
            check_nonnegative(beta=self.beta)

    @property
    def window_beta(self) -> float:
        r"""Strength :math:`\beta` of the inhibition through one window."""
        return 1 / (2 * self.halfwidth + 1) if self.beta is None else self.beta

    def check_inputs(self, inputs: Tensor) -> None:
        """Raises ValueError or TypeError for inputs that do not fit."""
        check_signal(inputs, "[B, n]", 2)
        if self.circular and inputs.shape[1] < 2 * self.halfwidth + 1:
            raise ValueError(
                "circular windows must not overlap themselves. Expected n of at least "
                f"{2 * self.halfwidth + 1}. Got {inputs.shape[1]}; pass circular=False."
            )

    def excite(self, x: Tensor, drive: Drive) -> Tensor:
        r"""The window sums :math:`W x`."""
        return sqrt(self.window_beta) * window_sums(x, self.halfwidth, self.circular)

    def inhibit(self, y: Tensor, drive: Drive) -> Tensor:
        r"""The window sums :math:`W y`; W is symmetric."""
        return self.excite(y, drive)

    def loop(self, drive: Drive) -> tuple[float, float]:
        r"""The smallest diagonal entry of :math:`W^2`, and the square of its largest row sum."""
        size = drive.samples[0].shape[1]
        full = min(2 * self.halfwidth + 1, size)
        least = full if self.circular else min(self.halfwidth + 1, size)
        return self.window_beta * least, self.window_beta * full**2


def window_sums(x: Tensor, halfwidth: int, circular: bool = False) -> Tensor:
    """Sums over windows along the last dimension.

    Args:
        x: Values, ``[..., n]``.
        halfwidth: Neighbours on each side that belong to a window.
        circular: Whether windows go on at the other end; otherwise values beyond are zero.

    Returns:
        The sums, ``[..., n]``.
    """
    if halfwidth == 0:
        return x
    if circular:
        padded = torch.cat([x[..., -halfwidth:], x, x[..., :halfwidth]], -1)
    else:
        padded = torch.nn.functional.pad(x, (halfwidth, halfwidth))
    kernel = x.new_ones(1, 1, 2 * halfwidth + 1)
    rows = padded.reshape(-1, 1, padded.shape[-1])
    return torch.nn.functional.conv1d(rows, kernel).reshape(x.shape)
