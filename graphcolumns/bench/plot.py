"""A benchmark as one figure."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from graphcolumns.bench.row import Row

OURS = "ours"


def picture(rows: Sequence[Row]) -> bytes:
    """How often faster than each peer, and how time and memory grow: a PNG."""
    timed = [row for row in rows if row.ratio is not None and row.who != OURS]
    cases = list(dict.fromkeys(row.case for row in timed))
    growing = [name for name in ("edges", "columns") if any(r.case == name for r in rows)]
    count = max(1, len(cases) + len(growing))
    figure = Figure(figsize=(5.2 * min(count, 3), 4.2 * -(-count // 3)), layout="constrained")
    places = figure.subplots(-(-count // 3), min(count, 3), squeeze=False).ravel()
    for axes, case in zip(places, cases, strict=False):
        _ratios(axes, case, [row for row in timed if row.case == case])
    for axes, case in zip(places[len(cases) :], growing, strict=False):
        _growth(axes, case, [row for row in rows if row.case == case])
    for axes in places[len(cases) + len(growing) :]:
        axes.set_axis_off()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def _ratios(axes: Axes, case: str, rows: Sequence[Row]) -> None:
    """A bar per peer and shape; below 1 the peer is faster."""
    names = [f"{row.who}, {row.shape}" for row in rows]
    values = [row.ratio or 0.0 for row in rows]
    shapes = list(dict.fromkeys(row.shape for row in rows))
    colours = matplotlib.colormaps["tab10"]
    axes.barh(names, values, color=[colours(shapes.index(row.shape) % 10) for row in rows])
    axes.axvline(1.0, color="black", lw=1)
    axes.set_xscale("log")
    _few_numbers(axes.xaxis)
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=5.5)
    axes.set(xlabel="time of the peer over ours", title=case)


def _growth(axes: Axes, case: str, rows: Sequence[Row]) -> None:
    """Time and peak memory against the number of edges or columns."""
    memory = axes.twinx()
    for who in dict.fromkeys(row.who for row in rows):
        own = [row for row in rows if row.who == who]
        x = [row.values[case] for row in own]
        line = axes.plot(x, [row.seconds.median for row in own if row.seconds], "o-", label=who)[0]
        sizes = [(a, row.memory) for a, row in zip(x, own, strict=True) if row.memory]
        if sizes:
            memory.plot(*zip(*sizes, strict=True), "s:", color=line.get_color())
    for side, name in ((axes, "seconds (dots)"), (memory, "peak bytes (squares)")):
        side.set_yscale("log")
        side.set_ylabel(name)
        _few_numbers(side.yaxis)
    axes.set_xscale("log")
    _few_numbers(axes.xaxis)
    axes.set(xlabel=case, title=f"growth with {case}")
    axes.legend(frameon=False, fontsize=7)


def _few_numbers(axis: Axis) -> None:
    """Numbers beside a few ticks of a logarithmic axis: matplotlib's own run into each other."""
    low, high = axis.get_data_interval()
    decades = math.log10(high / low) if 0 < low < high else 1.0
    multiples = range(1, 10) if decades < 0.5 else (1, 2, 5) if decades < 2.3 else (1,)
    axis.set_major_locator(LogLocator(subs=multiples))
    axis.set_major_formatter(EngFormatter(sep=""))
    axis.set_minor_formatter(NullFormatter())
