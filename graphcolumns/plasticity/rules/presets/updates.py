"""The times of the updates of a preset, as shares of a run."""

from __future__ import annotations

from dataclasses import dataclass

from graphcolumns.plasticity.rules.options import PresetOptions
from graphcolumns.plasticity.rules.schedules import Every, Linear, Schedule


@dataclass(frozen=True)
class Updates:
    """The times of the updates within a run. A frozen value.

    Args:
        steps: Length of the run in optimizer steps.
        every: Optimizer steps between updates; none is due before the first ``every`` steps.
        start: First update as a share of the run.
        stop: End of updates as a share of the run.

    Raises:
        ValueError: A number is out of range.
    """

    steps: int
    every: int
    start: float
    stop: float

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.stop <= 1:
            raise ValueError(
                "updates start and stop at shares of the run, 0 <= start <= stop <= 1. Got "
                f"start={self.start} and stop={self.stop}."
            )
        if self.every < 1 or self.steps < 1:
            raise ValueError(
                f"every and steps must be at least 1. Got {self.every} and {self.steps}."
            )

    @classmethod
    def taken_from(cls, options: PresetOptions, steps: int) -> Updates:
        """The times that are among ``options``, which lose them, or the defaults."""
        every = options.pop("every", 100)
        return cls(steps, every, options.pop("start", 0.0), options.pop("stop", 0.75))

    @property
    def is_due(self) -> Every:
        """When an update is due."""
        first = max(self.every, round(self.start * self.steps))
        return Every(self.every, first, round(self.stop * self.steps) + 1)

    def falling(self, curve: type[Linear], fraction: float) -> Schedule:
        """From ``fraction`` at the first update to 0 at the end of updates."""
        return curve(fraction, 0.0, *self._span())

    def between(self, curve: type[Linear], init: float, final: float) -> Schedule:
        """From ``init`` at the first update to ``final`` at the last update."""
        start, end = self._span()
        return curve(init, final, start, start + max(1, (end - start) // self.every * self.every))

    def _span(self) -> tuple[int, int]:
        """First and last step at which an update could be due."""
        due = self.is_due
        assert due.stop is not None
        return due.start, max(due.stop - 1, due.start + 1)
