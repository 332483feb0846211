"""What column_attention requires of its arguments, with errors that say it."""

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph


def check(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    graph: ColumnGraph,
    bias: Tensor | None,
    cost: Tensor | None,
    scale: float | None,
    dropout: float,
    seed: int | Tensor | None,
) -> None:
    """Raises ValueError or TypeError when the arguments do not fit; see column_attention."""
    check_graph(graph)
    _check_shapes(q, k, v, graph)
    _check_dtypes(q, k, v)
    heads = q.shape[2]
    for name, value in (("bias", bias), ("cost", cost)):
        if value is not None:
            check_edge_values(name, value, graph.num_edges, heads)
    check_devices(graph, q=q, k=k, v=v, bias=bias, cost=cost)
    if isinstance(scale, Tensor):
        raise TypeError(
            "scale must be a number: a tensor would get no gradient. Multiply q by it instead and "
            "pass scale=1.0"
        )
    _check_dropout(dropout, seed)


def check_graph(graph: ColumnGraph) -> None:
    """Edges come as a ColumnGraph."""
    if not isinstance(graph, ColumnGraph):
        raise TypeError(
            f"graph must be a ColumnGraph, got {type(graph).__name__}: "
            "build one with ColumnGraph.from_edge_index(edge_index, num_columns)"
        )


def check_devices(graph: ColumnGraph, **tensors: Tensor | None) -> None:
    """Tensors are where the graph is."""
    for name, value in tensors.items():
        if value is not None and value.device != graph.device:
            raise ValueError(
                f"{name} must be on the device of the graph, {graph.device}, got {value.device}: "
                f'call graph.to("{value.device}")'
            )


def check_edge_values(name: str, value: Tensor, num_edges: int, heads: int) -> None:
    """Per-edge values are ``[E]`` or ``[E, H]``."""
    if tuple(value.shape) not in ((num_edges,), (num_edges, heads)):
        raise ValueError(
            f"{name} must hold one value per edge, [E] = [{num_edges}] or [E, H] = "
            f"[{num_edges}, {heads}], got {list(value.shape)}. After a change of topology carry "
            "it along with the edges"
        )
    check_floating(**{name: value})


def check_floating(**tensors: Tensor) -> None:
    """Values are floating."""
    for name, value in tensors.items():
        if not value.is_floating_point():
            raise TypeError(f"{name} must be floating, got {value.dtype}: call {name}.float()")


def _check_shapes(q: Tensor, k: Tensor, v: Tensor, graph: ColumnGraph) -> None:
    if q.dim() != 4 or k.dim() != 4 or v.dim() != 4:
        raise ValueError(
            "q, k, v must be [N, B, H, D], [M, B, H, D], [M, B, H, Dv] (columns first), "
            f"got {list(q.shape)}, {list(k.shape)}, {list(v.shape)}"
        )
    if q.shape[0] != graph.num_columns:
        raise ValueError(
            f"q must have one row per column, N = {graph.num_columns}, got {q.shape[0]} "
            "(columns come first: [N, B, H, D])"
        )
    if k.shape[0] != graph.num_sources or v.shape[0] != graph.num_sources:
        raise ValueError(
            f"k and v must have one row per source, M = {graph.num_sources}, "
            f"got {k.shape[0]} and {v.shape[0]}"
        )
    if k.shape[1:3] != v.shape[1:3]:
        raise ValueError(
            f"k and v must agree in batch and heads, got {list(k.shape)} and {list(v.shape)}"
        )
    if q.shape[3] == 0:
        raise ValueError("queries and keys must have a head width D of at least 1, got 0")
    if q.shape[1] not in (1, k.shape[1]) or q.shape[2:] != k.shape[2:]:
        raise ValueError(
            f"q must be [N, {k.shape[1]} or 1, {k.shape[2]}, {k.shape[3]}] to fit the keys, "
            f"got {list(q.shape)}"
        )


def _check_dtypes(q: Tensor, k: Tensor, v: Tensor) -> None:
    if not (q.dtype == k.dtype == v.dtype and q.dtype.is_floating_point):
        raise TypeError(
            f"q, k, v must share one floating dtype, got {q.dtype}, {k.dtype}, {v.dtype}"
        )


def _check_dropout(dropout: float, seed: int | Tensor | None) -> None:
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"dropout must be in [0, 1), got {dropout}")
    if isinstance(seed, Tensor) and (seed.dim() > 0 or seed.dtype != torch.int64):
        raise ValueError(
            "seed must be an int or a scalar int64 tensor, "
            f"got a tensor of shape {list(seed.shape)} and {seed.dtype}"
        )
