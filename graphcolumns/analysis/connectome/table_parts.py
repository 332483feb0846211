"""The graphs of a table of metrics: the directed one, and the strongest pairs at each density."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from graphcolumns.analysis.connectome.counts import edge_density
from graphcolumns.analysis.connectome.pairs import joined_pairs
from graphcolumns.analysis.connectome.strongest import strongest_pairs
from graphcolumns.graph import ColumnGraph


class TablePart(NamedTuple):
    """One graph of the table: the directed one, or the strongest pairs of a density."""

    name: str
    density: float
    graph: ColumnGraph
    weights: Tensor | None


def table_parts(
    graph: ColumnGraph, weights: Tensor | None, densities: Sequence[float]
) -> tuple[list[TablePart], list[str]]:
    """The graphs of the table, and what is said about those that are left out."""
    for density in densities:
        if not 0 < density <= 1:
            raise ValueError(f"densities must lie in (0, 1], shares of all pairs. Got {density}.")
    pairs = joined_pairs(graph, weights)
    if not len(pairs.low):
        raise ValueError(
            "a table needs an edge between different columns of weight above 0. Got none."
        )
    notes = ["Undirected metrics: weights symmetrised, (w_ij + w_ji) / 2, strongest pairs kept."]
    parts = [TablePart("directed", edge_density(graph), graph, weights)]
    n = graph.num_columns
    own, possible = len(pairs.low) / (n * (n - 1) / 2), n * (n - 1) / 2
    if weights is not None:
        for density in densities:
            if 0 < round(density * possible) <= len(pairs.low):
                kept, theirs = strongest_pairs(graph, weights, density)
                parts.append(TablePart("strongest", density, kept, theirs))
            else:
                notes.append(
                    f"No graph of density {density:g}: it would keep {round(density * possible)} "
                    f"pairs, and {len(pairs.low)} are joined, a density of {own:.3g}."
                )
    else:
        notes[0] = "Undirected metrics: all joined pairs, since there are no weights to choose by."
    if len(parts) == 1:
        if weights is not None:
            notes.append("All joined pairs are kept instead.")
        parts.append(TablePart("strongest", own, *pairs.graph()))
    return parts, notes
