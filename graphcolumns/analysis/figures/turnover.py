"""Edges that are grown and pruned, and their lifetimes."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from graphcolumns.analysis.draw import BORN, DIED, STAYED, key_above
from graphcolumns.analysis.edge_lifetimes import Lifetimes, births, deaths, edge_survival, totals
from graphcolumns.analysis.picture import Picture, png, table

BINS = 40  # of ages, when there are more different ones
MANY = 60  # updates


def churn(found: Lifetimes) -> Picture:
    """Births and deaths of every update."""
    steps, born, died = found.steps[1:], births(found)[1:], deaths(found)[1:]
    count = totals(found)
    both = count[:-1] + count[1:]
    figure = Figure(figsize=(6.4, 2.8), layout="constrained")
    axes = figure.subplots()
    width = _width(found)
    axes.bar(steps, born, width, color=BORN, label="born", linewidth=0)
    axes.bar(steps, -died, width, color=DIED, label="died", linewidth=0)
    axes.axhline(0, color="0.3", lw=0.6)
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    axes.set(xlabel="optimizer step", ylabel="edges per update")
    axes.set_xlim(0, found.steps[-1] + width)
    axes.set_axisbelow(True)
    axes.grid(alpha=0.25)
    key_above(axes)
    share = (born + died) / np.where(both > 0, both, 1)
    return Picture(
        "churn",
        "Births and deaths",
        "Edges that each update adds (up) and removes (down). Churn, births and deaths over the "
        f"edges before plus those after, is {share.mean():.2%} per update on average.",
        png(figure),
        table({"step": steps, "update": found.updates[1:], "born": born, "died": died}),
    )


def ages(found: Lifetimes) -> Picture:
    """How old the edges of the end are, and how long edges live."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    _histogram(left, found)
    columns: dict[str, list[float]] = {"age": [], "alive": []}
    kinds: list[str] = []
    for name, chosen, colour in (
        ("initial edges", found.initial, STAYED),
        ("born by an update", ~found.initial, BORN),
    ):
        if chosen.any():
            age, share = edge_survival(found, chosen)
            right.step(age, share, where="post", color=colour, label=f"{name}: {chosen.sum():,}")
            kinds += [name] * len(age)
            columns["age"] += age.tolist()
            columns["alive"] += share.tolist()
    right.set(xlabel="age (updates)", ylabel="share still alive", ylim=(-0.02, 1.02))
    right.grid(alpha=0.25)
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    key_above(right)
    return Picture(
        "ages",
        "How long edges live",
        "Left: the edges of the end by age, in updates since birth; initial edges are as old as "
        "the run. Right: the share of edges that reach an age, with those still alive at the end "
        "counted for as long as they were seen (Kaplan and Meier 1958).",
        png(figure),
        table({"edges": kinds, **columns}),
    )


def _width(found: Lifetimes) -> float:
    """Bar width in optimizer steps; bars touch when there are many."""
    gap = np.diff(found.steps).min(initial=max(1, int(found.steps[-1])))
    bar = 0.8 * gap if len(found.steps) <= MANY else gap
    return float(np.clip(bar, 0.004 * found.steps[-1], 0.08 * found.steps[-1]))


def _histogram(axes: Axes, found: Lifetimes) -> None:
    """Ages of the edges that are alive at the end."""
    age, initial = found.age[found.survived], found.initial[found.survived]
    oldest = int(age.max(initial=0))
    step = max(1, -(-(oldest + 1) // BINS))
    bins = (np.arange(0, oldest + step + 1, step) - 0.5).tolist()
    parts = {("born by an update", BORN): age[~initial], ("initial edges", STAYED): age[initial]}
    parts = {key: part for key, part in parts.items() if len(part)}
    names, colours = [name for name, _ in parts], [colour for _, colour in parts]
    if parts:
        axes.hist(list(parts.values()), bins, stacked=True, color=colours, label=names, rwidth=0.9)
        key_above(axes)
    axes.set(xlabel="age (updates)", ylabel="edges at the end")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
