"""The metrics of a run as a table of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphcolumns.checkpoint.lines import entry

Table = Mapping[str, NDArray[Any]]


def read_metrics(run: Path) -> Table:
    """What ``metrics.jsonl`` says of a run: one array per number, one row per step.

    Args:
        run: Run folder. A run that still writes is read up to its last whole line.

    Returns:
        ``step [S]`` int64, and every other number of any step, ``[S]`` float64, NaN in rows
        without it. Empty without the file.

    Raises:
        ValueError: A damaged file.
    """
    path = run / "metrics.jsonl"
    if not path.is_file():
        return MappingProxyType({})
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    rows = [entry(line, path) for line in lines if line.endswith("\n")]
    names = dict.fromkeys(name for row in rows for name in row if name != "step")
    columns = {name: np.array([_number(row.get(name)) for row in rows]) for name in names}
    steps = np.array([row["step"] for row in rows], dtype=np.int64)
    return MappingProxyType({"step": steps, **columns})


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
