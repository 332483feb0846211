"""Edges as single numbers, ``key = target * M + source``, ordered as edge ids are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from graphcolumns.graph.edges import check_range

if TYPE_CHECKING:
    from graphcolumns.graph import ColumnGraph


def pair_keys(targets: Tensor, sources: Tensor, num_sources: int) -> Tensor:
    """The key of each (target, source) pair, int64: ``N M`` may be far above 2^31."""
    return (targets.long() * num_sources).add_(sources)


def edge_keys(graph: ColumnGraph) -> Tensor:
    """The keys ``[E]`` of the edges, strictly increasing."""
    return pair_keys(graph.target, graph.source, graph.num_sources)


def key_ids(sorted_keys: Tensor, keys: Tensor) -> Tensor:
    """The place of each of ``keys`` among ``sorted_keys``, int64; -1 where it is missing."""
    if not len(sorted_keys):
        return torch.full_like(keys, -1)
    place = torch.searchsorted(sorted_keys, keys).clamp(max=len(sorted_keys) - 1)
    return torch.where(sorted_keys[place] == keys, place, -1)


def contains(sorted_keys: Tensor, keys: Tensor) -> Tensor:
    """Whether each of ``keys`` is among ``sorted_keys``, bool in the shape of ``keys``."""
    return key_ids(sorted_keys, keys) >= 0


def edge_ids(graph: ColumnGraph, targets: Tensor, sources: Tensor) -> Tensor:
    """The edge of every pair, ``[P]`` int64, -1 for pairs that are no edges."""
    return key_ids(edge_keys(graph), pair_keys(targets, sources, graph.num_sources))


def origin(before: ColumnGraph, after: ColumnGraph) -> Tensor:
    """The id in ``before`` of each edge of ``after``, -1 where it is missing: ``[E']`` int64."""
    if "meta" in (before.device.type, after.device.type):
        return torch.full((after.num_edges,), -1)
    return key_ids(edge_keys(before).to(after.device), edge_keys(after))


def checked_pairs(graph: ColumnGraph, targets: Tensor, sources: Tensor) -> tuple[Tensor, Tensor]:
    """Targets and sources as int64 on the device of the graph.

    Raises:
        TypeError: They are not tensors of integers.
        ValueError: They differ in shape, or an id is out of range.
    """
    for name, ids in (("targets", targets), ("sources", sources)):
        if not torch.is_tensor(ids) or ids.is_floating_point() or ids.dtype == torch.bool:
            got = getattr(ids, "dtype", type(ids).__name__)
            raise TypeError(f"{name} must be a tensor of column ids. Got {got}; call .long().")
    if targets.ndim != 1 or targets.shape != sources.shape:
        raise ValueError(
            "targets and sources must hold one id per pair, shape (K,). "
            f"Got {tuple(targets.shape)} and {tuple(sources.shape)}."
        )
    targets, sources = (ids.to(graph.device).long() for ids in (targets, sources))
    check_range("target", targets, graph.num_columns, "num_columns")
    check_range("source", sources, graph.num_sources, "num_sources")
    return targets, sources
