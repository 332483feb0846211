"""The result of an experiment as one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from graphcolumns.analysis.experiment.definition import Experiment
from graphcolumns.analysis.experiment.page import is_share, label
from graphcolumns.analysis.experiment.plan import Row
from graphcolumns.analysis.experiment.points import Point, points

MARKERS = "osD^vP*X<>"


def figure(experiment: Experiment, rows: Sequence[Row]) -> Figure:
    """What was measured, against x: mean, 95 % interval, and every seed as a faint dot.

    Args:
        experiment: Definition of the experiment; ``measure`` names the axes.
        rows: Rows of all its runs so far, ``Rows.all()``.

    Returns:
        A figure with one line per arm; the baseline is black and dashed.

    Raises:
        ValueError: An axis of ``measure`` is no column with numbers.
    """
    found = points(experiment, rows)
    drawn = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = drawn.subplots()
    at = _places(found)
    arms = dict.fromkeys(point.arm for point in found)
    colours = matplotlib.colormaps["tab10" if len(arms) <= 10 else "tab20"]
    for index, arm in enumerate(arms):
        own = [point for point in found if point.arm == arm]
        is_baseline = arm == experiment.baseline
        colour = "black" if is_baseline else colours(index % colours.N)
        # Side by side where places are shared, and at its number where each arm has its own.
        shared = _named(found) or 2 * len(at) <= len(found)
        rank = index / max(len(arms) - 1, 1) - 0.5 if shared else 0.0
        places = [_aside(at[p.x], rank, at, _named(found)) for p in own]
        _line(axes, experiment, own, places, colour, is_baseline, index)
    _scale(axes, at, _named(found))
    axes.set_xlabel(label(experiment.measure.x))
    axes.set_ylabel(label(experiment.measure.y))
    axes.grid(alpha=0.25)
    if found:
        drawn.legend(frameon=False, fontsize=8, loc="outside right upper")
    return drawn


def _line(
    axes: Axes,
    experiment: Experiment,
    own: Sequence[Point],
    x: Sequence[float],
    colour: object,
    is_baseline: bool,
    index: int,
) -> None:
    y = experiment.measure.y
    factor = 100 if is_share(y) else 1
    half = [0.0 if isnan(point.y.low) else factor * (point.y.high - point.y.mean) for point in own]
    axes.errorbar(
        x, [factor * point.y.mean for point in own], half,
        color=colour, linestyle="--" if is_baseline else "-", marker=MARKERS[index % len(MARKERS)],
        markersize=4, capsize=3, linewidth=1.2, label=own[0].arm,
    )  # fmt: skip
    for place, point in zip(x, own, strict=True):
        values = [factor * row[y] for row in point.rows]
        axes.plot([place] * len(values), values, ".", color=colour, alpha=0.25, markersize=4)


def _named(found: Sequence[Point]) -> bool:
    return any(isinstance(point.x, str) for point in found)


def _places(found: Sequence[Point]) -> dict[float | str, float]:
    """Where each x is: at its number, or names in the order of the definition."""
    different = dict.fromkeys(point.x for point in found)
    return {x: i if isinstance(x, str) else float(x) for i, x in enumerate(different)}


def _aside(place: float, rank: float, at: Mapping[float | str, float], named: bool) -> float:
    """Arms at the same place stand side by side: ``rank`` is from -1/2 to 1/2."""
    if named:
        return place + 0.5 * rank
    if _logarithmic(at):
        return place * 1.15**rank
    return place + 0.05 * rank * (max(at.values()) - min(at.values()))


def _logarithmic(at: Mapping[float | str, float]) -> bool:
    return bool(at) and min(at.values()) > 0 and max(at.values()) > 10 * min(at.values())


def _scale(axes: Axes, at: Mapping[float | str, float], named: bool) -> None:
    if named:
        axes.set_xticks(list(at.values()), list(map(str, at)))
    elif _logarithmic(at):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
