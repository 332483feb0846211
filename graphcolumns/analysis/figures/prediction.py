"""Whether the scores of edges foretell what an update does to the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import spearmanr

from graphcolumns.analysis.draw import BORN, DIED, STAYED, key_above
from graphcolumns.analysis.layout import Floats, Ids
from graphcolumns.analysis.picture import Picture, png, table

MANY = 60  # updates, from which on a curve has no markers


class Forecast(NamedTuple):
    """Loss changes of ``U`` updates, in units of loss; negative is better.

    Attributes:
        steps: Optimizer step, ``[U]``.
        predicted: Sum of the scores of the births and deaths that were made, ``[U]``.
        realised: Change measured on the same samples, right after them, ``[U]``.
        accepted: Share of the proposed births and deaths that were made ``[U]``.
    """

    steps: Ids
    predicted: Floats
    realised: Floats
    accepted: Floats


def forecast(entries: Sequence[dict[str, Any]]) -> Forecast:
    """The updates that noted both changes; without those that had nothing to propose."""
    names = ("predicted_change", "realised_change")
    both = [entry for entry in entries if all(entry.get(name) is not None for name in names)]
    both = [entry for entry in both if not _idle(entry)]
    return Forecast(
        np.array([entry["step"] for entry in both], dtype=np.int64),
        np.array([entry[names[0]] for entry in both], dtype=float),
        np.array([entry[names[1]] for entry in both], dtype=float),
        np.array([entry.get("accepted", 1.0) for entry in both], dtype=float),
    )


def _idle(entry: dict[str, Any]) -> bool:
    """Whether nothing was proposed: nothing was made of it, and nothing was refused."""
    made = entry.get("edges_born", 1) + entry.get("edges_died", 1)
    return not made and entry.get("accepted", 1.0) > 0


def prediction(entries: Sequence[dict[str, Any]]) -> Picture | None:
    """Predicted against realised loss change; None when no update noted both."""
    seen = forecast(entries)
    if not len(seen.steps):
        return None
    figure = Figure(figsize=(8.6, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _scatter(left, seen)
    _over_time(right, seen)
    return Picture(
        "prediction",
        "Predicted and realised",
        "Change of the loss by each update, in units of loss (negative: better), as the scores "
        f"predicted it and as it was measured on the same samples{_agreement(seen)}. On the "
        f"dashed line, the prediction is exact. Accepted were {seen.accepted.mean():.0%} of the "
        "proposed births and deaths; predicted and realised are those of the accepted ones.",
        png(figure),
        table(seen._asdict()),
    )


def _scatter(axes: Axes, seen: Forecast) -> None:
    axes.axhline(0, color="0.8", lw=0.8)
    axes.axvline(0, color="0.8", lw=0.8)
    axes.axline((0, 0), slope=1, color="0.3", lw=0.8, ls="--", label="exact")
    for name, (chosen, style) in _fates(seen).items():
        if chosen.any():
            axes.plot(seen.predicted[chosen], seen.realised[chosen], label=name, **style)
    axes.set(xlabel="predicted loss change", ylabel="realised loss change")
    axes.locator_params(nbins=5)
    key_above(axes, 2)


def _over_time(axes: Axes, seen: Forecast) -> None:
    axes.axhline(0, color="0.8", lw=0.8)
    few = len(seen.steps) <= MANY
    style = {"lw": 1.0, "marker": "o", "ms": 3} if few else {"lw": 0.7}
    axes.plot(seen.steps, seen.predicted, color=STAYED, label="predicted", **style)
    axes.plot(seen.steps, seen.realised, color=BORN, label="realised", **style)
    none = seen.accepted == 0
    if none.any():
        axes.plot(seen.steps[none], seen.realised[none], "x", color=DIED, label="none accepted")
    axes.set(xlabel="optimizer step", ylabel="loss change")
    axes.grid(alpha=0.25)
    key_above(axes)


def _agreement(seen: Forecast) -> str:
    """The rank correlation in words, where there is one."""
    changed = (seen.predicted != 0) | (seen.realised != 0)  # both are 0 where nothing was accepted
    predicted, realised = seen.predicted[changed], seen.realised[changed]
    varied = all(len(np.unique(values)) > 1 for values in (predicted, realised))
    if len(predicted) < 3 or not varied:
        return ""
    rank = float(spearmanr(predicted, realised).statistic)
    return f"; rank correlation {rank:.2f}"


def _fates(seen: Forecast) -> dict[str, tuple[NDArray[np.bool_], dict[str, Any]]]:
    """Updates by how much of them was accepted, and how they are drawn."""
    every, none = seen.accepted >= 1, seen.accepted == 0
    dot = {"color": BORN, "ls": "", "ms": 4.5, "marker": "o"}
    return {
        "all accepted": (every, dot | {"alpha": 0.7}),
        "some accepted": (~every & ~none, dot | {"markerfacecolor": "none"}),
        "none accepted": (none, dot | {"color": DIED, "marker": "x", "ms": 6}),
    }
