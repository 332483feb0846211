"""Edge lists as plain tensors: order, row pointers, and the checks that name a wrong edge."""

from __future__ import annotations

import operator
from hashlib import blake2b
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch_geometric import EdgeIndex

if TYPE_CHECKING:
    from graphcolumns.graph import ColumnGraph

MAX_ID = 2**31 - 1  # ids are int32, half the memory traffic of int64
# A row of more edges than this, and of so many times the mean, keeps others waiting.
LONG_ROW = 256
FAR_LONGER = 4


def edge_order(edge_index: Tensor) -> Tensor:
    """Positions in ``edge_index`` ``[2, E]`` of the edges sorted by (target, source): ``[E]``."""
    source, target = plain_edges(edge_index).long()
    by_source = torch.argsort(source, stable=True)
    return by_source[torch.argsort(target[by_source], stable=True)]


def inverse(permutation: Tensor, count: int) -> Tensor:
    """The place of each id in a permutation of ``[0, count)``: ``[count]`` int64.

    Raises:
        ValueError: It is not a permutation.
    """
    ids = torch.arange(count, device=permutation.device)
    order = torch.argsort(permutation.long(), stable=True)
    if permutation.shape != ids.shape or not torch.equal(permutation.long()[order], ids):
        raise ValueError(
            f"permutation must hold each of the {count} column ids once, [N] = [{count}]. "
            f"Got {list(permutation.shape)}."
        )
    return order


def pointers(sorted_ids: Tensor, count: int) -> Tensor:
    """Where each id starts among ``sorted_ids``, and their end: ``[count + 1]`` int64."""
    ids = torch.arange(count + 1, device=sorted_ids.device, dtype=sorted_ids.dtype)
    return torch.searchsorted(sorted_ids, ids)


def expand(pointers: Tensor, num_positions: int) -> Tensor:
    """The id of the row that each position belongs to: the inverse of ``pointers``, int32."""
    # torch.repeat_interleave starts all threads even for a handful of edges.
    positions = torch.arange(num_positions, device=pointers.device)
    return torch.searchsorted(pointers[1:], positions, right=True, out_int32=True)


def place_in_row(counts: Tensor) -> Tensor:
    """0, 1, ... within each row of ``counts`` entries, ``[counts.sum()]`` int64."""
    start = counts.cumsum(0) - counts
    return torch.arange(int(counts.sum()), device=counts.device) - start.repeat_interleave(counts)


def has_hubs(pointers: Tensor) -> bool:
    """Whether a row is so much longer than others that one worker would do it last and alone."""
    mean = int(pointers[-1]) / (len(pointers) - 1)
    return int(pointers.diff().max()) > max(LONG_ROW, FAR_LONGER * mean)


