"""Connectomes of brains and of models side by side, on axes without units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from graphcolumns.analysis.connectome.counts import edge_density, edge_reciprocity
from graphcolumns.analysis.connectome.distance_fit import Bools, measured_pairs
from graphcolumns.analysis.connectome.pairs import Floats, directed_edges, joined_pairs
from graphcolumns.analysis.connectome.table import TITLES, ConnectomeTable
from graphcolumns.analysis.connectome.table_parts import table_parts
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph

# Distinct for every kind of colour vision (Okabe and Ito), and by marker in black and white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "os^DvPX"
BINS, LEAST = 16, 20  # classes of distance, and the pairs that a class must have
NULLS = {"degrees": "same degrees", "distance": "same rule of distance"}

Styles = Mapping[str, tuple[str, str]]
Kept = Mapping[str, ColumnGraph]
Excess = tuple[str, float, float, float]  # measure, value, and the interval of the null


class SideBySide(NamedTuple):
    """One connectome of a comparison.

    Args:
        graph: Edges among columns.
        weights: Weight of every edge, ``[E]``, 0 or above.
        geometry: Positions of the columns. Without, lengths of edges are used if all pairs of
            columns are joined, since only then are those of other pairs known.
        table: Table of this connectome, by ``connectome_table``, for the measures and their nulls.
    """

    graph: ColumnGraph
    weights: Tensor | None = None
    geometry: Geometry | None = None
    table: ConnectomeTable | None = None


def compare_connectomes(connectomes: Mapping[str, SideBySide], density: float = 0.1) -> Figure:
    r"""Brains and models in one figure: distance, degrees, weights, and measures beside nulls.

    Every axis is without a unit, so that a sheet of 64 columns and a brain are seen together:
    distances in units of the mean distance of all pairs, degrees and weights in units of their
    (geometric) mean, measures in units of their mean on the graphs of a null. Distance, degrees and
    measures are those of the strongest pairs of each connectome at one density, directions left out
    (all joined pairs without weights, or where fewer are joined); weights and reciprocity are those
    of all edges.

    Args:
        connectomes: Up to seven connectomes by name, in the order of the legend.
        density: Share of the pairs that is kept, in (0, 1].

    Returns:
        The figure. Panels without data say so.

    Raises:
        ValueError: No connectome, or more than seven; a density out of (0, 1]; a connectome without
            edges, or with bad weights.

    Source: the rule of distance in units of the mean distance, Ercsey-Ravasz et al., A predictive
    network model of cerebral cortical connectivity based on a distance rule, Neuron 80 (2013).

    Example:
        >>> from geometries import grid
        >>> from graphcolumns import connect
        >>> from graphcolumns.analysis.connectome import SideBySide, compare_connectomes
        >>> small, large = grid.sheet(6, 6), grid.sheet(12, 12)
        >>> figure = compare_connectomes(
        ...     {
        ...         "small": SideBySide(connect.nearest(small, 5), geometry=small),
        ...         "large": SideBySide(connect.nearest(large, 5), geometry=large),
        ...     }
        ... )
        >>> figure.savefig("compared.png")  # doctest: +SKIP
    """
    if not 1 <= len(connectomes) <= len(COLOURS):
        raise ValueError(
            f"a comparison shows 1 to {len(COLOURS)} connectomes. Got {len(connectomes)}."
        )
    kept = {
        name: table_parts(each.graph, each.weights, [density])[0][1].graph
        for name, each in connectomes.items()
    }
    figure = Figure(figsize=(12.5, 8), layout="constrained")
    halves: Any = figure.subfigures(2, 1)
    top, bottom = halves
    cells = [*top.subplots(1, 3), *bottom.subplots(1, 3, width_ratios=(1, 0.9, 1.25))]
    styles = dict(zip(connectomes, zip(COLOURS, MARKERS, strict=True), strict=False))
    _distances(cells[0], connectomes, kept, styles)
    _degrees(cells[1], kept, styles)
    _weights(cells[2], connectomes, styles)
    _measures(cells[3:5], connectomes, density, styles)
    _facts(cells[5], connectomes, kept, styles)
    for cell, letter in zip(cells, "ABCDEF", strict=True):
        cell.set_title(letter, loc="left", fontsize=12, fontweight="bold")
        cell.spines[["top", "right"]].set_visible(False)
    figure.legend(
        handles=[
            Line2D([], [], color=colour, marker=marker, label=name)
            for name, (colour, marker) in styles.items()
        ],
        loc="outside upper center",
        ncols=len(styles) if len(styles) < 5 else 4,
        frameon=False,
        fontsize=11,
    )
    return figure


def joined_by_distance(each: SideBySide, kept: ColumnGraph) -> tuple[Floats, Bools] | None:
    """Distances of pairs over their mean, and whether each is joined; None where unknown.

    Args:
        each: Connectome with a geometry, or with lengths of all pairs.
        kept: Its strongest pairs.
    """
    if each.geometry is not None:
        lengths, joined = measured_pairs(kept, each.geometry)
    else:
        pairs, n = joined_pairs(each.graph), each.graph.num_columns
        if pairs.length is None or len(pairs.low) < n * (n - 1) / 2:
            return None
        lengths = pairs.length
        joined = np.asarray(joined_pairs(kept).matrix()[pairs.low, pairs.high]).ravel() > 0
    mean = lengths.mean() if len(lengths) else 0.0
    return (lengths / mean, joined) if mean > 0 else None


def share_by_distance(distance: Floats, joined: Bools) -> tuple[Floats, Floats]:
    """Mean distance and share of joined pairs in classes of distance, with enough pairs each."""
    edges = np.linspace(0, max(distance.max() * (1 + 1e-9), 1e-12), BINS + 1)
    place = np.digitize(distance, edges) - 1
    pairs = np.bincount(place, minlength=BINS)
    enough = pairs >= min(LEAST, max(1, len(distance) // BINS))
    middle = np.bincount(place, distance, BINS)[enough] / pairs[enough]
    return middle, np.bincount(place, joined, BINS)[enough] / pairs[enough]


def _distances(
    axes: Axes, connectomes: Mapping[str, SideBySide], kept: Kept, styles: Styles
) -> None:
    shown = False
    for name, each in connectomes.items():
        found = joined_by_distance(each, kept[name])
        if found is None:
            continue
        middle, share = share_by_distance(*found)
        colour, marker = styles[name]
        there = share > 0
        axes.plot(middle[there], share[there], marker + "-", color=colour, ms=5, lw=1.2)
        shown = True
    axes.set(xlabel="distance / mean distance of all pairs", ylabel="share of pairs joined")
    _scaled(axes, shown, "no connectome has positions")


def _degrees(axes: Axes, kept: Kept, styles: Styles) -> None:
    for name, graph in kept.items():
        degree = np.sort(joined_pairs(graph).degree) / joined_pairs(graph).degree.mean()
        share = 1 - np.arange(len(degree)) / len(degree)
        axes.step(degree, share, where="pre", color=styles[name][0], lw=1.8)
    axes.set(xlabel="degree / mean degree", ylabel="share of columns at or above", yscale="log")


def _weights(axes: Axes, connectomes: Mapping[str, SideBySide], styles: Styles) -> None:
    weights = {name: _over_mean(each) for name, each in connectomes.items()}
    weights = {name: values for name, values in weights.items() if len(values)}
    for name, values in weights.items():
        share = 1 - np.arange(len(values)) / len(values)
        axes.step(values, share, where="pre", color=styles[name][0], lw=1.8)
    if not weights:
        _nothing(axes, "no connectome has weights")
        return
    axes.set(xlabel="weight / geometric mean", ylabel="share of edges at or above")
    axes.set(xscale="log", yscale="log")


def _over_mean(each: SideBySide) -> Floats:
    """Weights above 0 of edges between different columns over their geometric mean, rising."""
    if each.weights is None:
        return np.empty(0)
    values = directed_edges(each.graph, each.weights)[2]
    return np.sort(values / np.exp(np.log(values).mean())) if len(values) else values


def excess(each: SideBySide, density: float, null: str) -> Iterator[Excess]:
    """Measures over their mean on a null, with the central 95 % of the null in the same unit.

    Args:
        each: Connectome with a table.
        density: Density of its strongest pairs, if the table has it.
        null: Name of the null.
    """
    table = each.table
    if table is None:
        return
    there = [row.density for row in table.rows if row.graph != "directed"]
    own = min(there, key=lambda found: abs(found - density), default=density)
    for (at, metric, name), found in table.null_values.items():
        if name == null and (at != at or at == own) and found.mean > 0:
            low, high = np.quantile(found.values, [0.025, 0.975]) / found.mean
            yield metric, found.observed / found.mean, float(low), float(high)


def _measures(
    cells: Sequence[Axes], connectomes: Mapping[str, SideBySide], density: float, styles: Styles
) -> None:
    """A panel per null, with the same measures in the same rows."""
    every = {
        null: {name: list(excess(each, density, null)) for name, each in connectomes.items()}
        for null in NULLS
    }
    names = {row[0] for of_null in every.values() for rows in of_null.values() for row in rows}
    rows = [metric for metric in TITLES if metric in names][::-1]
    for axes, (null, of_null) in zip(cells, every.items(), strict=True):
        axes.set(xlabel=f"value / mean of graphs of the\n{NULLS[null]}")
        if not any(of_null.values()):
            _nothing(axes, f"no null {null!r} was drawn")
            continue
        _against(axes, of_null, rows, styles)
        axes.set_yticks(range(len(rows)), [TITLES[metric] for metric in rows])
    cells[1].tick_params(labelleft=False)


def _against(
    axes: Axes, of_null: Mapping[str, Sequence[Excess]], rows: list[str], styles: Styles
) -> None:
    """Values of measures over the mean of one null, a row each."""
    room = 0.7 / len(of_null)
    axes.axvline(1, color="0.3", lw=0.8)
    for number, (name, found) in enumerate(of_null.items()):
        colour, marker = styles[name]
        for metric, value, low, high in found:
            y = rows.index(metric) - room * (number - (len(of_null) - 1) / 2)
            axes.plot([low, high], [y, y], color="0.75", lw=5, solid_capstyle="butt")
            face = "white" if low <= value <= high else colour
            axes.plot(value, y, marker, color=colour, markerfacecolor=face, ms=6.5)
    axes.set(xscale="log", ylim=(-0.6, len(rows) - 0.4))
    _plain_ticks(axes)


def _plain_ticks(axes: Axes) -> None:
    """Few ticks on a logarithmic axis around 1, as plain numbers."""
    low, high = axes.get_xlim()
    low, high = min(low, 0.8), max(1.15 * high, 1.25)
    steps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 1, 1.25, 2, 5, 10, 20, 50, 100]
    shown = [x for x in steps if low <= x <= high]
    if high / low > 6:
        shown = [x for x in shown if x not in (0.8, 1.25)]
    axes.set_xlim(low, high)
    axes.set_xticks(shown, [f"{x:g}" for x in shown])
    axes.minorticks_off()


def _facts(axes: Axes, connectomes: Mapping[str, SideBySide], kept: Kept, styles: Styles) -> None:
    """Numbers that a unit-free axis hides."""
    axes.set_axis_off()
    heads = ["columns", "edges", "density", "recip-\nrocity", "pairs\nshown"]
    across = np.array([0.5, 0.63, 0.76, 0.87, 1.0])
    for x, head in zip(across, heads, strict=True):
        axes.text(x, 0.97, head, ha="right", va="top", fontsize=9, color="0.35")
    down = np.linspace(0.8, 0.8 - 0.12 * (len(connectomes) - 1), len(connectomes))
    for y, (name, each) in zip(down, connectomes.items(), strict=True):
        graph = each.graph
        cells = [
            f"{graph.num_columns:,}",
            f"{graph.num_edges:,}",
            f"{edge_density(graph):.3g}",
            f"{edge_reciprocity(graph):.2f}",
            f"{edge_density(kept[name]):.3g}",
        ]
        axes.text(-0.08, y, name, fontsize=9, color=styles[name][0], fontweight="bold")
        for x, cell in zip(across, cells, strict=True):
            axes.text(x, y, cell, ha="right", fontsize=9)
    axes.text(
        -0.08, 0.02,
        "A, B, D, E: strongest pairs, without directions (last column: their\n"
        "density); C, reciprocity and trophic incoherence: all edges.\n"
        "Grey: central 95 % of the null graphs; open marks lie within.",
        fontsize=8, color="0.35", va="bottom",
    )  # fmt: skip
    axes.set(xlim=(-0.08, 1.0), ylim=(0, 1))


def _scaled(axes: Axes, shown: bool, reason: str) -> None:
    if shown:
        axes.set(yscale="log", xlim=(0, None))
    else:
        _nothing(axes, reason)


def _nothing(axes: Axes, reason: str) -> None:
    axes.text(0.5, 0.5, reason, ha="center", va="center", transform=axes.transAxes, color="0.4")
    axes.set(xticks=[], yticks=[])
