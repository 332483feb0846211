"""Births and deaths of edges: `edges.jsonl`, from which the topology of every moment follows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.checkpoint.lines import cut, entry
from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity import Rewiring

NAME = "edges.jsonl"


class Event(NamedTuple):
    """What one update changed; the first event, of update 0, is the birth of the first edges."""

    step: int  # optimizer steps done
    update: int
    died: Tensor  # [2, D] int64, row 0 target, row 1 source
    born: Tensor  # [2, G]


def begin_history(run: Path, step: int, graph: ColumnGraph) -> None:
    """Make ready to write events after `step`.

    Args:
        run: the run folder.
        step: steps already done; later events, left by a run that was killed, are cut off.
        graph: the edges at that step, with which a new file begins.

    Raises:
        ValueError: the file that is there is damaged.
    """
    path = run / NAME
    cut(path, step)
    if not path.exists() or not path.stat().st_size:
        none = torch.empty(2, 0, dtype=torch.int64)
        _write(path, Event(step, 0, none, _pairs(graph, torch.arange(graph.num_edges))))


def write_event(run: Path, step: int, update: int, rewiring: Rewiring) -> None:
    """Add what an update changed, and bring it to disk.

    An edge that died and was born anew at once is in both lists.
    """
    died = _pairs(rewiring.before, rewiring.died)
    _write(run / NAME, Event(step, update, died, _pairs(rewiring.graph, rewiring.born)))


def read_history(run: Path) -> list[Event]:
    """All births and deaths of a run, in the order of time; none for a run without updates.

    A last line that was being written when the run was killed is left out.

    Raises:
        ValueError: the file is damaged.
    """
    path = Path(run) / NAME
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [_event(line, path) for line in lines if line.endswith("\n")]


def replay(events: Iterable[Event], columns: int, sources: int | None = None) -> ColumnGraph:
    """The graph after some events; it has no lengths, see `ColumnGraph.remeasure`.

    Args:
        events: from the first on.
        columns: `N`.
        sources: `M`, if it is not `N`.

    Raises:
        ValueError: an edge dies that is not there, or is born twice.
    """
    many = columns if sources is None else sources
    alive: set[int] = set()
    for event in events:
        died, born = (set((t * many + s).tolist()) for t, s in (event.died, event.born))
        missing = died - alive
        if missing:
            raise ValueError(f"update {event.update}: {_name(missing, many)} dies and is no edge.")
        alive -= died
        twice = born & alive
        if twice or len(born) != event.born.shape[1]:
            which = _name(twice, many) if twice else "an edge"
            raise ValueError(f"update {event.update}: {which} is born twice.")
        alive |= born
    keys = torch.tensor(sorted(alive), dtype=torch.int64)
    return ColumnGraph.from_edge_index(torch.stack([keys % many, keys // many]), columns, many)


def _name(keys: set[int], sources: int) -> str:
    target, source = divmod(min(keys), sources)
    return f"the edge (source {source}, target {target})"


def _pairs(graph: ColumnGraph, edges: Tensor) -> Tensor:
    """`[2, D]`, targets and sources of some edges, on the CPU."""
    edges = edges.to(graph.device)
    return torch.stack([graph.target[edges], graph.source[edges]]).long().cpu()


def _write(path: Path, event: Event) -> None:
    pairs = {"died": event.died.t().tolist(), "born": event.born.t().tolist()}
    line = json.dumps({"step": event.step, "update": event.update, **pairs})
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def _event(line: str, path: Path) -> Event:
    values = entry(line, path)
    try:
        died, born = (
            torch.tensor(values[name], dtype=torch.int64).reshape(-1, 2).t()
            for name in ("died", "born")
        )
        return Event(values["step"], values["update"], died, born)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is damaged: {line.strip()[:200]!r} is not an event.") from error