def fingerprint(rowptr: Tensor, source: Tensor, num_sources: int) -> str:
    """A 128-bit hash of a topology, hexadecimal; "" for tensors without values (meta)."""
    if rowptr.device.type == "meta":
        return ""
    digest = blake2b(f"{len(rowptr)} {num_sources}".encode(), digest_size=16)
    for ids in (rowptr, source):
        digest.update(ids.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def first_difference(there: ColumnGraph, here: ColumnGraph) -> str:
    """What differs first between two topologies, in words."""
    for name in ("num_columns", "num_sources", "num_edges"):
        ours, theirs = getattr(here, name), getattr(there, name)
        if ours != theirs:
            return f"{name} is {theirs} there and {ours} in the model"
    there_pairs, here_pairs = (graph.edge_index.t().cpu() for graph in (there, here))
    unequal = (there_pairs != here_pairs).any(1).nonzero()
    first = int(unequal[0])
    return (
        f"edge {first} is (source, target) = {tuple(there_pairs[first].tolist())} there and "
        f"{tuple(here_pairs[first].tolist())} in the model"
    )


def plain_edges(edge_index: Tensor) -> Tensor:
    """The tensor ``[2, E]`` in ``edge_index``, or an error that says what it is instead."""
    if not torch.is_tensor(edge_index):
        raise TypeError(
            f"edge_index must be an integer tensor. Got {type(edge_index).__name__}; "
            "call torch.as_tensor on it."
        )
    if edge_index.is_floating_point() or edge_index.is_complex() or edge_index.dtype == torch.bool:
        raise TypeError(f"edge_index must hold integers. Got {edge_index.dtype}; call .long().")
    if edge_index.ndim != 2 or edge_index.shape[0] != 2:
        raise ValueError(
            "edge_index must have shape (2, E), row 0 source and row 1 target. "
            f"Got {tuple(edge_index.shape)}."
        )
    return edge_index.as_tensor() if isinstance(edge_index, EdgeIndex) else edge_index


def graph_sizes(
    edge_index: Tensor, num_columns: int | None, num_sources: int | None
) -> tuple[int, int]:
    """``(N, M)`` from the arguments, else from what an ``EdgeIndex`` knows."""
    if isinstance(edge_index, EdgeIndex):
        known_sources, known_columns = edge_index.sparse_size()
        num_columns = known_columns if num_columns is None else num_columns
        num_sources = known_sources if num_sources is None else num_sources
    if num_columns is None:
        raise ValueError(
            "num_columns is needed, since edge_index alone does not tell how many columns there "
            "are. Pass num_columns, or an EdgeIndex with a sparse_size."
        )
    num_sources = num_columns if num_sources is None else num_sources
    return (
        check_count("num_columns", num_columns),
        check_count("num_sources", num_sources),
    )


def check_count(name: str, count: int) -> int:
    """Raise unless ``count`` is a whole number, at least one, whose ids fit int32."""
    if not hasattr(count, "__index__"):
        raise TypeError(f"{name} must be a whole number. Got {count!r}.")
    count = operator.index(count)
    if not 1 <= count <= MAX_ID:
        raise ValueError(f"{name} must be in [1, {MAX_ID}], because ids are int32. Got {count}.")
    return count


def check_range(end: str, ids: Tensor, count: int, name: str) -> None:
    """Raise a ValueError that names the first id outside ``[0, count)``."""
    bad = ids[(ids < 0) | (ids >= count)]
    if len(bad):
        raise ValueError(
            f"{end} ids must lie in [0, {count}). Got {int(bad[0])}; raise {name} or drop the edge."
        )


def check_rowptr(rowptr: Tensor, source: Tensor) -> None:
    """Raise unless ``rowptr`` int64 rises from 0 to the number of ``source`` ids, int32."""
    got = [getattr(ids, "dtype", type(ids).__name__) for ids in (rowptr, source)]
    if got != [torch.int64, torch.int32]:
        raise TypeError(
            "rowptr must be int64 and source int32, as tensors. "
            f"Got {got[0]} and {got[1]}; call ColumnGraph.from_edge_index."
        )
    if rowptr.ndim != 1 or source.ndim != 1 or rowptr.device != source.device:
        raise ValueError(
            "rowptr must be (N + 1,) and source (E,), on one device. "
            f"Got {tuple(rowptr.shape)} on {rowptr.device}, {tuple(source.shape)} on "
            f"{source.device}."
        )
    check_count("num_columns", len(rowptr) - 1)
    if rowptr[0] != 0 or rowptr[-1] != len(source) or bool((rowptr.diff() < 0).any()):
        raise ValueError(
            f"rowptr must rise from 0 to the number of edges, {len(source)}, and never decrease. "
            f"Got {int(rowptr[0])} to {int(rowptr[-1])}; call ColumnGraph.from_edge_index."
        )


def check_sorted(target: Tensor, source: Tensor) -> None:
    """Raise a ValueError that names the first edge that is a duplicate or out of order."""
    wrong = (target[1:] == target[:-1]) & (source[1:] <= source[:-1])
    if not wrong.any():
        return
    first = int(wrong.nonzero()[0])
    pair = f"(source {int(source[first + 1])}, target {int(target[first + 1])})"
    if source[first] == source[first + 1]:
        raise ValueError(
            f"edges must be unique. Got {pair} more than once; merge duplicates with "
            "torch_geometric.utils.coalesce(edge_index)."
        )
    raise ValueError(
        f"edges must be sorted by (target, source). Got {pair} after source {int(source[first])}; "
        "call ColumnGraph.from_edge_index, which sorts."
    )


def check_distance(distance: Tensor, num_edges: int) -> None:
    """Raise unless ``distance`` holds one finite length, 0 or more, per edge."""
    if not torch.is_tensor(distance) or not distance.is_floating_point():
        got = distance.dtype if torch.is_tensor(distance) else type(distance).__name__
        raise TypeError(f"distance must be a float32 tensor. Got {got}.")
    if distance.shape != (num_edges,):
        raise ValueError(
            f"distance must hold one length per edge, shape ({num_edges},). "
            f"Got {tuple(distance.shape)}."
        )
    bad = ~(torch.isfinite(distance) & (distance >= 0))
    if bad.any():
        first = int(bad.nonzero()[0])
        raise ValueError(
            f"distance must be finite and not negative. Got {float(distance[first])} at edge "
            f"{first}; signed values belong in a weight, not in the graph."
        )
