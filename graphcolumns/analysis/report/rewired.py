"""The chapter of a report about a graph whose edges changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from graphcolumns.analysis import entries
from graphcolumns.analysis.edge_lifetimes import Lifetimes, births, deaths, edge_lifetimes, totals
from graphcolumns.analysis.figures.budget import budget, exploration
from graphcolumns.analysis.figures.drift import degree_shift, length_shift, lengths_at
from graphcolumns.analysis.figures.moments import wiring as wiring_over_time
from graphcolumns.analysis.figures.prediction import prediction
from graphcolumns.analysis.figures.turnover import ages, churn
from graphcolumns.analysis.layout import Floats
from graphcolumns.analysis.observation import Observation, Wiring
from graphcolumns.analysis.picture import Picture
from graphcolumns.analysis.report.chapter import Chapter
from graphcolumns.checkpoint import Event, read_histories
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph


def chapter(
    run: Path,
    seen: Observation,
    permutation: Tensor | None = None,
    wiring: Wiring | None = None,
) -> Chapter | None:
    """How the edges of a graph changed; None for a graph without updates.

    Args:
        run: Run folder; its ``edges.jsonl`` and ``metrics.jsonl`` are read.
        seen: Observation of the trained model.
        permutation: The user's id of each column of the model, ``[N]``, for a log of an earlier
            version, see ``read_history``.
        wiring: Graph that the chapter is about (default: the first).
    """
    events = _events(run, seen, permutation, wiring)
    if len(events) < 2:
        return None
    wiring = seen.wiring if wiring is None else wiring
    first = wiring.name == seen.wiring.name
    found, notes = (
        edge_lifetimes(events),
        entries.of_graph(entries.metric_entries(run), wiring.name, first),
    )
    graph, geometry = wiring.graph, seen.sheet_of(wiring.graph)
    lengths = None if geometry is None else measured(found, geometry)
    text = words(found, lengths, seen.unit)
    if not same_edges(found, graph):
        text += " The log goes on after the checkpoint that the rest of this page shows."
    made: list[Picture | None] = [churn(found), ages(found)]
    if geometry is not None and lengths is not None:
        made = [
            wiring_over_time(found, geometry, lengths),
            *made,
            budget(found, lengths, seen.unit, notes),
            length_shift(found, lengths, seen.unit),
        ]
    made += [
        degree_shift(found, graph.num_columns, graph.num_sources),
        prediction(notes),
        exploration(found, graph.num_columns * graph.num_sources, notes),
    ]
    pictures = [picture for picture in made if picture is not None]
    return Chapter(text, pictures, "rewired", "How the wiring changed")


def _events(
    run: Path, seen: Observation | None, permutation: Tensor | None, wiring: Wiring | None
) -> list[Event]:
    """The log of a graph; a log without names is that of the first."""
    logs = read_histories(run, permutation)
    if wiring is None or seen is None:
        return next(iter(logs.values()), [])
    unnamed = logs.get(None, []) if wiring.name == seen.wiring.name else []
    return logs.get(wiring.name, unnamed)


@torch.no_grad()
def measured(found: Lifetimes, geometry: Geometry) -> Floats:
    """The length of the edge of each lifetime where columns are now, ``[L]``."""
    target, source = (torch.from_numpy(end) for end in (found.target, found.source))
    place = geometry.positions.device
    return geometry.distance(target.to(place), source.to(place)).double().cpu().numpy()


def words(found: Lifetimes, lengths: Floats | None, unit: str) -> str:
    """The changes in a few sentences, with numbers."""
    count = totals(found).astype(int)
    born, died = int(births(found).sum()), int(deaths(found).sum())
    if not born and not died:
        return f"{_updates(found)} left the wiring as it was, with {_edges(count[0])}."
    return (
        f"{_updates(found)} changed the wiring from {_edges(count[0])} to {count[-1]:,} "
        f"({born:,} born, {died:,} died). "
        f"{_shift(found, lengths, unit)}{_fates(found)}"
    ).strip()


def same_edges(found: Lifetimes, graph: ColumnGraph) -> bool:
    """Whether the edges alive at the end are those of a graph."""
    alive, m = found.alive(found.last), max(graph.num_sources, int(found.source.max(initial=0)) + 1)
    left = np.sort(found.target[alive] * m + found.source[alive])
    right = np.sort(graph.target.long().numpy() * m + graph.source.long().numpy())
    return bool(np.array_equal(left, right))


def _updates(found: Lifetimes) -> str:
    number = int(found.updates[-1])
    return "1 update" if number == 1 else f"{number:,} updates"


def _edges(number: int) -> str:
    return "1 edge" if number == 1 else f"{number:,} edges"


def _shift(found: Lifetimes, lengths: Floats | None, unit: str) -> str:
    """What became of the mean length; nothing when there is none to compare."""
    if lengths is None:
        return ""
    before, after = (lengths_at(found, lengths, moment) for moment in (0, found.last))
    if not len(before) or not len(after) or before.mean() <= 0:
        return ""
    change = after.mean() / before.mean() - 1
    return (
        f"The mean length of an edge went from {before.mean():.3g} to {after.mean():.3g} {unit} "
        f"({change:+.0%}). "
    )


def _fates(found: Lifetimes) -> str:
    """The share of initial and later edges that are alive at the end."""
    parts = [
        f"{found.survived[chosen].mean():.0%} of {name}"
        for name, chosen in (
            ("the initial edges", found.initial),
            ("those born later", ~found.initial),
        )
        if chosen.any()
    ]
    return f"At the end {' and '.join(parts)} are alive." if parts else ""
