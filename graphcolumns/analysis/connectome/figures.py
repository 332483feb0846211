"""Figures of a connectome: rule of distance, degrees, sorted adjacency, values on nulls."""

from __future__ import annotations

import os
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from graphcolumns.analysis.connectome.counts import column_degrees
from graphcolumns.analysis.connectome.distance_fit import fit_distance_rules, measured_pairs
from graphcolumns.analysis.connectome.pairs import Ids, joined_pairs
from graphcolumns.analysis.connectome.segregation import find_communities
from graphcolumns.analysis.connectome.table import TITLES, ConnectomeTable
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph

FORMATS = ("png", "svg", "pdf")
BINS = 20
# Cells per side of an adjacency matrix that is too large for one pixel per pair.
CELLS = 512


def distance_rule_figure(graph: ColumnGraph, geometry: Geometry) -> Figure:
    """Share of the pairs that are joined by distance, and the three fitted rules.

    Args:
        graph: Edges among columns.
        geometry: Positions of the columns.

    Raises:
        ValueError: See ``fit_distance_rules``.
    """
    found = fit_distance_rules(graph, geometry)
    lengths, joined = measured_pairs(graph, geometry)
    edges = np.linspace(lengths.min(), lengths.max() * (1 + 1e-9), BINS + 1)
    pairs = np.histogram(lengths, edges)[0]
    hits = np.histogram(lengths[joined], edges)[0]
    there = pairs > 0
    middle = (edges[1:] + edges[:-1])[there] / 2
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(middle, hits[there] / pairs[there], "o", color="black", label="this graph")
    fine = np.linspace(lengths.min(), lengths.max(), 200)
    for fit in found.fits:
        label = f"{fit.shape}, AIC {fit.aic:.5g}"
        axes.plot(fine, fit.probability(fine), label=label, linewidth=1.5)
    least = 0.3 / pairs.max()
    axes.set(yscale="log", ylim=(least, 1.5), xlabel=f"distance ({geometry.unit})")
    axes.set_ylabel("share of pairs that are joined")
    axes.set_title(rf"$\lambda \langle d \rangle$ = {found.scaled_rate:.3g}", fontsize=9)
    axes.legend(frameon=False, fontsize=8)
    return figure


def degree_figure(graph: ColumnGraph) -> Figure:
    """Share of the columns of each degree or above: incoming, outgoing, and in any direction.

    Args:
        graph: Edges among columns.

    Raises:
        ValueError: A bipartite graph.
    """
    degrees = column_degrees(graph)
    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    axes = figure.subplots()
    for name, label in (("incoming", "in"), ("outgoing", "out"), ("joined", "any direction")):
        values = np.sort(getattr(degrees, name))
        share = 1 - np.arange(len(values)) / len(values)
        axes.step(values, share, where="pre", label=label)
    axes.set(xlabel="degree", ylabel="share of columns at or above", yscale="log")
    axes.legend(frameon=False, fontsize=8)
    return figure


def adjacency_figure(
    graph: ColumnGraph, weights: Tensor | None = None, seed: int = 0
) -> tuple[Figure, Ids]:
    """The symmetrised adjacency matrix, columns sorted by community, the largest first.

    Args:
        graph: Edges among columns.
        weights: Weight of every edge, ``[E]``, 0 or above; colours are their logarithms.
        seed: Seed of the search for communities.

    Returns:
        The figure, and the ids of the columns in its order, ``[N]``.

    Raises:
        ValueError: Bad weights, or a bipartite graph.
    """
    labels = find_communities(graph, seed=seed).labels
    size = np.bincount(labels)
    order = np.lexsort((np.arange(len(labels)), labels, -size[labels]))
    place = np.argsort(order)
    pairs = joined_pairs(graph, weights)
    cells = min(CELLS, graph.num_columns)
    at = place * cells // graph.num_columns
    image = np.zeros((cells, cells))
    np.add.at(image, (at[pairs.low], at[pairs.high]), pairs.weight)
    np.add.at(image, (at[pairs.high], at[pairs.low]), pairs.weight)
    shown = np.log10(image, out=np.full_like(image, np.nan), where=image > 0)
    figure = Figure(figsize=(4.6, 4), layout="constrained")
    axes = figure.subplots()
    extent = (0, graph.num_columns, graph.num_columns, 0)
    drawn = axes.imshow(shown, extent=extent, interpolation="nearest", cmap="viridis")
    for border in np.cumsum(np.sort(size)[::-1])[:-1]:
        axes.axhline(border, color="0.6", linewidth=0.5)
        axes.axvline(border, color="0.6", linewidth=0.5)
    axes.set(xlabel="columns by community", ylabel="columns by community")
    axes.set_title(f"{len(size)} communities", fontsize=9)
    if weights is not None or cells < graph.num_columns:
        figure.colorbar(drawn, ax=axes, label="log10 weight", shrink=0.85)
    return figure, order


def null_figure(table: ConnectomeTable, density: float | None = None) -> Figure | None:
    """Values of each metric on the graphs of each null, and on the graph as a line.

    Args:
        table: Table of a connectome.
        density: Density of the strongest pairs; None for the directed graph.

    Returns:
        The figure; None if the table has no nulls at that density.
    """
    found = [
        (metric, null, values)
        for (at, metric, null), values in table.null_values.items()
        if (at != at if density is None else at == density)
    ]
    if not found:
        return None
    across = min(3, len(found))
    down = -(-len(found) // across)
    figure = Figure(figsize=(2.6 * across, 2 * down), layout="constrained")
    cells = figure.subplots(down, across, squeeze=False).ravel()
    for cell in cells[len(found) :]:
        cell.set_axis_off()
    for cell, (metric, null, values) in zip(cells, found, strict=False):
        low, high = float(values.values.min()), float(values.values.max())
        room = max(high - low, 1e-9 * max(abs(low), abs(high)), 1e-12)
        bins = np.linspace(low - room / 2, high + room / 2, 13)
        cell.hist(values.values, bins=bins, color="0.7", label=null)
        cell.axvline(values.observed, color="#D55E00")
        cell.set_title(f"{TITLES.get(metric, metric)}, z {values.z:.3g}", fontsize=7)
        cell.tick_params(labelsize=6)
        cell.legend(frameon=False, fontsize=6)
    return figure


def save_figure(figure: Figure, folder: str | os.PathLike[str], name: str) -> list[Path]:
    """Write a figure as PNG, SVG and PDF, without a date: equal figures are equal files.

    Args:
        figure: Figure.
        folder: Folder, which must exist.
        name: Name of the files without a suffix.

    Returns:
        Paths of the files.
    """
    # The layout is found once, not for every format.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    paths = []
    for suffix in FORMATS:
        path = Path(folder) / f"{name}.{suffix}"
        new = path.with_name(f"{path.name}.tmp")
        about = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[suffix]
        with matplotlib.rc_context({"svg.hashsalt": name}):
            figure.savefig(new, format=suffix, dpi=150, metadata=about)
        new.replace(path)
        paths.append(path)
    return paths
