"""What is taken or left as a whole: an edge, or an edge with its reverse."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import pair_keys


class EdgePairs(NamedTuple):
    """Edges or pairs, each once, on the CPU; with symmetric edges only those with `t >= s`.

    In narrow types, since all edges of a graph may be held a few times over while they are sorted.
    """

    target: Tensor  # [U] int32
    source: Tensor  # [U] int32
    length: Tensor  # [U] in the type of the lengths, both ways
    score: Tensor  # [U] float64, both ways
    size: Tensor  # [U] int8, edges in the unit: 1 or 2

    def at(self, places: Tensor | slice) -> EdgePairs:
        """The units at these places, or in a slice, or where a mask is true."""
        return EdgePairs(*(values[places] for values in self))

    def best(self, highest: bool, overhead: float | None = None) -> EdgePairs:
        """Sorted by score; among equals, by key: a total order.

        With `overhead`, by score per cost, where an edge costs `overhead` and its length.
        """
        rank = self.score
        if overhead is not None:
            rank = self.score / (overhead * self.size + self.length.double())
        return self.at(torch.argsort(rank, stable=True, descending=highest))

    def merged(self, other: EdgePairs, num_sources: int) -> EdgePairs:
        """Both, sorted by key."""
        all_ = EdgePairs(*(torch.cat(both) for both in zip(self, other, strict=True)))
        return all_.at(torch.argsort(pair_keys(all_.target, all_.source, num_sources)))

    def edges(self, symmetric: bool) -> tuple[Tensor, Tensor]:
        """Targets and sources of every edge, in the order of the units."""
        if not symmetric:
            return self.target, self.source
        ends = torch.stack([self.target, self.source], 1)
        both = torch.stack([ends, ends.flip(1)], 1)  # [U, 2, (target, source)]
        alone = self.target == self.source
        keep = torch.stack([torch.ones_like(alone), ~alone], 1)
        target, source = both[keep].t()
        return target, source


def edge_pairs(
    graph: ColumnGraph,
    targets: Tensor,
    sources: Tensor,
    score: Tensor,
    length: Tensor | None,
    symmetric: bool,
) -> EdgePairs:
    """Scored pairs as units sorted by key; a pair given twice counts with its first score.

    With symmetric edges the scores of both directions are added, as far as they are given.

    Raises:
        ValueError: not one score or length per pair, or a score that is not a number.
    """
    targets, sources = targets.cpu().int(), sources.cpu().int()
    score = score.detach().cpu().double()
    length = torch.zeros(score.shape) if length is None else length.detach().cpu()
    for name, values in (("score", score), ("length", length)):
        if values.shape != targets.shape or bool(values.isnan().any()):
            raise ValueError(
                f"every pair needs one {name} that is a number, shape {tuple(targets.shape)}. Got "
                f"shape {tuple(values.shape)}, {int(values.isnan().sum())} of them NaN."
            )
    first = _first(pair_keys(targets, sources, graph.num_sources))
    targets, sources, score, length = (x[first] for x in (targets, sources, score, length))
    size = torch.ones_like(targets, dtype=torch.int8)
    if symmetric:
        low, high = torch.minimum(targets, sources), torch.maximum(targets, sources)
        keys, place = pair_keys(high, low, graph.num_sources).unique(return_inverse=True)
        score = torch.zeros(len(keys), dtype=score.dtype).index_add_(0, place, score)
        length = torch.empty(len(keys), dtype=length.dtype).index_copy_(0, place, length)
        targets, sources = (keys // graph.num_sources).int(), (keys % graph.num_sources).int()
        size = 1 + (targets != sources).to(size)
        length = length * size
    return EdgePairs(targets, sources, length, score, size)


def _first(keys: Tensor) -> Tensor | slice:
    """Where each key occurs first, in the order of the keys."""
    if bool((keys[1:] > keys[:-1]).all()):  # as those of a graph are: nothing to sort or to copy
        return slice(None)
    order = torch.argsort(keys, stable=True)
    new = torch.ones_like(order, dtype=torch.bool)
    new[1:] = keys[order][1:] != keys[order][:-1]
    return order[new]
