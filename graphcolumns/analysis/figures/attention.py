"""Sources that columns attend to."""

from __future__ import annotations

import numpy as np

from graphcolumns.analysis import draw
from graphcolumns.analysis.interactive import spatial
from graphcolumns.analysis.layout import Floats, panels
from graphcolumns.analysis.observation import Observation, Wiring
from graphcolumns.analysis.picture import Picture, png, table


def listened(seen: Observation, wiring: Wiring) -> Picture | None:
    """Attention that every column receives, and how many sources it hears itself.

    None without attention, or where no geometry has both ends of the edges.
    """
    graph, geometry = wiring.graph, seen.sheet_of(wiring.graph)
    if wiring.attention is None or geometry is None:
        return None
    n = graph.num_columns
    weights = np.abs(wiring.attention.numpy())
    source, target = graph.source.numpy(), graph.target.numpy()
    received = np.stack([np.bincount(source, w, n) for w in weights]).mean(0)
    heard = np.stack([_effective(w, target, n) for w in weights]).mean(0)
    sides = panels(geometry)
    figure, axes = draw.rows(sides, 2)
    maps = ((received, "attention received"), (heard, "sources heard"))
    for row, (values, label) in zip(axes, maps, strict=True):
        norm = draw.scale(values)
        for cell, side in zip(row, sides, strict=True):
            draw.paint(cell, side, values, norm)
            cell.set_title(side.title, fontsize=8)
        draw.bar(figure, row, norm, label)
    return Picture(
        "attention",
        "Attention on the sheet",
        "Above: attention that each column receives from its listeners, the sum of the weights of "
        "its out-edges (the mean over columns is 1 when all listen). Below: the effective number "
        "of sources that each column hears, exp of the entropy of its weights. Mean over steps, "
        "heads and samples.",
        png(figure),
        table({"column": np.arange(n), "attention_received": received, "sources_heard": heard}),
        spatial(
            geometry,
            {"attention received": received, "sources heard": heard},
            "attention",
            one_scale=False,
        ),
    )


def chosen(seen: Observation, wiring: Wiring) -> Picture | None:
    """Where a few columns listen; None without weights, or a geometry of both ends."""
    geometry, weights = seen.sheet_of(wiring.graph), _mean_weights(wiring)
    if geometry is None or weights is None:
        return None
    source, target = wiring.graph.source.numpy(), wiring.graph.target.numpy()
    sides, signed = panels(geometry), bool((weights < 0).any())
    figure, axes = draw.rows(sides, len(seen.chosen), height=1.4)
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
            draw.mark(cell, side, column)
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
        "Where single columns listen" if attends else "In-edges of single columns",
        f"Colour: weight that the ringed column gives to each source ({over}; no unit). Columns "
        "that it does not listen to are white. A faint ring lies behind the surface.",
        png(figure),
        table(columns),
    )


def _mean_weights(wiring: Wiring) -> Floats | None:
    """Attention as a mean over steps, or the weights of linear layers, ``[E]``."""
    if wiring.attention is not None:
        return np.abs(wiring.attention.numpy()).mean(0)
    return None if wiring.weights is None else wiring.weights.numpy()


def _effective(weights: np.ndarray, target: np.ndarray, n: int) -> np.ndarray:
    """``exp`` of the entropy of each column's weights; 0 for a column that hears nothing."""
    total = np.bincount(target, weights, n)
    share = weights / np.where(total > 0, total, 1)[target]
    entropy = np.bincount(target, -share * np.log(np.where(share > 0, share, 1)), n)
    return np.where(total > 0, np.exp(entropy), 0.0)
