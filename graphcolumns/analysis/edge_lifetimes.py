"""When each edge of a run was born and when it died, and what follows from that alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphcolumns.analysis import lifetimes
from graphcolumns.analysis.layout import Floats, Ids

if TYPE_CHECKING:
    from torch import Tensor

    from graphcolumns.checkpoint import Event


@dataclass(frozen=True, eq=False)
class Lifetimes:
    """Lifetimes of edges. An edge that is removed and grown again has two.

    Moment ``m`` is the time right after the update in the ``m``-th line of the log; moment 0 is the
    start. An edge is alive at the moments ``born <= m < died``.

    Args:
        steps: Optimizer step of each moment ``[M]``.
        updates: Updates until each moment ``[M]``, 0 first.
        target: Target of each edge, ``[L]``.
        source: Source of each edge, ``[L]``.
        born: Moment of each birth ``[L]``.
        died: Moment of each death ``[L]``; ``M`` when the edge is alive at the end.
    """

    steps: Ids
    updates: Ids
    target: Ids
    source: Ids
    born: Ids
    died: Ids

    @property
    def last(self) -> int:
        """The moment of the end."""
        return len(self.steps) - 1

    @property
    def initial(self) -> np.ndarray:
        """Whether each edge was there before training, ``[L]`` bool."""
        return self.born == 0

    def alive(self, moment: int) -> np.ndarray:
        """Whether each edge is alive at a moment, ``[L]`` bool."""
        return (self.born <= moment) & (self.died > moment)

    @property
    def survived(self) -> np.ndarray:
        """Whether each edge is alive at the end, ``[L]`` bool."""
        return self.died > self.last

    @property
    def age(self) -> Ids:
        """Updates between birth and death, or the end, ``[L]``."""
        return self.updates[np.minimum(self.died, self.last)] - self.updates[self.born]


def edge_lifetimes(events: Sequence[Event], permutation: Tensor | None = None) -> Lifetimes:
    """The lifetimes of edges in a log of births and deaths.

    Args:
        events: Log of births and deaths, the initial edges first.
        permutation: The user's id of each column of the log, ``[N]`` (default: the same).

    Raises:
        ValueError: An edge is removed that is not there, or added that is.
    """
    moment, target, source = _flat([event.born for event in events])
    ended, *gone = _flat([event.died for event in events])
    width = max(int(ids.max(initial=0)) for ids in (target, source, *gone)) + 1
    key, lost = target * width + source, gone[0] * width + gone[1]
    # By edge, then by time: the k-th death of an edge belongs to its k-th birth.
    order, order_lost = np.lexsort((moment, key)), np.lexsort((ended, lost))
    key, lost, ended = key[order], lost[order_lost], ended[order_lost]
    nth = np.arange(len(lost)) - np.searchsorted(lost, lost)
    place = np.searchsorted(key, lost) + nth
    died = np.full(len(key), len(events))
    known = place < len(key)
    died[place[known]] = ended[known]
    born = moment[order]
    _check(key, born, died, bool(known.all() and (key[place[known]] == lost[known]).all()))
    ids = np.arange(width) if permutation is None else permutation.cpu().numpy()
    return Lifetimes(
        steps=np.array([event.step for event in events], dtype=np.int64),
        updates=np.array([event.update for event in events], dtype=np.int64),
        target=ids[target[order]],
        source=ids[source[order]],
        born=born,
        died=died,
    )


def totals(found: Lifetimes, values: np.ndarray | None = None) -> Floats:
    """Sum of one number per lifetime, ``[L]``, over the edges alive at each moment: ``[M]``.

    Without values: how many edges are alive.
    """
    weights = np.ones(len(found.born)) if values is None else values
    count = len(found.steps)
    gained = np.bincount(found.born, weights, count)
    lost = np.bincount(found.died, weights, count + 1)[:count]
    return np.cumsum(gained - lost)


def births(found: Lifetimes) -> Ids:
    """Edges born by each update, ``[M]``; the initial ones are no births."""
    count = np.bincount(found.born, minlength=len(found.steps))
    count[0] = 0
    return count


def deaths(found: Lifetimes) -> Ids:
    """Edges that died by each update, ``[M]``."""
    return np.bincount(found.died, minlength=len(found.steps) + 1)[: len(found.steps)]


def edge_survival(found: Lifetimes, chosen: np.ndarray) -> tuple[Floats, Floats]:
    """Ages in updates, and the share of the chosen edges that live longer (Kaplan-Meier).

    Args:
        found: Lifetimes of ``L`` edges.
        chosen: Whether each of them counts, ``[L]`` bool; at least one does.
    """
    return lifetimes.survival(found.age[chosen], ~found.survived[chosen])


def edges_explored(found: Lifetimes) -> Ids:
    """Different edges that have been alive up to each moment, ``[M]``."""
    first = found.born[_first(found)]
    return np.cumsum(np.bincount(first, minlength=len(found.steps)))


def likeness(found: Lifetimes) -> Floats:
    """Jaccard index of the edges at each moment with those of the start, ``[M]``."""
    first = _first(found)
    nth = np.cumsum(first) - 1  # the edge of each lifetime
    shared = totals(found, found.initial[first][nth].astype(float))
    union = totals(found) + found.initial.sum() - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1), 1.0)


def moments(found: Lifetimes, count: int) -> list[int]:
    """At most ``count`` moments at which the wiring differs, evenly spread over its changes.

    The first is the start; after the last one nothing changes any more.
    """
    changed = np.flatnonzero(births(found) + deaths(found))
    distinct = np.append(0, changed)
    places = np.linspace(0, len(changed), min(count, len(distinct))).round().astype(int)
    chosen: list[int] = distinct[places].tolist()
    return chosen


def _flat(parts: Sequence[Tensor]) -> tuple[Ids, Ids, Ids]:
    """Moment, target and source of the edges in a list of ``[2, K]``."""
    sizes = [part.shape[1] for part in parts]
    ends = [part.cpu().numpy().astype(np.int64) for part in parts]
    target, source = np.concatenate(ends, axis=1)
    return np.repeat(np.arange(len(parts)), sizes), target, source


def _first(found: Lifetimes) -> np.ndarray:
    """Whether a lifetime is the first of its edge; those of one edge are neighbours."""
    fresh = (np.diff(found.target) != 0) | (np.diff(found.source) != 0)
    return np.append(np.ones(min(1, len(found.target)), dtype=bool), fresh)


def _check(key: Ids, born: Ids, died: Ids, matched: bool) -> None:
    """Every death ends a lifetime, and none begins before the last one of its edge has ended."""
    again = key[1:] == key[:-1]
    if not matched or (died <= born).any() or (again & (born[1:] < died[:-1])).any():
        raise ValueError(
            "a log of births and deaths must remove only edges that are there and add only others. "
            "This one does not: it was not written by one run, or a part of it is missing."
        )
