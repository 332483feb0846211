"""Edges in the forms that layers of PyG take: indices, sparse matrices, and graphs of ours."""

from typing import Any

from torch import Tensor
from torch_geometric.typing import Adj, SparseTensor
from torch_geometric.utils import is_torch_sparse_tensor
from torch_geometric.utils.sparse import set_sparse_value

from graphcolumns.graph import ColumnGraph


def is_matrix(edge_index: Any) -> bool:
    """Whether edge features may be in the edges themselves, as values of a sparse matrix."""
    return isinstance(edge_index, SparseTensor) or is_torch_sparse_tensor(edge_index)


def one_graph(edges: Any, size: tuple[int, int]) -> ColumnGraph | None:
    """The edges as a ColumnGraph of ``(M, N)`` columns; None where they cannot be one."""
    if isinstance(edges, ColumnGraph):
        return edges
    if not isinstance(edges, Tensor) or is_torch_sparse_tensor(edges):
        return None
    try:
        return ColumnGraph.from_edge_index(edges, size[1], size[0])
    except ValueError:  # parallel edges
        return None


def with_attention(edge_index: Adj, alpha: Tensor) -> Any:
    """What PyG's layers return beside the output: the edges and their attention."""
    if isinstance(edge_index, SparseTensor):
        return edge_index.set_value(alpha, layout="coo")
    if is_torch_sparse_tensor(edge_index) and alpha.dim() == 2:
        return set_sparse_value(edge_index, alpha), alpha
    return edge_index, alpha
