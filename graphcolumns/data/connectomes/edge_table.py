"""Connectomes from lists of edges."""

from __future__ import annotations

import numpy as np

from graphcolumns.data.connectomes.connectome import Connectome
from graphcolumns.data.connectomes.edge_arrays import connectome_of
from graphcolumns.geometry.table import Column, Table

ENDS = ("source", "target")


def connectome_of_edges(table: Table, weight: str | None, undirected: bool) -> Connectome:
    """A connectome from a table with a row per edge.

    Columns are those that occur, in the order of their numbers, or of their names where some are no
    numbers. Without a weight every edge has 1.

    Raises:
        ValueError: An edge twice, a weight that is no finite number, no row.
    """
    source_of, target_of, weight_of = _columns(table, weight)
    ends = [table.texts(source_of), table.texts(target_of)]
    names = _ordered({*ends[0], *ends[1]})
    if not names:
        raise ValueError(f"{table.path} must hold at least one edge. Got none.")
    ids = {name: i for i, name in enumerate(names)}
    source, target = (np.array([ids[name] for name in end], dtype=np.int64) for end in ends)
    value = np.ones(len(table)) if weight_of is None else table.numbers(weight_of)
    if undirected:
        between = source != target
        source, target = np.append(source, target[between]), np.append(target, source[between])
        value = np.append(value, value[between])
    _check_once(table, source, target, names, undirected)
    unit = weight or "weight" if weight_of is not None else "edges"
    return connectome_of(source, target, value, names, unit, table.path.name)


def is_edge_table(table: Table) -> bool:
    """Whether a table is a list of edges by the names or the number of its columns."""
    if set(ENDS) <= set(table.names):
        return True
    return not table.names and len(table.columns) in (2, 3) and len(table) != len(table.columns)


def _columns(table: Table, weight: str | None) -> tuple[Column, Column, Column | None]:
    if set(ENDS) <= set(table.names):
        there = weight is not None or "weight" in table.names
        return "source", "target", (weight or "weight") if there else None
    if len(table.columns) not in (2, 3) or table.names:
        raise ValueError(
            f"{table.path} must have columns 'source' and 'target', or two or three columns "
            f"without a header: source, target, weight. Got {table.described()}; name them."
        )
    return 0, 1, 2 if len(table.columns) == 3 else None


def _ordered(names: set[str]) -> tuple[str, ...]:
    """Names by number if all are whole numbers, else by text."""
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _check_once(
    table: Table,
    source: np.ndarray,
    target: np.ndarray,
    names: tuple[str, ...],
    undirected: bool,
) -> None:
    keys, counts = np.unique(target * len(names) + source, return_counts=True)
    twice = keys[counts > 1]
    if len(twice):
        i, j = divmod(int(twice[0]), len(names))
        remedy = "list each pair once" if undirected else "add their weights up, or remove one"
        raise ValueError(
            f"edges of {table.path} must be listed once. Got the edge from {names[j]!r} to "
            f"{names[i]!r} twice; {remedy}."
        )
