"""Births and deaths of edges: ``edges.jsonl``, from which the topology of every moment follows.

Edges have the ids of the user, as the first line states (``"order": "user"``). Files of earlier
versions, without that word, hold the ids of the model; they are read in the order of the user too.
Where a model has several graphs, every line names its own (``"graph": NAME``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphcolumns.checkpoint.disk import write_text
from graphcolumns.checkpoint.folder import has_checkpoint
from graphcolumns.checkpoint.lines import cut, entry
from graphcolumns.checkpoint.topology import USER, read_topology
from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity import Rewiring

NAME = "edges.jsonl"
GRAPH = "graph"  # the key of a line that names its graph


class Event(NamedTuple):
    """What one update changed, in the ids of the user, sorted by (target, source).

    The first event, of update 0, is the birth of the first edges.
    """

    step: int  # optimizer steps done
    update: int
    died: Tensor  # [2, D] int64, row 0 target, row 1 source
    born: Tensor  # [2, G]


def begin_history(
    run: str | os.PathLike[str],
    step: int,
    graph: ColumnGraph,
    permutation: Tensor | None = None,
    name: str | None = None,
) -> None:
    """Make ready to write events after ``step``.

    Args:
        run: Run folder.
        step: Number of steps already done; later events, left by a run that was killed, are cut
            off.
        graph: Edges at that step in the order of the model, with which a new file begins.
        permutation: User's id of each column of the model, ``[N]`` (default: the same).
        name: Name of the graph, if the model has several.

    Raises:
        ValueError: The file that is there is damaged.
    """
    path = Path(run).expanduser() / NAME
    cut(path, step)
    known = path.read_text(encoding="utf-8") if path.exists() else ""
    events = read_history(run, permutation, name) if known else []
    if not events:
        none = torch.empty(2, 0, dtype=torch.int64)
        born = _pairs(graph, torch.arange(graph.num_edges), permutation)
        write_text(path, known + _line(Event(step, 0, none, born), name, first=True))
    elif _order(path) != USER:  # of an earlier version: it goes on in the order of the user
        write_text(path, "".join(_line(event, first=not n) for n, event in enumerate(events)))


def write_event(
    run: str | os.PathLike[str],
    step: int,
    update: int,
    rewiring: Rewiring,
    permutation: Tensor | None = None,
    name: str | None = None,
) -> None:
    """Add what an update changed, and bring it to disk.

    An edge that died and was born anew at once is in both lists.

    Args:
        run: Run folder.
        step: Number of optimizer steps done.
        update: Number of the update, from 1.
        rewiring: Change of the edges, in the order of the model.
        permutation: User's id of each column of the model, ``[N]`` (default: the same).
        name: Name of the graph, if the model has several.
    """
    died = _pairs(rewiring.before, rewiring.died, permutation)
    born = _pairs(rewiring.graph, rewiring.born, permutation)
    with (Path(run).expanduser() / NAME).open("a", encoding="utf-8") as file:
        file.write(_line(Event(step, update, died, born), name))
        file.flush()
        os.fsync(file.fileno())


def read_history(
    run: str | os.PathLike[str], permutation: Tensor | None = None, graph: str | None = None
) -> list[Event]:
    """All births and deaths of a run, in the order of time; none for a run without updates.

    Edges have the ids of the user. A last line that was being written when the run was killed is
    left out.

    Args:
        run: Run folder.
        permutation: User's id of each column of the model, ``[N]``, by which a file of an
            earlier version is read (default: that in the checkpoint, if there is one).
        graph: Name of the graph of the model (default: the first one that is rewired).

    Raises:
        ValueError: The file is damaged.
    """
    logs = read_histories(run, permutation)
    if graph is None:
        return next(iter(logs.values()), [])
    return logs.get(graph, logs.get(None, []))


def read_histories(
    run: str | os.PathLike[str], permutation: Tensor | None = None
) -> dict[str | None, list[Event]]:
    """All births and deaths of a run by the name of the graph; of a model with one graph, by None.

    Arguments and errors are those of ``read_history``.
    """
    path = Path(run).expanduser() / NAME
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    logs: dict[str | None, list[Event]] = {}
    for each in (entry(line, path) for line in lines if line.endswith("\n")):
        logs.setdefault(each.get(GRAPH), []).append(_event(each, path))
    if not logs or _order(path) == USER:
        return logs
    if permutation is None and has_checkpoint(path.parent):
        permutation = read_topology(path.parent).permutation
    if permutation is None:
        return logs
    return {n: [_in_user_order(e, permutation) for e in events] for n, events in logs.items()}


def replay(events: Iterable[Event], columns: int, sources: int | None = None) -> ColumnGraph:
    """The graph after some events; it has no lengths, see ``ColumnGraph.remeasure``.

    Args:
        events: Events from the first on.
        columns: Number of columns ``N``.
        sources: Number of sources ``M``, if it is not ``N``.

    Raises:
        ValueError: An edge is removed that is not there, or added twice.
    """
    many = columns if sources is None else sources
    alive: set[int] = set()
    for event in events:
        died, born = (set((t * many + s).tolist()) for t, s in (event.died, event.born))
        missing = died - alive
        if missing:
            raise ValueError(
                f"update {event.update}: {_name(missing, many)} is removed and is no edge."
            )
        alive -= died
        twice = born & alive
        if twice or len(born) != event.born.shape[1]:
            which = _name(twice, many) if twice else "an edge"
            raise ValueError(f"update {event.update}: {which} is added twice.")
        alive |= born
    keys = torch.tensor(sorted(alive), dtype=torch.int64)
    return ColumnGraph.from_edge_index(torch.stack([keys % many, keys // many]), columns, many)


def _name(keys: set[int], sources: int) -> str:
    target, source = divmod(min(keys), sources)
    return f"the edge (source {source}, target {target})"


def _pairs(graph: ColumnGraph, edges: Tensor, permutation: Tensor | None) -> Tensor:
    """``[2, D]``, targets and sources of some edges in the ids of the user, on the CPU."""
    edges = edges.to(graph.device)
    pairs = torch.stack([graph.target[edges], graph.source[edges]]).long().cpu()
    if permutation is None:
        return pairs
    count = len(permutation)
    own = graph.num_columns == count, graph.num_sources == count
    return _renamed(pairs, permutation.cpu(), *own)


def _renamed(
    pairs: Tensor, permutation: Tensor, targets: bool = True, sources: bool = True
) -> Tensor:
    """Pairs under the ids of the user, sorted by (target, source)."""
    target, source = pairs
    target = permutation[target] if targets else target
    source = permutation[source] if sources else source
    order = ColumnGraph.edge_order(torch.stack([source, target]))
    return torch.stack([target, source])[:, order]


def _in_user_order(event: Event, permutation: Tensor) -> Event:
    died, born = (_renamed(pairs, permutation.cpu()) for pairs in (event.died, event.born))
    return event._replace(died=died, born=born)


def _line(event: Event, name: str | None = None, first: bool = False) -> str:
    about: dict[str, Any] = {"step": event.step, "update": event.update}
    about |= ({"order": USER} if first else {}) | ({} if name is None else {GRAPH: name})
    pairs = {"died": event.died.t().tolist(), "born": event.born.t().tolist()}
    return json.dumps(about | pairs) + "\n"


def _order(path: Path) -> str | None:
    """Whose ids the file holds: None in files of earlier versions."""
    with path.open(encoding="utf-8") as file:
        order: str | None = entry(file.readline(), path).get("order")
    return order


def _event(values: dict[str, Any], path: Path) -> Event:
    try:
        died, born = (
            torch.tensor(values[name], dtype=torch.int64).reshape(-1, 2).t()
            for name in ("died", "born")
        )
        return Event(values["step"], values["update"], died, born)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        shown = json.dumps(values)[:200]
        raise ValueError(f"{path} is damaged: {shown!r} is not an event.") from error
