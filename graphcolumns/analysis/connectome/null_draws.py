"""Several metrics on the same graphs of a null, so that each graph is drawn once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import Tensor
from tqdm import tqdm

from graphcolumns.analysis.connectome.nulls import NullDraw, NullValues
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.random.counter import derive

Measure = Callable[[ColumnGraph, Tensor | None], float]


def values_on_null(
    graph: ColumnGraph,
    weights: Tensor | None,
    geometry: Geometry | None,
    null: Callable[..., NullDraw],
    observed: Mapping[str, float],
    measures: Mapping[str, Measure],
    count: int,
    seed: int,
    undirected: bool,
    bar: tqdm[Any],
) -> dict[str, NullValues]:
    """What ``null_values`` finds for each measure, drawing each null graph once.

    Args:
        graph: Edges among columns.
        weights: Weight of every edge, ``[E]``.
        geometry: Positions of the columns.
        null: Function that draws a graph.
        observed: Value of each measure on the graph.
        measures: Functions of a graph and its weights, by name.
        count: Number of null graphs.
        seed: Seed of the null graphs.
        undirected: Whether edges keep their reverses, where the null can.
        bar: Progress bar, moved by one per null graph.

    Returns:
        Observed and null values of each measure, the latter without those that are not defined.
    """
    options: dict[str, Any] = {"weights": weights, "geometry": geometry}
    if undirected and "undirected" in inspect.signature(null).parameters:
        options["undirected"] = True
    found: dict[str, list[float]] = {name: [] for name in measures}
    for k in range(count):
        draw = null(graph, **options, seed=derive(seed, "null graph", k))
        for name, measure in measures.items():
            found[name].append(measure(draw.graph, draw.weights))
        bar.update()
    return {
        name: NullValues(observed[name], _finite(values), "two-sided")
        for name, values in found.items()
        if np.isfinite(observed[name]) and len(_finite(values)) > 1
    }


def _finite(values: list[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    array = np.array(values)
    return array[np.isfinite(array)]
