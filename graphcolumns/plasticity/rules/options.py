"""Options of rules and of presets by name and type, as they are given side by side.

Configurations and the command line are checked against them, and type checkers read them.
"""

from __future__ import annotations

from typing import TypedDict

from graphcolumns.plasticity.candidates.proposals import Sampler
from graphcolumns.plasticity.rules.acceptance import Accept
from graphcolumns.plasticity.rules.budget import Budget
from graphcolumns.plasticity.rules.newborns import FirstValue
from graphcolumns.plasticity.rules.rule import Choose, IsDue
from graphcolumns.plasticity.rules.schedules import Schedule
from graphcolumns.plasticity.rules.scoring import Score, UpdateMemory
from graphcolumns.plasticity.selection.constraints import Constraints


class SharedOptions(TypedDict, total=False):
    """Fields of a rule that its presets leave open."""

    sampler: Sampler
    per_grow: float
    samples: int
    watch_movement: bool
    accept: Accept
    margin: float
    tolerance: float | None
    groups: int
    regrow: bool
    check_samples: int
    first_value: FirstValue
    epsilon_share: float
    grace: int
    cool_down: int
    constraints: Constraints
    overhead: float | None
    reserve: float
    skip_optimizer_step: bool


class RuleOptions(SharedOptions, total=False):
    """Fields of ``Rule``, ``Scoring``, ``Acceptance`` and ``Newborns``, all of them."""

    prune: Score
    grow: Score | None
    temperature: float | Schedule | None
    update_memory: UpdateMemory | None
    is_due: IsDue
    fraction: float | Schedule
    budget: Budget | None
    choose: Choose | None


class PresetOptions(SharedOptions, total=False):
    """Options of every preset: the times of updates, how much they change, and shared fields.

    Attributes:
        every: Optimizer steps between updates (default: 100).
        start: First update as a share of the run (default: 0).
        stop: End of updates as a share of the run (default: 0.75).
        fraction: Share of the edges that is offered for a swap at the first update.
        degree: Mean in-degree at the end. None: as many edges as at the start.
    """

    every: int
    start: float
    stop: float
    fraction: float
    degree: float | None
