"""Edges that are taken together with their reverse."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import edge_ids, pair_keys


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


def all_of(mask: Tensor, graph: ColumnGraph, target: Tensor, source: Tensor) -> Tensor:
    """Whether a mask of edges ``[E]`` holds for an edge and for its reverse."""
    graph = graph.to("cpu")
    there, back = edge_ids(graph, target, source), edge_ids(graph, source, target)
    return mask[there] & mask[back]
