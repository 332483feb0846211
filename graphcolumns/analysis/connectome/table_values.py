"""The metrics of one graph of a table."""

from __future__ import annotations

from graphcolumns.analysis.connectome.counts import edge_reciprocity, weight_statistics
from graphcolumns.analysis.connectome.distance_fit import fit_distance_rules
from graphcolumns.analysis.connectome.null_draws import Measure
from graphcolumns.analysis.connectome.pairs import joined_pairs
from graphcolumns.analysis.connectome.rich_club import rich_club
from graphcolumns.analysis.connectome.segregation import (
    clustering,
    component_share,
    modularity,
    path_length,
)
from graphcolumns.analysis.connectome.small_world import small_world
from graphcolumns.analysis.connectome.table_parts import TablePart
from graphcolumns.analysis.connectome.walks import mean_communicability
from graphcolumns.analysis.connectome.wiring import lengths_of_pairs, wiring_cost
from graphcolumns.analysis.hierarchy.trophic import trophic_incoherence
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.random.counter import derive

# Communicability takes time N ** 3.
COMMUNICABLE = 1024


def null_measures(part: TablePart, geometry: Geometry | None, seed: int) -> dict[str, Measure]:
    """Metrics that are measured on null graphs too."""
    if part.name == "directed":
        return {
            "reciprocity": lambda graph, _: edge_reciprocity(graph),
            "trophic_incoherence": trophic_incoherence,
        }
    measures: dict[str, Measure] = {
        "clustering": lambda graph, _: clustering(graph),
        "path_length": lambda graph, _: path_length(graph),
        "modularity": lambda graph, _: modularity(graph, seed=derive(seed, "table")),
    }
    if part.graph.num_columns <= COMMUNICABLE:
        measures["communicability"] = lambda graph, _: mean_communicability(graph)
    if geometry is not None:
        measures["mean_length"] = lambda graph, _: _mean_length(graph, geometry)
    return measures


def _mean_length(graph: ColumnGraph, geometry: Geometry) -> float:
    """Mean length of the joined pairs, by the graph where a null has moved its columns."""
    pairs = joined_pairs(graph)
    lengths = lengths_of_pairs(pairs, geometry) if pairs.length is None else pairs.length
    return float(lengths.mean())


def part_values(
    part: TablePart, geometry: Geometry | None, seed: int
) -> tuple[dict[str, float], list[str]]:
    """Every metric of a graph, and what could not be measured."""
    graph, weights = part.graph, part.weights
    if part.name == "directed":
        values = {"density": part.density, "mean_degree": part.density * (graph.num_columns - 1)}
        if weights is not None:
            values["sd_log_weight"] = weight_statistics(graph, weights).sd_log
    else:
        values = {"mean_degree": graph.num_edges / graph.num_columns}
        values["component_share"] = component_share(graph)
    measured = graph if geometry is None else graph.remeasure(geometry)
    notes = []
    for name, measure in null_measures(part, geometry, seed).items():
        try:
            values[name] = measure(measured, weights)
        except ValueError as error:
            notes.append(f"No {name.replace('_', ' ')}: {error}")
    if part.name == "directed":
        return values, notes
    found = small_world(graph, seed=derive(seed, "table"))
    values |= {"propensity": found.propensity, "omega": found.omega}
    values["rich_club"] = rich_club(graph, seed=derive(seed, "table")).largest
    if geometry is not None:
        for measures in (_wiring, _distance):
            try:
                values |= measures(graph, geometry)
            except ValueError as error:
                notes.append(f"No {measures.__name__[1:]}: {error}")
    return values, notes


def _wiring(graph: ColumnGraph, geometry: Geometry) -> dict[str, float]:
    cost = wiring_cost(graph, geometry)
    return {"wiring_ratio": cost.ratio, "_ratio_sd": cost.ratio_sd, "economy": cost.economy}


def _distance(graph: ColumnGraph, geometry: Geometry) -> dict[str, float]:
    rules = fit_distance_rules(graph, geometry)
    exponential, power, gaussian = (fit.aic for fit in rules.fits)
    return {
        "scaled_rate": rules.scaled_rate,
        "aic_power": power - exponential,
        "aic_gaussian": gaussian - exponential,
    }
