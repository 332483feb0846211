"""The chapter of a report about a wiring that changed."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from graphcolumns.analysis import entries
from graphcolumns.analysis.edge_lifetimes import Lifetimes, births, deaths, edge_lifetimes, totals
from graphcolumns.analysis.figures.budget import budget, exploration
from graphcolumns.analysis.figures.drift import degree_shift, length_shift, lengths_at
from graphcolumns.analysis.figures.moments import wiring
from graphcolumns.analysis.figures.prediction import prediction
from graphcolumns.analysis.figures.turnover import ages, churn
from graphcolumns.analysis.layout import Floats
from graphcolumns.analysis.observe import Observation
from graphcolumns.analysis.picture import Picture
from graphcolumns.checkpoint import read_history
from graphcolumns.geometry import Geometry


class Chapter(NamedTuple):
    """What a report says about the changes of a wiring, and shows."""

    text: str
    pictures: list[Picture]


def chapter(run: Path, seen: Observation, permutation: Tensor | None = None) -> Chapter | None:
    """How the wiring of a run changed; None for a run without updates.

    Args:
        run: the run folder; its `edges.jsonl` and `metrics.jsonl` are read.
        seen: the trained model.
        permutation: the user's id of each column of the model `[N]`, for a log of an earlier
            version, see `read_history`.
    """
    events = read_history(run, permutation)
    if len(events) < 2:
        return None
    found = edge_lifetimes(events)
    geometry, notes = seen.geometry, entries.read(run)
    lengths = measured(found, geometry)
    text = words(found, lengths, geometry.unit)
    if not synaptic_elements_in(found, seen):
        text += " The log goes on after the checkpoint that the rest of this page shows."
    made = [
        wiring(found, geometry, lengths),
        churn(found),
        ages(found),
        budget(found, lengths, geometry.unit, notes),
        length_shift(found, lengths, geometry.unit),
        degree_shift(found, geometry.num_columns),
        prediction(notes),
        exploration(found, geometry.num_columns, notes),
    ]
    return Chapter(text, [picture for picture in made if picture is not None])


@torch.no_grad()
def measured(found: Lifetimes, geometry: Geometry) -> Floats:
    """The length of the edge of each life where columns are now, `[L]`."""
    target, source = (torch.from_numpy(end) for end in (found.target, found.source))
    place = geometry.positions.device
    return geometry.distance(target.to(place), source.to(place)).double().cpu().numpy()


def words(found: Lifetimes, lengths: Floats, unit: str) -> str:
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


def synaptic_elements_in(found: Lifetimes, seen: Observation) -> bool:
    """Whether the edges alive at the end are those of the model."""
    alive, n = found.alive(found.last), seen.graph.num_columns
    left = np.sort(found.target[alive] * n + found.source[alive])
    right = np.sort(seen.graph.target.long().numpy() * n + seen.graph.source.long().numpy())
    return bool(np.array_equal(left, right))


def _updates(found: Lifetimes) -> str:
    number = int(found.updates[-1])
    return "1 update" if number == 1 else f"{number:,} updates"


def _edges(number: int) -> str:
    return "1 edge" if number == 1 else f"{number:,} edges"


def _shift(found: Lifetimes, lengths: Floats, unit: str) -> str:
    """What became of the mean length; nothing when there is none to compare."""
    before, after = (lengths_at(found, lengths, moment) for moment in (0, found.last))
    if not len(before) or not len(after) or before.mean() <= 0:
        return ""
    change = after.mean() / before.mean() - 1
    return (
        f"The mean length of an edge went from {before.mean():.3g} to {after.mean():.3g} {unit} "
        f"({change:+.0%}). "
    )


def _fates(found: Lifetimes) -> str:
    """Who is alive at the end."""
    parts = [
        f"{found.survived[chosen].mean():.0%} of {name}"
        for name, chosen in (
            ("the initial edges", found.initial),
            ("those born later", ~found.initial),
        )
        if chosen.any()
    ]
    return f"At the end {' and '.join(parts)} are alive." if parts else ""
