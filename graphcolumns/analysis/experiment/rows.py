"""The raw rows of an experiment: one per run, in a CSV that is whole at any moment."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from graphcolumns.analysis.experiment.definition import Experiment
from graphcolumns.analysis.experiment.plan import Key, Planned, Row, arm_fingerprint, key_of
from graphcolumns.checkpoint import write_text

# What every row has; the columns after these are what the run reported.
FIRST = (
    *("experiment", "kind", "arm", "variant", "seed", "trial", "tuned"),
    *("status", "error", "fingerprint"),
)
TEXT = ("experiment", "kind", "arm", "variant", "tuned", "status", "error", "fingerprint")


class Rows:
    """The rows in one file, read when made, and read again and written with every addition.

    Several processes, on one machine or on many that share a file system, may add to one file: each
    change is made under a lock, ``rows.csv.lock``, to what is in the file by then.

    Args:
        path: CSV file; it need not exist. A last line that was cut short is dropped.
        experiment: Experiment whose rows these must be.

    Raises:
        ValueError: The file was written by another definition of the experiment, or is damaged.
    """

    def __init__(self, path: str | Path, experiment: Experiment) -> None:
        self.path, self.experiment = Path(path), experiment
        self._rows = _read(self.path)
        self._check()

    def all(self) -> list[Row]:
        """Every row, in the order in which the runs ended. An empty cell is None."""
        return [dict(row) for row in self._rows]

    def keys(self) -> set[Key]:
        """The runs that need not be run again."""
        return {key_of(row) for row in self._rows}

    def add(self, run: Planned, result: Mapping[str, Any]) -> None:
        """Write the row of one run.

        Args:
            run: What was run.
            result: ``status`` (``"ok"`` or ``"failed"``), ``error``, and what the run reported.
        """
        row = {
            "experiment": self.experiment.name,
            **dict.fromkeys(FIRST[1:]),
            **{name: getattr(run, name) for name in ("kind", "arm", "variant", "seed", "trial")},
            "tuned": " ".join(run.tuned),
            "fingerprint": run.fingerprint,
            **{name: value for name, value in result.items() if name != "seed"},
        }
        # Of two writers that ran the same, the first counts.
        self._change(lambda rows: rows if run.key in map(key_of, rows) else [*rows, row])

    def drop_failed(self) -> int:
        """Forget the runs that failed, so that they are run again; returns how many."""
        dropped = list[Row]()

        def keep(rows: list[Row]) -> list[Row]:
            dropped.extend(row for row in rows if row["status"] != "ok")
            return [row for row in rows if row["status"] == "ok"]

        if any(row["status"] != "ok" for row in _read(self.path)):
            self._change(keep)
        return len(dropped)

    def _change(self, change: Callable[[list[Row]], list[Row]]) -> None:
        """Write what a function makes of the rows that are in the file by now."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            self._rows = change(_read(self.path))
            self._check()
            write_text(self.path, _csv(self._rows))

    def _check(self) -> None:
        arms = self.experiment.arms
        for row in self._rows:
            arm, variant = row["arm"], row["variant"]
            known = arm in arms and variant in arms[arm].variants
            if not known or row["fingerprint"] != arm_fingerprint(self.experiment, arm, variant):
                raise ValueError(
                    f"{self.path} was written by another definition of this experiment: its "
                    f"{row['kind']} run of arm {arm!r}, variant {variant!r} is not the planned "
                    "one. Undo the change, write elsewhere with out=FOLDER, or delete these "
                    "rows."
                )


def _read(path: Path) -> list[Row]:
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    text = text[: text.rfind("\n") + 1]  # a line without an end was cut short
    lines = list(csv.reader(io.StringIO(text), strict=False))
    if not lines:
        return []
    names = lines[0]
    if tuple(names[: len(FIRST)]) != FIRST or any(len(line) != len(names) for line in lines):
        raise ValueError(
            f"{path} is damaged, or no table of an experiment: every line must have the cells "
            f"{', '.join(FIRST)} and as many more as the first. Restore it, or delete it."
        )
    return [
        {name: _value(name, cell) for name, cell in zip(names, line, strict=True)}
        for line in lines[1:]
    ]


def _csv(rows: Sequence[Row]) -> str:
    names = dict.fromkeys([*FIRST, *(name for row in rows for name in row)])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(_cells(row.get(name) for name in names) for row in rows)
    return text.getvalue()


def _cells(values: Iterable[Any]) -> list[Any]:
    """None as an empty cell, and never more than one line."""
    return [" ".join(value.split()) if isinstance(value, str) else value for value in values]


def _value(name: str, cell: str) -> Any:
    if name in TEXT:
        return cell
    if not cell:
        return None
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell
