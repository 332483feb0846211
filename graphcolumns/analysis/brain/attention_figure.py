"""Attention of a few regions over a few images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from graphcolumns.analysis import draw
from graphcolumns.analysis.brain.image_axes import (
    MAP,
    bare,
    show_image,
    show_map,
    token_extent,
)
from graphcolumns.analysis.brain.query_names import positions_of
from graphcolumns.analysis.brain.token_maps import TokenMaps
from graphcolumns.analysis.layout import Floats

QUERIES, SAMPLES = 6, 5
LABEL = "weight / even weight"


def attention_figure(
    found: TokenMaps,
    images: Tensor | None = None,
    *,
    queries: Sequence[int | str] | None = None,
    samples: Sequence[int] | None = None,
    ids: Tensor | None = None,
    label: str = LABEL,
) -> Figure:
    """Maps of a few queries over a few images, and the mean map of each query over all samples.

    Weights are divided by the weight of a token that all tokens share evenly, so that 1 is no
    preference and maps of different grids can be compared. Each query has one colour scale from 0
    to the largest weight that is shown.

    Args:
        found: Maps of all samples, such as those of ``attention_maps``.
        images: The images of these samples, ``[n, C, Y, X]``, or None: maps alone.
        queries: Positions or names of queries, a row each (default: the first 6).
        samples: Positions of samples, a column each (default: the first 5).
        ids: Id of each sample, ``[n]``, for the titles (default: its position).
        label: Label of the colour scales.

    Raises:
        ValueError: An unknown query or sample, or images of another number of samples.
    """
    rows = positions_of(queries, found.names)[: None if queries is not None else QUERIES]
    count = found.maps.shape[1]
    columns = list(range(min(SAMPLES, count))) if samples is None else list(samples)
    _check(images, columns, count)
    scaled = _in_even_weights(found)
    size = 1.35
    top = 0 if images is None else 1
    figure = Figure(figsize=(size * (len(columns) + 1) + 1.6, size * (len(rows) + top) + 0.3))
    figure.set_layout_engine("constrained")
    # The last column is for colour scales, so that images above stay in line with their maps.
    shares = [*[1.0] * (len(columns) + 1), 0.08]
    axes = figure.subplots(len(rows) + top, len(shares), squeeze=False, width_ratios=shares)
    named = [int(s) if ids is None else int(ids[s]) for s in columns]
    titles = [*(f"sample {n}" for n in named), "mean"]
    for cell, name in zip(axes[0], titles, strict=False):
        cell.set_title(name, fontsize=8)
    if images is not None:
        for cell, sample in zip(axes[0], columns, strict=False):
            show_image(cell, images[sample])
        for cell in axes[0, -2:]:
            cell.set_axis_off()
    extent = token_extent(*found.maps.shape[2:])
    for line, query in zip(axes[top:], rows, strict=True):
        shown = scaled[query][columns]
        mean = scaled[query].mean(0)
        norm = Normalize(0, max(float(shown.max(initial=0)), float(mean.max()), 1e-12))
        for cell, weights, sample in zip(line, shown, columns, strict=False):
            if images is not None:
                show_image(cell, images[sample].mean(0, keepdim=True), extent)
            show_map(cell, weights, norm, images is not None)
        show_map(line[-2], mean, norm, False)
        line[0].set_ylabel(found.names[query], fontsize=8)
        figure.colorbar(ScalarMappable(norm, MAP), cax=line[-1])
        line[-1].tick_params(labelsize=7)
    figure.supxlabel(f"colour: {label}", fontsize=8)
    return figure


def mean_map_figure(
    found: TokenMaps, queries: Sequence[int | str] | None = None, label: str = LABEL
) -> Figure:
    """The mean map of each query over samples, all on one colour scale.

    Args:
        found: Maps of all samples.
        queries: Positions or names of queries (default: the first 60).
        label: Label of the colour scale.
    """
    rows = positions_of(queries, found.names)[: None if queries is not None else 60]
    means = _in_even_weights(found).mean(1)[rows]
    across = min(len(rows), 8)
    down = -(-len(rows) // across)
    figure = Figure(figsize=(1.3 * across + 1.1, 1.5 * down + 0.2), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False)
    norm = Normalize(0, max(float(means.max()), 1e-12))
    for cell in axes.flat[len(rows) :]:
        cell.set_axis_off()
    for cell, query, mean in zip(axes.flat, rows, means, strict=False):
        show_map(cell, mean, norm, False)
        bare(cell)
        cell.set_title(found.names[query], fontsize=7)
    draw.bar(figure, axes, norm, label, MAP)
    return figure


def _in_even_weights(found: TokenMaps) -> Floats:
    """Maps times the number of tokens, those before the grid counted."""
    tokens = found.maps[0, 0].numel() + found.before.shape[2]
    scaled: Floats = np.asarray(found.maps.detach().cpu().double()) * tokens
    return scaled


def _check(images: Tensor | None, samples: list[int], count: int) -> None:
    unknown = [sample for sample in samples if not 0 <= sample < count]
    if unknown or not samples:
        raise ValueError(
            f"samples must be positions below {count}, one or more. Got {unknown or 'none'}."
        )
    if images is not None and len(images) != count:
        raise ValueError(
            f"images must be those of the maps. Expected {count} samples. Got {len(images)}."
        )
