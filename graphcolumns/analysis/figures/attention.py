"""Sources that columns attend to."""

from __future__ import annotations

import numpy as np

from graphcolumns.analysis import draw
from graphcolumns.analysis.interactive import spatial
from graphcolumns.analysis.layout import Floats, panels
from graphcolumns.analysis.observation import Observation, Wiring
from graphcolumns.analysis.picture import Picture, png, table


def attention(seen: Observation, wiring: Wiring) -> Picture | None:
    """Attention that every column gets, and the effective number of its sources.

    None without attention, or where no geometry has both ends of the edges.
    """
    graph, geometry = wiring.graph, seen.sheet_of(wiring.graph)
    if wiring.attention is None or geometry is None:
        return None
    n = graph.num_columns
    weights = np.abs(wiring.attention.numpy())
    source, target = graph.source.numpy(), graph.target.numpy()
    received = np.stack([np.bincount(source, w, n) for w in weights]).mean(0)
    effective = np.stack([_effective(w, target, n) for w in weights]).mean(0)
    sides = panels(geometry)
    figure, axes = draw.panel_rows(sides, 2)
    maps = ((received, "attention received"), (effective, "effective sources"))
    for row, (values, label) in zip(axes, maps, strict=True):
        norm = draw.scale(values)
        for cell, side in zip(row, sides, strict=True):
            draw.paint(cell, side, values, norm)
            cell.set_title(side.title, fontsize=8)
        draw.bar(figure, row, norm, label)
    return Picture(
        "attention",
        "Attention on the sheet",
        "Above: attention that each column gets from its targets, the sum of the weights of its "
        "out-edges (the mean over columns is 1 when all have in-edges). Below: the effective "
        "number of sources of each column, exp of the entropy of its weights. Mean over steps, "
        "heads and samples.",
        png(figure),
        table(
            {"column": np.arange(n), "attention_received": received, "effective_sources": effective}
        ),
        spatial(
            geometry,
            {"attention received": received, "effective sources": effective},
            "attention",
            one_scale=False,
        ),
    )


def attention_of_columns(seen: Observation, wiring: Wiring) -> Picture | None:
    """The sources of a few columns; None without weights, or a geometry of both ends."""
    geometry, weights = seen.sheet_of(wiring.graph), _mean_weights(wiring)
    if geometry is None or weights is None:
        return None
    source, target = wiring.graph.source.numpy(), wiring.graph.target.numpy()
    sides, signed = panels(geometry), bool((weights < 0).any())
    figure, axes = draw.panel_rows(sides, len(seen.chosen), height=1.4)
    edges = []
    for row, column in zip(axes, seen.chosen.tolist(), strict=True):
        own = target == column
        values = np.zeros(wiring.graph.num_columns)
        values[source[own]] = weights[own]
        edges.append(np.flatnonzero(own))
        norm = draw.scale(np.append(weights[own], 0.0), around_zero=signed)
        colours = "RdBu_r" if signed else "OrRd"
        for cell, side in zip(row, sides, strict=True):
            draw.paint(cell, side, values, norm, colours)
            draw.ring_column(cell, side, column)
            cell.set_title(f"{side.title}\ncolumn {column}".strip(), fontsize=8)
        draw.bar(figure, row, norm, "weight", colours)
    ids = np.concatenate(edges)
    attends = wiring.attention is not None
    columns = {"target": target[ids], "source": source[ids]}
    columns["attention" if attends else "weight"] = weights[ids]
    if wiring.graph.distance is not None:
        columns["distance"] = wiring.graph.distance.numpy()[ids]
    over = "mean over steps, heads and samples" if attends else "of linear layers"
    return Picture(
        "attention_of_columns" if attends else "weights_of_columns",
        "What single columns attend to" if attends else "In-edges of single columns",
        f"Colour: weight that the ringed column gives to each source ({over}; no unit). Columns "
        "that are not its sources are white. A faint ring lies behind the surface.",
        png(figure),
        table(columns),
    )


def _mean_weights(wiring: Wiring) -> Floats | None:
    """Attention as a mean over steps, or the weights of linear layers, ``[E]``."""
    if wiring.attention is not None:
        return np.abs(wiring.attention.numpy()).mean(0)
    return None if wiring.weights is None else wiring.weights.numpy()


def _effective(weights: np.ndarray, target: np.ndarray, n: int) -> np.ndarray:
    """``exp`` of the entropy of each column's weights; 0 for a column without in-edges."""
    total = np.bincount(target, weights, n)
    share = weights / np.where(total > 0, total, 1)[target]
    entropy = np.bincount(target, -share * np.log(np.where(share > 0, share, 1)), n)
    return np.where(total > 0, np.exp(entropy), 0.0)
