"""Winner-take-all in windows of feature maps."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod, sqrt

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Drive
from graphcolumns.nn.dynamics.winner_take_all.inhibition import (
    InhibitoryCircuit,
    check_nonnegative,
    check_signal,
)


@dataclass(frozen=True, eq=False)
class ConvWTA(InhibitoryCircuit):
    r"""Winner-take-all in windows of feature maps, by convolution.

    The windows of :class:`LocalWTA` over channels, height and width. Two uses:

    - ``ConvWTA((5, 5))``: every map competes within itself, which sharpens it: of a blurred peak
      the largest pixel is left.
    - ``ConvWTA((1, 1), depth=None)``: all channels compete at every place, which leaves one feature
      per place.

    Args:
        size: Height and width of windows, odd, in pixels.
        depth: Channels that a window spans, odd and centred at its own; None for all of them.
        beta: Strength :math:`\beta` of the inhibition through one window, 0 or more (default: 1
            over the number of inhibitory units that reach a unit away from borders).
        circular: Whether windows go on at the other side in height and width.
        alpha: Self-excitation :math:`\alpha`, 0 or more.
        threshold: Threshold T of excitatory units, in units of the input.
        inhibitory_threshold: Threshold :math:`T_N` of inhibitory units.
        leak: Leak G, above 0.
        sequential: Whether steps are in Gauss-Seidel order, inhibitory units first.

    Shapes:
        - inputs, output: ``[B, C, H, W]``
        - state: x as the inputs; y the same, or ``[B, 1, H, W]`` with ``depth=None``

    Raises:
        ValueError: Sizes that are not odd, a negative or infinite number, or a leak that is not
            positive; when solving, inputs that do not fit.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import ConvWTA, solve
        >>> maps = torch.tensor([0.2, 0.9, 0.4]).reshape(1, 3, 1, 1)
        >>> winner = solve(ConvWTA((1, 1), depth=None, alpha=1.0), maps, tolerance=1e-6)
        >>> winner.output.flatten().round(decimals=3)
        tensor([0.0000, 0.9000, 0.0000])
    """

    size: tuple[int, int]
    depth: int | None = 1
    beta: float | None = None
    circular: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        odd = [self.depth or 1, *self.size]
        if len(self.size) != 2 or self.depth == 0 or any(s < 1 or s % 2 == 0 for s in odd):
            raise ValueError(
                "windows must have odd sizes, so that they have a centre. Expected "
                f"size=(height, width) and depth. Got size={self.size!r}, depth={self.depth!r}."
            )
        if self.beta is not None:
            check_nonnegative(beta=self.beta)

    @property
    def window_beta(self) -> float:
        r"""Strength :math:`\beta` of the inhibition through one window."""
        return 1 / (prod(self.size) * (self.depth or 1)) if self.beta is None else self.beta

    def check_inputs(self, inputs: Tensor) -> None:
        """Raises ValueError or TypeError for inputs that do not fit."""
        check_signal(inputs, "[B, C, H, W]", 4)
        if self.circular and any(
            extent < width for extent, width in zip(inputs.shape[2:], self.size, strict=True)
        ):
            raise ValueError(
                f"circular windows must not overlap themselves. Got maps {list(inputs.shape[2:])} "
                f"with size={self.size!r}; pass circular=False."
            )

    def excite(self, x: Tensor, drive: Drive) -> Tensor:
        """Sums over windows."""
        if self.depth is None:
            x = x.sum(1, keepdim=True)
        return sqrt(self.window_beta) * self._windows(x)

    def inhibit(self, y: Tensor, drive: Drive) -> Tensor:
        """Sums over the windows that contain a unit; the same for all channels without depth."""
        return sqrt(self.window_beta) * self._windows(y)

    def loop(self, drive: Drive) -> tuple[float, float]:
        """From the fewest inhibitory units that reach a unit, and a bound of the strongest mode."""
        _, channels, *extents = drive.samples[0].shape
        full = [min(s, e) for s, e in zip(self.size, extents, strict=True)]
        halves = zip(self.size, extents, strict=True)
        fewest = full if self.circular else [min(s // 2 + 1, e) for s, e in halves]
        if self.depth is None:
            return self.window_beta * prod(fewest), self.window_beta * channels * prod(full) ** 2
        deep, least = min(self.depth, channels), min(self.depth // 2 + 1, channels)
        beta = self.window_beta
        return beta * least * prod(fewest), beta * (deep * prod(full)) ** 2

    def _windows(self, x: Tensor) -> Tensor:
        """Sums over height and width, then over neighbouring channels."""
        up, aside, deep = *(s // 2 for s in self.size), (self.depth or 1) // 2
        mode = "circular" if self.circular else "constant"
        maps = torch.nn.functional.pad(x, (aside, aside, up, up), mode=mode)
        volume = torch.nn.functional.pad(maps[:, None], (0, 0, 0, 0, deep, deep))
        kernel = x.new_ones(1, 1, 2 * deep + 1, *self.size)
        return torch.nn.functional.conv3d(volume, kernel)[:, 0]
