"""What ``metrics.jsonl`` of a run says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphcolumns.analysis.layout import Floats, Ids

# What an update of the wiring adds to the entry of its step.
REWIRING = (
    *("edges", "edges_born", "edges_died", "edges_missing", "churn", "wiring_length"),
    *("mean_length", "explored", "explored_beyond", "newborn_survival", "degree_gini"),
    *("dead_columns", "jaccard_first"),
    *("predicted_change", "realised_change", "accepted"),
)


def metric_entries(run: Path) -> list[dict[str, Any]]:
    """One entry per step; none without the file."""
    path = run / "metrics.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def of_graph(entries: Sequence[dict[str, Any]], name: str, first: bool) -> list[dict[str, Any]]:
    """The entries with what updates of one graph note under the names of a model with one graph.

    Args:
        entries: Entries of a run.
        name: Name of the graph.
        first: Whether it is the first one, whose numbers have no name before them.
    """
    if first:
        return list(entries)
    prefix = f"{name}/"
    return [
        {key: value for key, value in entry.items() if key not in REWIRING}
        | {k.removeprefix(prefix): value for k, value in entry.items() if k.startswith(prefix)}
        for entry in entries
    ]


def is_of_update(name: str) -> bool:
    """Whether a number of an entry is noted by updates of edges, of any graph."""
    return name.rpartition("/")[2] in REWIRING


def series(entries: Sequence[dict[str, Any]], name: str) -> tuple[Ids, Floats]:
    """Steps and values of one number, where it was noted."""
    pairs = [(entry["step"], entry[name]) for entry in entries if entry.get(name) is not None]
    return np.array([p[0] for p in pairs], dtype=np.int64), np.array([p[1] for p in pairs], float)


def spikes(entries: Sequence[dict[str, Any]], window: int = 10) -> list[float]:
    """What each update of the edges did to the training loss of the steps around it.

    The mean loss of ``window`` steps after the update minus that of as many before. The step of the
    update is one of those before: its loss was that of the old edges. Left out are updates that
    changed nothing, and those with fewer steps on one side or with another such update among them.
    """
    loss = np.array([entry["loss"] for entry in entries], float)
    changed = [i for i, entry in enumerate(entries) if _changed(entry)]
    found = []
    for place in changed:
        first, last = place + 1 - window, place + 1 + window
        others = [i for i in changed if first <= i < last - 1 and i != place]
        if first >= 0 and last <= len(loss) and not others:
            found.append(float(loss[place + 1 : last].mean() - loss[first : place + 1].mean()))
    return found


def _changed(entry: dict[str, Any]) -> bool:
    return bool(entry.get("edges_born") or entry.get("edges_died"))
