"""What is taken or left as a whole: an edge, or an edge with its reverse."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import edge_ids, pair_keys


class EdgePairs(NamedTuple):
    """Edges or pairs, each once, on the CPU; with symmetric edges only those with ``t >= s``.

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

    def order(self, highest: bool, overhead: float | None = None) -> Tensor:
        """Places by score, and among equals in the order there is, so by key: a total order.

        With ``overhead``, by score per cost, where an edge costs ``overhead`` and its length.
        """
        rank = self.score
        if overhead is not None:
            rank = self.score / (overhead * self.size + self.length.double())
        return torch.argsort(rank, stable=True, descending=highest)

    def keys(self, graph: ColumnGraph) -> Tensor:
        """The key of every unit."""
        return pair_keys(self.target, self.source, graph.num_sources)

    def edges(self, both: bool) -> tuple[Tensor, Tensor]:
        """Targets and sources of every edge, in the order of the units."""
        ends = self.target, self.source
        return with_reverse(*ends) if both else ends


def edge_pairs(
    graph: ColumnGraph,
    targets: Tensor,
    sources: Tensor,
    score: Tensor,
    length: Tensor | None,
    both: bool,
) -> EdgePairs:
    """Scored pairs as units sorted by key; a pair given twice counts with its first score.

    Args:
        graph: Edges of the columns.
        targets: Targets ``[K]``.
        sources: Sources ``[K]``.
        score: Scores ``[K]``.
        length: Lengths ``[K]``, or None.
        both: Whether an edge and its reverse are one unit. Their scores are added, as far as they
            are given.

    Raises:
        ValueError: Not one score or length per pair, or a score that is not a number.
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
    keys = pair_keys(targets, sources, graph.num_sources)
    # Edges of a graph are sorted by key already: nothing to sort or to copy.
    if not bool((keys[1:] > keys[:-1]).all()):
        order = torch.argsort(keys, stable=True)
        new = torch.ones_like(order, dtype=torch.bool)
        new[1:] = keys[order][1:] != keys[order][:-1]
        first = order[new]
        targets, sources, score, length = (x[first] for x in (targets, sources, score, length))
    if both:
        return EdgePairs(*folded(targets, sources, length, score, graph.num_sources))
    return EdgePairs(targets, sources, length, score, torch.ones_like(targets, dtype=torch.int8))


def folded(
    targets: Tensor, sources: Tensor, length: Tensor, score: Tensor, num_sources: int
) -> tuple[Tensor, ...]:
    """The fields of ``EdgePairs`` in which an edge and its reverse are one unit, ``t >= s``."""
    low, high = torch.minimum(targets, sources), torch.maximum(targets, sources)
    keys, place = pair_keys(high, low, num_sources).unique(return_inverse=True)
    score = torch.zeros(len(keys), dtype=score.dtype).index_add_(0, place, score)
    length = torch.empty(len(keys), dtype=length.dtype).index_copy_(0, place, length)
    targets, sources = (keys // num_sources).int(), (keys % num_sources).int()
    size = 1 + (targets != sources).to(torch.int8)
    return targets, sources, length * size, score, size


def with_reverse(target: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """Targets and sources of every edge, each followed by its reverse if that is another edge."""
    ends = torch.stack([target, source], 1)
    both = torch.stack([ends, ends.flip(1)], 1)  # [U, 2, (target, source)]
    alone = target == source
    keep = torch.stack([torch.ones_like(alone), ~alone], 1)
    targets, sources = both[keep].t()
    return targets, sources


def both_ways(mask: Tensor, graph: ColumnGraph, target: Tensor, source: Tensor) -> Tensor:
    """Whether a mask of edges ``[E]`` holds for an edge and for its reverse."""
    graph = graph.to("cpu")
    there, back = edge_ids(graph, target, source), edge_ids(graph, source, target)
    return mask[there] & mask[back]
