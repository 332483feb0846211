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
from graphcolumns.analysis.layout import panels
from graphcolumns.analysis.observe import Observation
from graphcolumns.analysis.picture import Picture, png, table

LINES = 3000  # edges that are drawn, the longest left out last
BINS = 40
CELLS = 256  # rows of an adjacency matrix that is too large for one pixel per pair


def wires(seen: Observation) -> Picture:
    """Edges as lines, coloured by length."""
    graph, unit = seen.graph, seen.geometry.unit
    lengths = graph.distance.numpy() if graph.distance is not None else np.zeros(graph.num_edges)
    source, target = graph.source.numpy(), graph.target.numpy()
    ids = _some(np.flatnonzero(source != target))
    sides = [side for side in panels(seen.geometry)]
    figure, axes = draw.rows(sides, 1, height=3.2)
    norm = draw.scale(lengths[ids]) if len(ids) else draw.scale(np.zeros(1))
    for cell, side in zip(axes[0], sides, strict=True):
        cell.set_aspect("equal")
        cell.set_axis_off()
        cell.set_title(side.title, fontsize=8)
        cell.plot(*side.places.T, ".", color="0.75", markersize=2)
        if len(ids):
            draw.wires(cell, side, target[ids], source[ids], lengths[ids], norm)
    draw.bar(figure, axes, norm, f"length ({unit})")
    columns = {"target": target, "source": source, "distance": lengths}
    shown = "All edges" if len(ids) == (source != target).sum() else f"{len(ids)} edges, at random"
    return Picture(
        "wires",
        "Wires on the sheet",
        f"{shown}, drawn where both ends are on one panel, coloured by length in {unit}. "
        "The table has all edges: the target listens to the source.",
        png(figure),
        table(columns),
        spatial(seen.geometry, {}, "", edges=(target[ids], source[ids])),
    )


def lengths(seen: Observation) -> Picture | None:
    """Edge lengths against random wiring and against a rule of distance alone; None without."""
    if seen.graph.distance is None:
        return None
    wires, unit = wire_lengths(seen.graph), seen.geometry.unit
    if not len(wires):
        return None
    pairs = pair_lengths(seen.geometry)
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


def degrees(seen: Observation) -> Picture:
    """How many columns each listens to, and how many listen to it."""
    found = {"in-degree": seen.graph.in_degree.numpy(), "out-degree": seen.graph.out_degree.numpy()}
    figure = Figure(figsize=(6, 2.6), layout="constrained")
    for axes, (name, values) in zip(figure.subplots(1, 2), found.items(), strict=True):
        axes.hist(values, np.arange(values.min(), values.max() + 2) - 0.5)
        axes.set(xlabel=name, ylabel="columns")
        axes.xaxis.get_major_locator().set_params(integer=True)
    ids = np.arange(seen.graph.num_columns)
    return Picture(
        "degrees",
        "Degrees",
        "In-degree: columns that a column listens to. Out-degree: columns that listen to it. An "
        "edge from a column to itself counts in both.",
        png(figure),
        table({"column": ids, **{k.replace("-", "_"): v for k, v in found.items()}}),
    )


def adjacency(seen: Observation) -> Picture:
    """The adjacency matrix, columns along a space-filling curve."""
    n = seen.graph.num_columns
    rank = seen.geometry.reorder()[1].argsort().numpy()
    row, column = rank[seen.graph.target.numpy()], rank[seen.graph.source.numpy()]
    size = min(n, CELLS)
    counts = np.histogram2d(row, column, bins=size, range=[[0, n], [0, n]])[0]
    figure = Figure(figsize=(4.6, 3.8), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(counts, cmap="Greys", interpolation="nearest", extent=(0, n, n, 0), vmin=0)
    axes.set(xlabel="source, along the sheet", ylabel="target, along the sheet")
    if n > size:
        figure.colorbar(image, label="edges per cell")
    return Picture(
        "adjacency",
        "Adjacency, ordered by space",
        "A dot: the target (row) listens to the source. Columns stand in the order of a Hilbert "
        "curve, so that neighbours on the sheet are neighbours here: what is far from the diagonal "
        "is far on the sheet" + (f"; cells of {n / size:.3g} columns." if n > size else "."),
        png(figure),
        table({"column": np.arange(n), "rank": rank}),
    )


def _some(ids: np.ndarray) -> np.ndarray:
    """At most `LINES` of them, drawn at random."""
    if len(ids) <= LINES:
        return ids
    return np.sort(np.random.default_rng(0).choice(ids, LINES, replace=False))
