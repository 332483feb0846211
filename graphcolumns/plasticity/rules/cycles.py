"""A schedule that goes up and down."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cycles:
    """`high` and `low` in turns, and `low` outside of `start` to `stop`.

    Every period begins with `round(share * period)` steps at `high`.

    Args:
        high: the number while much is allowed.
        low: the number while little is allowed, and at the end.
        period: steps of one turn.
        start: first step of the first period.
        stop: first step of the last phase, at `low`.
        share: part of each period at `high`, in (0, 1).

    Raises:
        ValueError: a period below 2 steps, a share outside (0, 1), or `stop` before `start`.

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
        """The number at `step`."""
        if not self.start <= step < self.stop:
            return self.low
        up = (step - self.start) % self.period < round(self.share * self.period)
        return self.high if up else self.low
