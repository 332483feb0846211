"""What ColumnConv requires of its inputs, with errors that say it."""

import torch
from torch import Tensor
from torch_geometric.typing import Adj
from torch_geometric.utils import is_torch_sparse_tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.edges import plain_edges
from graphcolumns.nn.checks import check_choice, check_counts, has_values

EDGE_FEATURES = ("scores", "keys_values")


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
    if topology is None or _same_edges(edge_index, topology):
        return
    got = edge_index if isinstance(edge_index, ColumnGraph) else type(edge_index).__name__
    raise ValueError(
        "edge_bias holds one score per edge of the ColumnGraph that the layer was built with, "
        f"{topology}: pass that graph, got {got}"
    )


def _same_edges(edge_index: Adj | ColumnGraph, topology: ColumnGraph) -> bool:
    """Whether these are the edges of a graph, in its order.

    Where a graph is traced or has no values, all edges cannot be compared; the number of
    scores is checked where they are added.
    """
    if isinstance(edge_index, ColumnGraph):
        if edge_index is topology or not has_values(edge_index.source):
            return True
        return edge_index.same_topology(topology)
    if not isinstance(edge_index, Tensor) or is_torch_sparse_tensor(edge_index):
        return False
    edge_index = plain_edges(edge_index)
    if edge_index.shape[1] != topology.num_edges:
        return False
    return not has_values(edge_index) or bool((edge_index == topology.edge_index).all())


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
    if not nodes or not has_values(column_id):
        return
    low, high = int(column_id.min()), int(column_id.max())
    if low < 0 or high >= num_columns:
        raise ValueError(
            f"column_id must lie in [0, num_columns = {num_columns}), got {low} to {high}"
        )


def check_root(root_weight: bool, beta: bool) -> None:
    """A gate needs two things to choose between."""
    if beta and not root_weight:
        raise ValueError(
            "beta weighs what a target keeps of itself against what it receives: it needs "
            "root_weight=True, got False"
        )


def rank_of(rank: int | None, weights: str) -> int:
    """The rank, four where none is given; only shared sets and low-rank parts have one."""
    if rank is None:
        return 4
    if weights not in ("mixture", "lowrank"):
        raise ValueError(
            "rank is that of weights='mixture' or 'lowrank', got "
            f"rank={rank} with weights={weights!r}"
        )
    return rank


def check_edge_features(
    edge_features: str, edge_dim: int | None, one_width: bool, decomposed_layers: int
) -> None:
    """Edge features are there, and fit where they are added."""
    check_choice("edge_features", edge_features, EDGE_FEATURES)
    if edge_dim is not None:
        check_counts(edge_dim=edge_dim)
    if edge_features == "scores":
        return
    if edge_dim is None:
        raise ValueError(
            f"edge_features={edge_features!r} says what features of edges are added to: pass "
            "their size as edge_dim, got None"
        )
    if not one_width:
        raise ValueError(
            "edge_features='keys_values' adds the same vector to keys and values: it needs "
            "qk_channels equal to out_channels"
        )
    if decomposed_layers > 1:
        raise ValueError(
            "PyG decomposes values, not features of edges: edge_features='keys_values' needs "
            f"decomposed_layers=1, got {decomposed_layers}"
        )


def edge_features_of(edge_attr: Tensor | None, num_edges: int, edge_dim: int | None) -> Tensor:
    """Edge features as ``[E, edge_dim]``; one feature may come as ``[E]``."""
    if edge_attr is not None and edge_attr.dim() == 1:
        edge_attr = edge_attr.unsqueeze(1)
    if edge_attr is None or edge_attr.shape != (num_edges, edge_dim):
        raise ValueError(
            f"edge_attr must be [E, edge_dim] = [{num_edges}, {edge_dim}], "
            f"got {None if edge_attr is None else list(edge_attr.shape)}"
        )
    return edge_attr
