r"""Numbers that change while a model trains, and the steps at which updates are due.

Both are pure functions of the number of optimizer steps. A schedule returns a number, for a budget
(edges, mean degree, density, millimetres), a fraction of edges to prune, or a temperature. Between
``start`` and ``stop`` it goes from ``init`` to ``final`` with the progress
:math:`u = (t - start) / (stop - start)`; before and after it stays exactly at its ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

__all__ = [
    "At",
    "Constant",
    "Cosine",
    "Cubic",
    "Cycles",
    "Every",
    "Exponential",
    "GrowOnly",
    "Linear",
    "Schedule",
    "Sigmoid",
    "value_at",
]

Schedule = Callable[[int], float]


@dataclass(frozen=True)
class Constant:
    """The same number at every step."""

    value: float

    def __call__(self, step: int) -> float:
        """The number."""
        return self.value


@dataclass(frozen=True)
class Linear:
    r""":math:`f = f_0 + (f_1 - f_0)\, u`.

    Args:
        init: Number up to ``start``.
        final: Number from ``stop`` on.
        start: First step of the change.
        stop: Last step of the change.

    Raises:
        ValueError: ``stop`` is not after ``start``, or a number is not finite.
    """

    init: float
    final: float
    start: int
    stop: int

    def __post_init__(self) -> None:
        if not self.start < self.stop:
            raise ValueError(
                f"{type(self).__name__} must stop after it starts. Got start={self.start}, "
                f"stop={self.stop}."
            )
        if not (math.isfinite(self.init) and math.isfinite(self.final)):
            raise ValueError(
                f"{type(self).__name__} must go between finite numbers. Got init={self.init}, "
                f"final={self.final}."
            )

    def __call__(self, step: int) -> float:
        """The number at ``step``."""
        if step <= self.start:
            return self.init
        if step >= self.stop:
            return self.final
        share = self._left((step - self.start) / (self.stop - self.start))
        return self.final + (self.init - self.final) * share

    def _left(self, u: float) -> float:
        """The share of the change that is left at progress ``u``, from 1 down to 0."""
        return 1 - u


@dataclass(frozen=True)
class Cosine(Linear):
    r""":math:`f = f_1 + (f_0 - f_1)(1 + \cos \pi u) / 2`: the drop fraction of RigL.

    Arguments and errors as :class:`Linear`.

    Source: Dettmers & Zettlemoyer, Sparse networks from scratch (2019); Evci et al., Rigging the
    lottery, ICML 2020. It starts from ``start``, not from step 0.
    """

    def _left(self, u: float) -> float:
        return (1 + math.cos(math.pi * u)) / 2


@dataclass(frozen=True)
class Cubic(Linear):
    r""":math:`f = f_1 + (f_0 - f_1)(1 - u)^3`: fast at first, when most edges are redundant.

    Arguments and errors as :class:`Linear`.

    Source: Zhu & Gupta, To prune, or not to prune (2017), for the number of weights.
    """

    def _left(self, u: float) -> float:
        return (1 - u) ** 3


@dataclass(frozen=True)
class Sigmoid(Linear):
    r""":math:`f = f_1 + (f_0 - f_1)(\sigma(k - 2ku) - \sigma(-k)) / (\sigma(k) - \sigma(-k))`.

    Slow at both ends. The logistic curve reaches neither of its ends, so it is stretched to them;
    with ``k = 6`` by half a percent.

    Arguments as :class:`Linear`, and ``steepness``: ``k``, half the range of the logistic's
    argument.

    Raises:
        ValueError: As :class:`Linear`, or ``steepness`` is not positive.

    Source: Zhang et al., Brain network science modelling of sparse neural networks, NeurIPS 2025
    (CHTss), for the density.
    """

    steepness: float = 6.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.steepness < math.inf:
            raise ValueError(f"steepness must be positive and finite. Got {self.steepness}.")

    def _left(self, u: float) -> float:
        k = self.steepness
        low, high = _logistic(-k), _logistic(k)
        return (_logistic(k * (1 - 2 * u)) - low) / (high - low)


@dataclass(frozen=True)
class Exponential(Linear):
    r""":math:`f = f_0^{1 - u} f_1^{u}`: every step changes the number by the same factor.

    Arguments as :class:`Linear`.

    Raises:
        ValueError: As :class:`Linear`, or a number is not positive.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.init, self.final) <= 0:
            raise ValueError(
                "an exponential goes between positive numbers. Got "
                f"init={self.init} and final={self.final}; use Linear to reach 0."
            )

    def __call__(self, step: int) -> float:
        """The number at ``step``."""
        if not self.start < step < self.stop:
            return super().__call__(step)
        u = (step - self.start) / (self.stop - self.start)
        return self.init * (self.final / self.init) ** u


@dataclass(frozen=True)
class GrowOnly(Linear):
    """Linear, and never less than before: edges are added and the budget takes none away.

    Arguments as :class:`Linear`.

    Raises:
        ValueError: As :class:`Linear`, or ``final`` is below ``init``.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.final < self.init:
            raise ValueError(
                f"a grow-only schedule must not fall. Got init={self.init}, final={self.final}; "
                "use Linear."
            )


@dataclass(frozen=True)
class Cycles:
    """``high`` and ``low`` in turns, and ``low`` before ``start`` and from ``stop`` on.

    Every period begins with ``round(share * period)`` steps at ``high``.

    Args:
        high: Number of the dense phases.
        low: Number of the sparse phases, and at the end.
        period: Steps of one dense and one sparse phase together.
        start: First step of the first period.
        stop: First step of the last phase, at ``low``.
        share: Part of each period at ``high``, in (0, 1).

    Raises:
        ValueError: A period below 2 steps, a share outside (0, 1), or ``stop`` before ``start``.

    Source: Peste et al., AC/DC: alternating compressed/decompressed training, NeurIPS 2021.
    """

    high: float
    low: float
    period: int
    start: int
    stop: int
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.period < 2 or not 0 < self.share < 1 or self.stop <= self.start:
            raise ValueError(
                "cycles need period >= 2, a share in (0, 1) and stop after start. Got "
                f"period={self.period}, share={self.share}, start={self.start}, stop={self.stop}."
            )

    def __call__(self, step: int) -> float:
        """The number at ``step``."""
        if not self.start <= step < self.stop:
            return self.low
        up = (step - self.start) % self.period < round(self.share * self.period)
        return self.high if up else self.low


@dataclass(frozen=True)
class Every:
    """Updates at ``start``, ``start + every``, ... before ``stop``.

    Args:
        every: Optimizer steps between updates.
        start: Step of the first update.
        stop: Step from which on no update is due (default: none).

    Raises:
        ValueError: ``every`` is below 1, or ``start`` is negative.
    """

    every: int
    start: int = 0
    stop: int | None = None

    def __post_init__(self) -> None:
        if self.every < 1 or self.start < 0:
            raise ValueError(
                f"updates need every >= 1 and start >= 0. Got every={self.every}, "
                f"start={self.start}."
            )

    def __call__(self, step: int) -> bool:
        """Whether an update is due at ``step``."""
        inside = step >= self.start and (self.stop is None or step < self.stop)
        return inside and (step - self.start) % self.every == 0


@dataclass(frozen=True)
class At:
    """Updates at listed optimizer steps.

    Args:
        steps: Steps at which an update is due; ``()``: no update at all.
    """

    steps: tuple[int, ...]

    def __call__(self, step: int) -> bool:
        """Whether an update is due at ``step``."""
        return step in self.steps


def value_at(value: float | Schedule, step: int) -> float:
    """The value at ``step`` of a number or a schedule."""
    return value(step) if callable(value) else value


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
