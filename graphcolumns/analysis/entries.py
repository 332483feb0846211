"""What `metrics.jsonl` of a run says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphcolumns.analysis.layout import Floats, Ids

# What an update of the wiring adds to the entry of its step.
REWIRING = (
    *("edges", "edges_born", "edges_died", "churn", "wiring_length", "mean_length", "explored"),
    *("newborn_survival", "degree_gini", "dead_columns", "jaccard_first"),
    *("predicted_change", "realised_change", "accepted"),
)


def read(run: Path) -> list[dict[str, Any]]:
    """One entry per step; none without the file."""
    path = run / "metrics.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def series(entries: Sequence[dict[str, Any]], name: str) -> tuple[Ids, Floats]:
    """Steps and values of one number, where it was noted."""
    pairs = [(entry["step"], entry[name]) for entry in entries if entry.get(name) is not None]
    return np.array([p[0] for p in pairs], dtype=np.int64), np.array([p[1] for p in pairs], float)
