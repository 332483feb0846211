"""The result of an experiment as one page of markdown."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from graphcolumns.analysis.experiment.definition import Experiment
from graphcolumns.analysis.experiment.interval import CONFIDENCE, Interval
from graphcolumns.analysis.experiment.plan import TUNE, Row, best_row, best_trial
from graphcolumns.analysis.experiment.points import VARIANT, Point, points

SHOWN = ("edges", "wiring_length", "train_seconds")  # columns beside the measured ones


def page(experiment: Experiment, rows: Sequence[Row]) -> str:
    """Question, table of means and paired differences, how it was measured, and raw data.

    Args:
        experiment: Definition of the experiment.
        rows: Rows of all its runs so far, ``Rows.all()``.

    Returns:
        Markdown. Accuracies are in percent, their differences in points; a difference is bold if
        its interval does not hold 0. Intervals are those of Student's t at 95 %, each on its own:
        among twenty differences one is expected to look real by chance.

    Raises:
        ValueError: An axis of ``measure`` is no column with numbers.
    """
    found = points(experiment, rows)
    parts = [
        f"# {experiment.name}",
        "## Question",
        f"**Claim.** {experiment.claim}",
        f"**It would be false if.** {experiment.falsified_if}",
        "## Table",
        _table(experiment, found) if found else "No run has finished.",
        "## How it was measured",
        _how(experiment),
        _choices(experiment, rows),
        "## Raw data",
        "[rows.csv](rows.csv) has a row per run.",
        _failures(rows),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _how(experiment: Experiment) -> str:
    seeds = ", ".join(map(str, experiment.seeds))
    text = f"Command: `graphcolumns train {' '.join(experiment.base)}`. Seeds: {seeds}. "
    text += f"Values are means with {CONFIDENCE:.0%} intervals (Student's t). Differences to "
    text += f"{experiment.baseline} are paired by seed, bold where their interval leaves out 0."
    if experiment.tuning is not None:
        text += (
            f" Every arm was tuned with {experiment.tuning.trials} trials of seed "
            f"{experiment.tuning.seed}, scored on fold {experiment.tuning.fold} of the training "
            "half."
        )
        if choose := experiment.tuning.choose:
            text += (
                f" Of the trials at most {100 * choose.within:g} points less accurate than the "
                f"best of {experiment.baseline}, the largest {choose.largest} was chosen."
            )
    return text


def _table(experiment: Experiment, found: Sequence[Point]) -> str:
    y, x = experiment.measure.y, experiment.measure.x
    more = dict.fromkeys((x, *SHOWN, *experiment.measure.also))
    more = {name: None for name in more if name not in (VARIANT, y)}
    head = ["arm", "variant", label(y), f"difference to {experiment.baseline}"]
    head += [label(name) for name in more] + ["seeds"]
    lines = [head, ["---"] * len(head)]
    for point in found:
        cells = [
            point.arm,
            point.variant,
            with_interval(y, point.y),
            _difference(y, point.difference),
        ]
        cells += [_number(name, point.mean(name)) for name in more] + [str(point.y.size)]
        lines.append(cells)
    return _lines(lines)


def _choices(experiment: Experiment, rows: Sequence[Row]) -> str:
    """What tuning chose: one line per arm and variant that was tuned."""
    head = ["tuned", "on", "chosen", "validation accuracy", "of the trials", "failed"]
    lines = [head, ["---"] * len(head)]
    trials = [row for row in rows if row["kind"] == TUNE]
    for arm, variant in dict.fromkeys((row["arm"], row["variant"]) for row in trials):
        own = [row for row in trials if (row["arm"], row["variant"]) == (arm, variant)]
        scores = [r["validation_accuracy"] for r in own if r.get("validation_accuracy") is not None]
        chosen = best_trial(experiment, rows, arm, variant) or ()
        row = best_row(experiment, rows, arm, variant) or {}
        best, span = row.get("validation_accuracy"), "-"
        best = "-" if best is None else f"{100 * best:.1f} %"
        if scores:
            span = f"from {100 * min(scores):.1f} to {100 * max(scores):.1f} %"
        failed = sum(row["status"] != "ok" for row in own)
        lines.append([arm, variant, f"`{' '.join(chosen)}`", best, span, f"{failed}/{len(own)}"])
    return _lines(lines) if trials else ""


def _failures(rows: Sequence[Row]) -> str:
    failed = [row for row in rows if row["status"] != "ok"]
    lines = [
        f"- {row['kind']}, {row['arm']}, {row['variant']}, seed {row['seed']}"
        + (f", `{row['tuned']}`" if row["tuned"] else "")
        + f": {row['error']}"
        for row in failed
    ]
    return "\n".join([f"{len(failed)} runs failed:\n", *lines]) if failed else ""


def label(name: str) -> str:
    """The name of a column as a heading, with ``%`` where it is shown in percent."""
    return name.replace("_", " ") + (" (%)" if is_share(name) else "")


def is_share(name: str) -> bool:
    """Whether a column is shown in percent."""
    return name.endswith("_accuracy")


def with_interval(name: str, interval: Interval) -> str:
    """``97.3 [96.8, 97.8]``; a single seed has no interval."""
    centre, low, high = (_number(name, value) for value in interval[:3])
    return centre if isnan(interval.low) else f"{centre} [{low}, {high}]"


def _difference(name: str, interval: Interval | None) -> str:
    if interval is None:
        return "-"
    centre, low, high = (_number(name, value, sign="+") for value in interval[:3])
    if isnan(interval.low):
        return centre
    text = f"{centre} [{low}, {high}]"
    return f"**{text}**" if interval.low > 0 or interval.high < 0 else text


def _number(name: str, value: float | None, sign: str = "") -> str:
    if value is None:
        return "-"
    return f"{100 * value:{sign}z.1f}" if is_share(name) else f"{value:{sign}z.4g}"


def _lines(cells: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
