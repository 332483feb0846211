"""What ColumnConv asks of its inputs, with errors that say it."""

import torch
from torch import Tensor
from torch_geometric.typing import Adj

from graphcolumns.graph import ColumnGraph


def check_features(pair: tuple[Tensor, Tensor]) -> None:
    """Node features are ``[N, C]`` or ``[B, N, C]``, or a pair of them."""
    if len(pair) != 2 or not all(isinstance(x, Tensor) for x in pair):
        got = ", ".join(type(x).__name__ for x in pair)
        raise TypeError(f"x must be a tensor or a pair (x_source, x_target), got ({got})")
    source, target = pair[0].shape, pair[1].shape
    if len(source) not in (2, 3) or source[:-2] != target[:-2]:
        raise ValueError(
            "x must be [N, C] or [B, N, C], and both parts of a pair alike, got "
            f"{list(source)} and {list(target)}"
        )


def check_channels(pair: tuple[Tensor, Tensor], channels: tuple[int, int]) -> None:
    """Sources and targets have the channels of the layer; -1 takes any."""
    for x, expected in zip(pair, channels, strict=True):
        if expected != -1 and x.shape[-1] != expected:
            raise ValueError(
                f"x must have in_channels = {expected} channels, its last axis, got {list(x.shape)}"
            )


def check_topology(
    edge_index: Adj | ColumnGraph, topology: ColumnGraph | None, pair: tuple[Tensor, Tensor]
) -> None:
    """A graph has a column per node; scores per edge fit only the edges they were made for."""
    if isinstance(edge_index, ColumnGraph):
        nodes = (pair[0].shape[-2], pair[1].shape[-2])
        if (edge_index.num_sources, edge_index.num_columns) != nodes:
            raise ValueError(
                f"the graph must have {nodes} (source, target) columns, one per node of x, got "
                f"{edge_index}"
            )
    if topology is None:
        return
    if isinstance(edge_index, ColumnGraph):
        if edge_index is topology or torch.compiler.is_compiling():
            return  # comparing all edges would break a traced graph; their number is checked
        if edge_index.same_topology(topology):
            return
    got = edge_index if isinstance(edge_index, ColumnGraph) else type(edge_index).__name__
    raise ValueError(
        "edge_bias holds one score per edge of the ColumnGraph that the layer was built with, "
        f"{topology}: pass that graph, got {got}"
    )


def check_nodes(
    pair: tuple[Tensor, Tensor], num_columns: tuple[int, int], column_id: Tensor | None
) -> None:
    """There is a node per column, or ``column_id`` says which column every node is."""
    nodes = (pair[0].shape[-2], pair[1].shape[-2])
    if column_id is not None:
        if pair[0] is not pair[1] or num_columns[0] != num_columns[1]:
            raise ValueError(
                "column_id names one column per node: it needs a square graph, not a pair"
            )
        _check_column_id(column_id, nodes[0], num_columns[0])
    elif nodes != num_columns:
        raise ValueError(
            f"the layer has weights for {num_columns} (source, target) columns, got {nodes} nodes. "
            "For a mini-batch of copies or a subgraph pass column_id=[column of every node]; for "
            "a batch on one graph pass x as [B, N, C]"
        )


def _check_column_id(column_id: Tensor, nodes: int, num_columns: int) -> None:
    dtype = getattr(column_id, "dtype", type(column_id).__name__)
    if dtype not in (torch.int32, torch.int64):
        raise TypeError(f"column_id must hold int64 ids, got {dtype}")
    if column_id.shape != (nodes,):
        raise ValueError(
            f"column_id must be [{nodes}], one column per node, got {list(column_id.shape)}"
        )
    if torch.compiler.is_compiling() or not nodes:
        return
    low, high = int(column_id.min()), int(column_id.max())
    if low < 0 or high >= num_columns:
        raise ValueError(
            f"column_id must lie in [0, num_columns = {num_columns}), got {low} to {high}"
        )
