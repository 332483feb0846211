"""Rest for a rule that finds nothing to change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Pause:
    """How many updates are left out after the last one: a frozen value.

    Args:
        since: optimizer step of the last update.
        length: updates that are left out after it.
    """

    since: int = 0
    length: int = 0

    def over(self, step: int, when: Callable[[int], bool]) -> bool:
        """Whether enough updates were left out before `step`; `when` says where one was due."""
        if not self.length:
            return True
        return sum(when(earlier) for earlier in range(self.since + 1, step)) >= self.length

    def after(self, step: int, changed: bool, longest: int) -> Pause:
        """The pause after an update: 1, 3, 7, ... up to `longest`, or none after a change."""
        return Pause(step, 0 if changed else min(2 * self.length + 1, longest))
