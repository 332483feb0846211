"""From raw rows to one point per arm and variant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from graphcolumns.analysis.experiment.definition import Experiment
from graphcolumns.analysis.experiment.interval import Interval, mean_interval, paired_interval
from graphcolumns.analysis.experiment.plan import FINAL, Row, places

VARIANT = "variant"


@dataclass(frozen=True)
class Point:
    """The seeds of one arm in one variant.

    Args:
        arm: Name of the arm.
        variant: Name of the variant.
        x: Place on the axis: a number, or the name of the variant.
        y: Mean over seeds.
        difference: Paired difference to the baseline arm in the same variant, or None.
        rows: Rows of the seeds that succeeded.
    """

    arm: str
    variant: str
    x: float | str
    y: Interval
    difference: Interval | None
    rows: Sequence[Row]

    def mean(self, name: str) -> float | None:
        """Mean of a column over the seeds; None where a seed lacks it."""
        values = [row.get(name) for row in self.rows]
        return mean(values) if all(isinstance(v, int | float) for v in values) else None  # type: ignore[type-var]


def points(experiment: Experiment, rows: Sequence[Row]) -> list[Point]:
    """One point per arm and variant with a result, in the order of the definition.

    Raises:
        ValueError: An axis is no column with numbers.
    """
    y, x = experiment.measure.y, experiment.measure.x
    done = {place: _done(experiment, rows, place) for place in places(experiment)}
    for axis in {x, y} - {VARIANT}:
        _check_axis(axis, [row for own in done.values() for row in own])
    return [
        Point(
            *(arm, variant, _x(experiment, x, variant, own)),
            mean_interval([row[y] for row in own]),
            None if arm == experiment.baseline else _difference(experiment, done, arm, variant),
            own,
        )
        for (arm, variant), own in done.items()
        if own
    ]


def _done(experiment: Experiment, rows: Sequence[Row], place: tuple[str, str]) -> list[Row]:
    own = [
        row
        for row in rows
        if (row["kind"], row["arm"], row["variant"]) == (FINAL, *place)
        and row["status"] == "ok"
        and row["seed"] in experiment.seeds
    ]
    return sorted(own, key=lambda row: experiment.seeds.index(row["seed"]))


def _difference(
    experiment: Experiment, done: dict[tuple[str, str], list[Row]], arm: str, variant: str
) -> Interval | None:
    own, other = done[arm, variant], done.get((experiment.baseline, variant), [])
    ours, theirs = ({r["seed"]: r[experiment.measure.y] for r in part} for part in (own, other))
    return paired_interval(ours, theirs) if ours.keys() & theirs.keys() else None


def _x(experiment: Experiment, x: str, variant: str, rows: Sequence[Row]) -> float | str:
    if x != VARIANT:
        return mean(row[x] for row in rows)
    names = {name for arm in experiment.arms.values() for name in arm.variants}
    numbers = {name: re.search(r"-?\d+(\.\d+)?", name) for name in names}
    found = numbers[variant]
    return variant if found is None or None in numbers.values() else float(found[0])


def _check_axis(name: str, rows: Sequence[dict[str, Any]]) -> None:
    if not all(isinstance(row.get(name), int | float) for row in rows):
        known = [k for k in rows[0] if all(isinstance(r.get(k), int | float) for r in rows)]
        raise ValueError(
            f"measure must name columns with a number in every row. Got {name!r}; there are "
            f"{', '.join(known)}."
        )
