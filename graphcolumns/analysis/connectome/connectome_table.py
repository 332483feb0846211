"""Every metric of a connectome, at several densities, beside its nulls."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor
from tqdm import tqdm

from graphcolumns.analysis.connectome import nulls as null_models
from graphcolumns.analysis.connectome.null_draws import values_on_null
from graphcolumns.analysis.connectome.nulls import NullDraw, NullValues
from graphcolumns.analysis.connectome.pairs import checked_weights, require_shared_columns
from graphcolumns.analysis.connectome.table import ConnectomeTable, MetricRow
from graphcolumns.analysis.connectome.table_parts import TablePart, table_parts
from graphcolumns.analysis.connectome.table_values import null_measures, part_values
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.random.counter import derive

NullModels = Mapping[str, Callable[..., NullDraw]]

DENSITIES = (0.05, 0.1, 0.2)
# Nulls that keep which columns are joined, so that only what is named here can differ.
KEEP_PAIRS = {
    null_models.permute_positions: {"mean_length"},
    null_models.flip_directions: {"trophic_incoherence"},
}
# The mean length is that of the graph by construction.
KEEP_LENGTH = {null_models.draw_by_distance, null_models.rewire_within_lengths}
NEED_GEOMETRY = {null_models.permute_positions, null_models.draw_by_distance}


def connectome_table(
    graph: ColumnGraph,
    weights: Tensor | None = None,
    geometry: Geometry | None = None,
    densities: Sequence[float] = DENSITIES,
    nulls: NullModels | None = None,
    count: int = 20,
    seed: int = 0,
    progress: bool = False,
) -> ConnectomeTable:
    r"""Metrics of the directed graph, and of its strongest pairs at several densities, with nulls.

    Density, reciprocity, weights and trophic incoherence are those of the directed graph with all
    its edges. All other metrics are those of undirected graphs without weights: weights are
    symmetrised, :math:`(w_{ij} + w_{ji}) / 2`, and the strongest pairs kept. Without weights, and
    where the graph is sparser than every density, all joined pairs are kept instead.

    Args:
        graph: Edges among columns; self-edges are left out.
        weights: Weight of every edge, ``[E]``, 0 or above.
        geometry: Positions of the columns, for lengths and rules of distance.
        densities: Shares of the pairs that are kept.
        nulls: Functions that draw a null graph, by name (default: ``"degrees"`` and
            ``"directions"``; with a geometry ``"distance"`` and ``"positions"`` too).
        count: Number of graphs per null, 2 or more; 0 for none.
        seed: Seed of nulls, communities and random graphs.
        progress: Whether a progress bar is shown.

    Returns:
        The table. The wiring ratio is beside all permutations of positions, in closed form;
        propensity, omega and rich club contain references of their own.

    Raises:
        ValueError: No edge between different columns; a density out of (0, 1]; a single null
            graph; bad weights; a bipartite graph.

    Example:
        >>> from geometries import grid
        >>> from graphcolumns import connect
        >>> from graphcolumns.analysis.connectome import connectome_table
        >>> sheet = grid.sheet(6, 6)
        >>> table = connectome_table(connect.nearest(sheet, 5), geometry=sheet, count=2)
        >>> round(table.row("density").value, 3)
        0.114
    """
    require_shared_columns(graph)
    checked_weights(graph, weights)
    if count < 0 or count == 1:
        raise ValueError(f"count must be 2 or above, or 0 for no nulls. Got {count}.")
    if geometry is not None:
        geometry.require_columns(graph.num_columns)
    parts, notes = table_parts(graph, weights, densities)
    chosen = _null_models(geometry) if nulls is None else dict(nulls)
    rows: list[MetricRow] = []
    kept: dict[tuple[float, str, str], NullValues] = {}
    total = len(parts) * len(chosen) * count
    with tqdm(total=total, desc="null graphs", unit="graph", disable=not progress) as bar:
        for part in parts:
            values, some = part_values(part, geometry, seed)
            notes += [note for note in some if note not in notes]
            on_nulls, some = _on_nulls(part, values, geometry, chosen, count, seed, bar)
            notes += [note for note in some if note not in notes]
            density = math.nan if part.name == "directed" else part.density
            kept |= {(density, m, null): found for (m, null), found in on_nulls.items()}
            rows += _rows(part, values, on_nulls, geometry)
    return ConnectomeTable(tuple(rows), tuple(notes), kept)


def _null_models(geometry: Geometry | None) -> dict[str, Callable[..., NullDraw]]:
    """The nulls that apply."""
    every: dict[str, Callable[..., NullDraw]] = {
        "degrees": null_models.rewire_degrees,
        "distance": null_models.draw_by_distance,
        "positions": null_models.permute_positions,
        "directions": null_models.flip_directions,
    }
    return {k: v for k, v in every.items() if geometry is not None or v not in NEED_GEOMETRY}


def _on_nulls(
    part: TablePart,
    values: Mapping[str, float],
    geometry: Geometry | None,
    nulls: NullModels,
    count: int,
    seed: int,
    bar: tqdm[Any],
) -> tuple[dict[tuple[str, str], NullValues], list[str]]:
    """Values of the metrics on the graphs of each null that can change them, and failures."""
    found: dict[tuple[str, str], NullValues] = {}
    notes: list[str] = []
    measures = {k: v for k, v in null_measures(part, geometry, seed).items() if k in values}
    for name, null in nulls.items():
        changed = {k: v for k, v in measures.items() if k in KEEP_PAIRS.get(null, measures)}
        if null in KEEP_LENGTH:
            changed.pop("mean_length", None)
        if not changed or not count:
            bar.update(count)
            continue
        given = (part.graph, part.weights, geometry, null, values, changed, count)
        try:
            undirected = part.name != "directed"
            on_null = values_on_null(*given, derive(seed, f"null {name}"), undirected, bar)
        except ValueError as error:
            notes.append(f"No null {name!r}: {error}")
            continue
        found |= {(metric, name): value for metric, value in on_null.items()}
    return found, notes


def _rows(
    part: TablePart,
    values: Mapping[str, float],
    on_nulls: Mapping[tuple[str, str], NullValues],
    geometry: Geometry | None,
) -> Iterator[MetricRow]:
    for metric, value in values.items():
        if metric.startswith("_"):
            continue
        unit = geometry.unit if metric == "mean_length" and geometry is not None else ""
        about = (part.name, part.density, metric, value, unit)
        of_metric = [(null, found) for (name, null), found in on_nulls.items() if name == metric]
        for null, found in of_metric:
            numbers = (found.mean, found.sd, found.z, found.p, len(found.values))
            yield MetricRow(*about, null, *numbers)
        if metric == "wiring_ratio":
            sd = values["_ratio_sd"]
            z = (value - 1) / sd if sd > 1e-12 else math.nan
            yield MetricRow(*about, "positions", 1.0, sd, z)
        elif not of_metric:
            yield MetricRow(*about)
