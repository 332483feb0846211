"""Whom columns listen to."""

from __future__ import annotations

import numpy as np

from graphcolumns.analysis import draw
from graphcolumns.analysis.interactive import spatial
from graphcolumns.analysis.layout import panels
from graphcolumns.analysis.observe import Observation
from graphcolumns.analysis.picture import Picture, png, table


def listened(seen: Observation) -> Picture:
    """Attention that every column receives, and how many sources it hears itself."""
    n = seen.graph.num_columns
    weights = np.abs(seen.attention.numpy())
    source, target = seen.graph.source.numpy(), seen.graph.target.numpy()
    received = np.stack([np.bincount(source, w, n) for w in weights]).mean(0)
    heard = np.stack([_effective(w, target, n) for w in weights]).mean(0)
    sides = panels(seen.geometry)
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
            seen.geometry,
            {"attention received": received, "sources heard": heard},
            "attention",
            one_scale=False,
        ),
    )


def chosen(seen: Observation) -> Picture:
    """Where a few columns listen."""
    weights = np.abs(seen.attention.numpy()).mean(0)
    source, target = seen.graph.source.numpy(), seen.graph.target.numpy()
    sides = panels(seen.geometry)
    figure, axes = draw.rows(sides, len(seen.chosen), height=1.4)
    edges = []
    for row, column in zip(axes, seen.chosen.tolist(), strict=True):
        own = target == column
        values = np.zeros(seen.graph.num_columns)
        values[source[own]] = weights[own]
        edges.append(np.flatnonzero(own))
        norm = draw.scale(np.append(weights[own], 0.0))
        for cell, side in zip(row, sides, strict=True):
            draw.paint(cell, side, values, norm, "OrRd")
            draw.mark(cell, side, column)
            cell.set_title(f"{side.title}\ncolumn {column}".strip(), fontsize=8)
        draw.bar(figure, row, norm, "weight", "OrRd")
    ids = np.concatenate(edges)
    columns = {"target": target[ids], "source": source[ids], "attention": weights[ids]}
    if seen.graph.distance is not None:
        columns["distance"] = seen.graph.distance.numpy()[ids]
    return Picture(
        "attention_of_columns",
        "Where single columns listen",
        "Colour: weight that the ringed column gives to each source (mean over steps, heads and "
        "samples). Columns that it does not listen to are white. A faint ring lies behind the "
        "surface.",
        png(figure),
        table(columns),
    )


def _effective(weights: np.ndarray, target: np.ndarray, n: int) -> np.ndarray:
    """`exp` of the entropy of each column's weights; 0 for a column that hears nothing."""
    total = np.bincount(target, weights, n)
    share = weights / np.where(total > 0, total, 1)[target]
    entropy = np.bincount(target, -share * np.log(np.where(share > 0, share, 1)), n)
    return np.where(total > 0, np.exp(entropy), 0.0)
