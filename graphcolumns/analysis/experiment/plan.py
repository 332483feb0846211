"""Which trainings an experiment consists of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from graphcolumns.analysis.experiment.definition import Choose, Experiment, Overrides

TUNE, FINAL = "tune", "final"
Row = dict[str, Any]
Key = tuple[str, str, str, int, int | None]


@dataclass(frozen=True)
class Planned:
    """One training.

    Args:
        kind: ``"tune"`` (scored on the validation part) or ``"final"``.
        arm: Name of the arm.
        variant: Name of the variant.
        seed: Seed of the run.
        trial: Number of the combination of the grid; None for a final run.
        tuned: Overrides that the grid gave.
        overrides: All overrides of ``graphcolumns train``.
        fingerprint: Hash of all in the definition that decides this run.
    """

    kind: str
    arm: str
    variant: str
    seed: int
    trial: int | None
    tuned: Overrides
    overrides: Overrides
    fingerprint: str

    @property
    def key(self) -> Key:
        """What makes it the same run as that of a row."""
        return self.kind, self.arm, self.variant, self.seed, self.trial


@dataclass(frozen=True)
class Filter:
    """The part of an experiment to run; None: all of it."""

    arms: Sequence[str] | None = None
    variants: Sequence[str] | None = None
    seeds: Sequence[int] | None = None


def key_of(row: Row) -> Key:
    """The key of the run that a row is the result of."""
    return row["kind"], row["arm"], row["variant"], row["seed"], row["trial"]


def places(experiment: Experiment, chosen: Filter | None = None) -> list[tuple[str, str]]:
    """The pairs (arm, variant) that are run.

    Raises:
        ValueError: The filter names something that is not there, or nothing is left.
    """
    chosen = chosen or Filter()
    variants = dict.fromkeys(v for arm in experiment.arms.values() for v in arm.variants)
    _check_known("arm", chosen.arms, experiment.arms)
    _check_known("variant", chosen.variants, variants)
    _check_known("seed", chosen.seeds, experiment.seeds)
    found = [
        (name, variant)
        for name, arm in experiment.arms.items()
        for variant in arm.variants
        if (chosen.arms is None or name in chosen.arms)
        and (chosen.variants is None or variant in chosen.variants)
    ]
    if not found:
        raise ValueError("no arm has a chosen variant: nothing to run.")
    return found


def tuning_runs(experiment: Experiment, chosen: Filter | None = None) -> list[Planned]:
    """The trials that the chosen part of an experiment needs, arm by arm."""
    if experiment.tuning is None:
        return []
    tuning, arms = experiment.tuning, experiment.arms
    on = [(a, arms[a].tuned_on(v)) for a, v in places(experiment, chosen)]
    if tuning.choose is not None:
        # What the others are matched to is needed, whatever else is run.
        first = experiment.baseline
        on += [(first, arms[first].tuned_on(v)) for _, v in places(experiment, chosen)]
    return [
        _planned(experiment, TUNE, arm, variant, tuning.seed, trial, tuned, f"fold={tuning.fold}")
        for arm, variant in dict.fromkeys(on)
        for trial, tuned in enumerate(grid_overrides(experiment, arm))
    ]


def final_runs(
    experiment: Experiment, rows: Sequence[Row], chosen: Filter | None = None
) -> list[Planned]:
    """The runs that are reported, without those whose trials all failed or are not done."""
    seeds = [s for s in experiment.seeds if not chosen or not chosen.seeds or s in chosen.seeds]
    best = {place: best_trial(experiment, rows, *place) for place in places(experiment, chosen)}
    # Seed by seed, so that an experiment that is stopped early has all arms of the first seeds.
    return [
        _planned(experiment, FINAL, arm, variant, seed, None, tuned)
        for seed in seeds
        for (arm, variant), tuned in best.items()
        if tuned is not None
    ]


def best_trial(
    experiment: Experiment, rows: Sequence[Row], arm: str, variant: str
) -> Overrides | None:
    """The combination that the trials chose, see ``best_row``.

    Returns:
        Its overrides (none for an arm that is not tuned), or None: no trial has a result.
    """
    if experiment.tuning is None:
        return ()
    row = best_row(experiment, rows, arm, variant)
    return None if row is None else grid_overrides(experiment, arm)[row["trial"]]


def best_row(experiment: Experiment, rows: Sequence[Row], arm: str, variant: str) -> Row | None:
    """The trial with the best validation accuracy, among equals the lowest loss.

    With ``tuning.choose``, the trial with the largest value of a key among those that are nearly as
    accurate as the best of the baseline, if there are any.

    Returns:
        Its row, or None: no trial of the arm has a result, or none of the baseline that it is
        compared with.

    Raises:
        ValueError: A rule that compares accuracies, of trials without any.
    """
    done, choose = _trials(experiment, rows, arm, variant), _choose(experiment, arm)
    if choose is None:
        return min(done, key=_rank, default=None)
    others = _trials(experiment, rows, experiment.baseline, variant)
    if not others:
        return None
    _check_accuracies([*others, *done])
    least = max(map(_accuracy, others)) - choose.within
    matched = [row for row in done if _accuracy(row) >= least - 1e-9]
    values = [dict(v)[choose.largest] for v in _combinations(experiment, arm)]
    matched.sort(key=lambda row: (-values[row["trial"]], _rank(row)))
    return matched[0] if matched else min(done, key=_rank, default=None)


def _choose(experiment: Experiment, arm: str) -> Choose | None:
    """The rule by which the trial of an arm is chosen; None: the most accurate one."""
    choose = None if experiment.tuning is None else experiment.tuning.choose
    return choose if choose and choose.largest in experiment.arms[arm].grid else None


def _trials(experiment: Experiment, rows: Sequence[Row], arm: str, variant: str) -> list[Row]:
    """The trials that choose for an arm and variant, those with a result."""
    on = experiment.arms[arm].tuned_on(variant)
    return [
        row
        for row in rows
        if (row["kind"], row["arm"], row["variant"]) == (TUNE, arm, on) and row["status"] == "ok"
    ]


def grid_overrides(experiment: Experiment, arm: str) -> list[Overrides]:
    """Every combination of the grid of an arm, as overrides."""
    return [
        tuple(f"{key}={_text(value)}" for key, value in pairs)
        for pairs in _combinations(experiment, arm)
    ]


def _combinations(experiment: Experiment, arm: str) -> list[list[tuple[str, Any]]]:
    """Every combination of the grid of an arm, as pairs of key and value."""
    grid = experiment.arms[arm].grid
    return [list(zip(grid, values, strict=True)) for values in product(*grid.values())]


def arm_fingerprint(experiment: Experiment, arm: str, variant: str) -> str:
    """Twelve hexadecimal digits that change with all that decides the runs of one arm and variant.

    Other arms, other variants, more seeds and the texts of the experiment are not in it.
    """
    own, tuning = experiment.arms[arm], experiment.tuning
    parts: list[Any] = [experiment.base, own.overrides, own.variants[variant]]
    if tuning is not None:
        on = own.variants[own.tuned_on(variant)]
        grid = grid_overrides(experiment, arm)
        parts += [on, (str(tuning.seed), str(tuning.fold)), *grid]
        if choose := _choose(experiment, arm):
            first = experiment.arms[experiment.baseline]
            matched = first.variants[first.tuned_on(variant)]
            parts += [(choose.largest, choose.within), first.overrides, matched]
            parts += grid_overrides(experiment, experiment.baseline)
    parts += experiment.analyse
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def _rank(row: Row) -> tuple[float, float, int]:
    loss = row.get("validation_loss")
    return -_accuracy(row), float("inf") if loss is None else loss, row["trial"]


def _check_accuracies(rows: Sequence[Row]) -> None:
    for row in rows:
        if row.get("validation_accuracy") is None:
            raise ValueError(
                "tuning.choose compares validation accuracies, and every trial must have one. Got "
                f"none in trial {row['trial']} of {row['arm']!r}; take a task of classification, "
                "or leave out choose."
            )


def _accuracy(row: Row) -> float:
    return row.get("validation_accuracy") or 0.0


def _planned(
    experiment: Experiment,
    kind: str,
    arm: str,
    variant: str,
    seed: int,
    trial: int | None,
    tuned: Overrides,
    *more: str,
) -> Planned:
    own = experiment.arms[arm]
    overrides = (
        *(*experiment.base, *own.overrides, *own.variants[variant]),
        *(*tuned, f"seed={seed}", *more),
    )
    mark = arm_fingerprint(experiment, arm, variant)
    return Planned(kind, arm, variant, seed, trial, tuned, overrides, mark)


def _check_known(kind: str, wanted: Sequence[Any] | None, known: Any) -> None:
    for value in wanted or ():
        if value not in known:
            raise ValueError(
                f"there is no {kind} {value!r} in this experiment; it has "
                f"{', '.join(map(str, known))}."
            )


def _text(value: Any) -> str:
    """A value as the command line takes it."""
    return json.dumps(value) if value is None or isinstance(value, bool | list) else str(value)
