"""What a checkpoint holds about its run, in one readable file: ``checkpoint/about.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from graphcolumns.checkpoint.disk import damaged, write_text
from graphcolumns.checkpoint.folder import ABOUT, find_checkpoint
from graphcolumns.checkpoint.lines import entry

CHANGES = "changes.jsonl"


class Best(NamedTuple):
    """The best validation score of a run so far, and the step that has it."""

    step: int
    metric: str
    value: float


class About(NamedTuple):
    """What ``about.json`` holds; empty for a checkpoint of an earlier version.

    Attributes:
        fingerprint: Values on which the rest of the run depends: flat, name -> value.
        best: Best validation score so far.
    """

    fingerprint: Mapping[str, Any] = {}
    best: Best | None = None


class Change(NamedTuple):
    """What was changed on purpose when a run was resumed."""

    step: int  # optimizer steps done by then
    changes: dict[str, tuple[Any, Any]]  # name -> (was, now)


def read_about(run: str | os.PathLike[str], which: str = "last") -> About:
    """What a checkpoint says about its run.

    Raises:
        FileNotFoundError: No checkpoint.
        ValueError: The file is damaged.
    """
    path = find_checkpoint(run, which) / ABOUT
    if not path.is_file():
        return About()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        best = content["best"]
        return About(dict(content["fingerprint"]), None if best is None else Best(*best))
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(path, error) from error


def write_about(path: Path, about: About) -> None:
    """Write it into a checkpoint that is being made."""
    content = {"fingerprint": dict(about.fingerprint), "best": about.best}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_changes(run: str | os.PathLike[str]) -> list[Change]:
    """What was changed each time the run was resumed, in the order of time.

    Raises:
        ValueError: The file is damaged.
    """
    path = Path(run).expanduser() / CHANGES
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        found = [entry(line, path) for line in lines]
        return [
            Change(each["step"], {name: (was, now) for name, (was, now) in each["changes"].items()})
            for each in found
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error}). Restore it from a copy.") from error


def write_change(run: str | os.PathLike[str], change: Change) -> None:
    """Add a change to the record of a run; one that is its last entry already is kept as it is."""
    known = [*read_changes(run), change]
    if len(known) > 1 and json.dumps(known[-2]) == json.dumps(change):
        return
    lines = [{"step": each.step, "changes": each.changes} for each in known]
    write_text(Path(run).expanduser() / CHANGES, "".join(json.dumps(line) + "\n" for line in lines))
