"""How the sheet is wired: edges on the sheet, their lengths, degrees and the adjacency matrix."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from graphcolumns.analysis import draw
from graphcolumns.analysis.connectome import (
    distance_rule,
    pair_lengths,
    rule_weights,
    wire_lengths,
)
from graphcolumns.analysis.interactive import spatial
from graphcolumns.analysis.layout import Floats, panels
from graphcolumns.analysis.observation import Observation, Wiring
from graphcolumns.analysis.picture import Picture, padded_cells, png, table

LINES = 3000  # edges that are drawn
BINS = 40
CELLS = 256  # rows of an adjacency matrix that is too large for one pixel per pair


def wires(seen: Observation, wiring: Wiring) -> Picture | None:
    """Edges as lines, coloured by length; None where no geometry has both ends of the edges."""
    graph, geometry, unit = wiring.graph, seen.sheet_of(wiring.graph), seen.unit
    if geometry is None:
        return None
    lengths = graph.distance.numpy() if graph.distance is not None else np.zeros(graph.num_edges)
    source, target = graph.source.numpy(), graph.target.numpy()
    ids = _some(np.flatnonzero(source != target))
    sides = panels(geometry)
    figure, axes = draw.panel_rows(sides, 1, height=3.2)
    norm = draw.scale(lengths[ids]) if len(ids) else draw.scale(np.zeros(1))
    for cell, side in zip(axes[0], sides, strict=True):
        cell.set_aspect("equal")
        cell.set_axis_off()
        cell.set_title(side.title, fontsize=8)
        cell.plot(*side.places.T, ".", color="0.75", markersize=2)
        if len(ids):
            draw.edge_lines(cell, side, target[ids], source[ids], lengths[ids], norm)
    draw.bar(figure, axes, norm, f"length ({unit})")
    columns = {"target": target, "source": source, "distance": lengths}
    shown = "All edges" if len(ids) == (source != target).sum() else f"{len(ids)} edges, at random"
    return Picture(
        "wires",
        "Wires on the sheet",
        f"{shown}, drawn where both ends are on one panel, coloured by length in {unit}. "
        "The table has all edges: the target receives from the source.",
        png(figure),
        table(columns),
        spatial(geometry, {}, "", edges=(target[ids], source[ids])),
    )


def lengths(seen: Observation, wiring: Wiring) -> Picture | None:
    """Edge lengths against random wiring and against a rule of distance alone; None without.

    Where no geometry has both ends of the edges, nothing is known of other pairs.
    """
    graph, geometry, unit = wiring.graph, seen.sheet_of(wiring.graph), seen.unit
    if graph.distance is None:
        return None
    wires = wire_lengths(graph)
    if not len(wires):
        return None
    if geometry is None:
        return _lengths_alone(wires, unit)
    pairs = pair_lengths(geometry)
    rate = distance_rule(wires, pairs)
    edges = np.linspace(0, max(pairs.max(), wires.max()) * (1 + 1e-9), BINS + 1)
    found = np.histogram(wires, edges)[0] / len(wires)
    random = np.histogram(pairs, edges)[0] / len(pairs)
    rule = np.histogram(pairs, edges, weights=rule_weights(pairs, rate))[0]
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    axes.stairs(found, edges, fill=True, alpha=0.5, label=f"this wiring, mean {wires.mean():.3g}")
    axes.stairs(random, edges, color="0.4", label=f"random wiring, mean {pairs.mean():.3g}")
    if np.isfinite(rate):
        name = f"distance rule, e^(-d / {1 / rate:.3g})" if rate else "distance rule"
        axes.stairs(rule, edges, color="#d62728", label=name)
    axes.set(xlabel=f"length ({unit})", ylabel="share of edges")
    axes.legend(frameon=False, fontsize=8)
    columns = {"from": edges[:-1], "to": edges[1:], "edges": found, "random": random}
    return Picture(
        "lengths",
        "Lengths of edges",
        "Edges between different columns. Random wiring: all pairs are equally likely. Distance "
        f"rule: pairs in proportion to e^(-r d), with the r = {rate:.3g} per {unit} that gives the "
        "same mean length (Ercsey-Ravasz et al. 2013). What differs from the rule is not explained "
        "by distance.",
        png(figure),
        table(columns | {"distance_rule": rule}),
    )


def _lengths_alone(wires: Floats, unit: str) -> Picture:
    """Edge lengths without anything to compare them with."""
    edges = np.linspace(0, max(wires.max(), 1e-12) * (1 + 1e-9), BINS + 1)
    found = np.histogram(wires, edges)[0] / len(wires)
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    axes.stairs(found, edges, fill=True, alpha=0.5)
    axes.set(xlabel=f"length ({unit})", ylabel="share of edges")
    return Picture(
        "lengths",
        "Lengths of edges",
        f"Edges by length in {unit}, mean {wires.mean():.3g}.",
        png(figure),
        table({"from": edges[:-1], "to": edges[1:], "edges": found}),
    )


def degrees(seen: Observation, wiring: Wiring) -> Picture:
    """How many sources and how many targets each column has."""
    graph = wiring.graph
    found = {"in-degree": graph.in_degree.numpy(), "out-degree": graph.out_degree.numpy()}
    square = graph.num_columns == graph.num_sources
    counted = ("columns", "columns" if square else "sources")
    figure = Figure(figsize=(6, 2.6), layout="constrained")
    for axes, (name, values), label in zip(
        figure.subplots(1, 2), found.items(), counted, strict=True
    ):
        axes.hist(values, np.arange(values.min(), values.max() + 2) - 0.5)
        axes.set(xlabel=f"{name} (edges)", ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
    ids = np.arange(max(map(len, found.values())))
    return Picture(
        "degrees",
        "Degrees",
        "In-degree: number of sources of a column. Out-degree: number of its targets. An "
        "edge from a column to itself counts in both."
        if square
        else "In-degree: number of sources of a column. Out-degree: number of targets of a source.",
        png(figure),
        table(
            {"column": ids, **{k.replace("-", "_"): padded_cells(v, ids) for k, v in found.items()}}
        ),
    )


def adjacency(seen: Observation, wiring: Wiring) -> Picture:
    """The adjacency matrix, columns along a space-filling curve where there is a geometry."""
    graph, geometry = wiring.graph, seen.sheet_of(wiring.graph)
    n, m = graph.num_columns, graph.num_sources
    rank = np.arange(n) if geometry is None else geometry.reorder()[1].argsort().numpy()
    row, column = graph.target.numpy(), graph.source.numpy()
    if geometry is not None:
        row, column = rank[row], rank[column]
    size = (min(n, CELLS), min(m, CELLS))
    counts = np.histogram2d(row, column, bins=size, range=[[0, n], [0, m]])[0]
    figure = Figure(figsize=(4.6, 3.8), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(
        counts, cmap="Greys", interpolation="nearest", extent=(0, m, n, 0), vmin=0,
        aspect="equal" if n == m else "auto",
    )  # fmt: skip
    along = ", id" if geometry is None else ", along the sheet"
    axes.set(xlabel=f"source{along}", ylabel=f"target{along}")
    if (n, m) != size:
        figure.colorbar(image, label="edges per cell")
    cells = f"; cells of {n / size[0]:.3g} x {m / size[1]:.3g} pairs." if (n, m) != size else "."
    order = "Columns stand in the order of their ids"
    if geometry is not None:
        order = (
            "Columns stand in the order of a Hilbert curve, so that neighbours on the sheet are "
            "neighbours here: what is far from the diagonal is far on the sheet"
        )
    return Picture(
        "adjacency",
        "Adjacency" if geometry is None else "Adjacency, ordered by space",
        f"A dot: the target (row) receives from the source. {order}{cells}",
        png(figure),
        table({"column": np.arange(n), "rank": rank}),
    )


def _some(ids: np.ndarray) -> np.ndarray:
    """At most ``LINES`` of them, drawn at random."""
    if len(ids) <= LINES:
        return ids
    return np.sort(np.random.default_rng(0).choice(ids, LINES, replace=False))
