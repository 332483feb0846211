"""Every column attends to itself too: self-loops as in PyG, and without new edges."""

import torch
from torch import Tensor
from torch.nn import functional as F
from torch_geometric.typing import Adj, OptTensor, SparseTensor, torch_sparse
from torch_geometric.utils import add_self_loops, remove_self_loops
from torch_geometric.utils.loop import compute_loop_attr

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops.context import accumulator
from graphcolumns.ops.segment import segment_max

REDUCTIONS = ("add", "sum", "mean", "min", "max", "mul")


def check_self_loops(
    wanted: bool,
    fill_value: float | Tensor | str,
    edge_dim: int | None,
    num_columns: tuple[int, int],
    edge_bias: ColumnGraph | None,
) -> None:
    """Raises ValueError for self-loops that cannot be, or a fill value that nothing takes."""
    if isinstance(fill_value, str) and fill_value not in REDUCTIONS:
        raise ValueError(
            f"fill_value must be a number, a tensor or one of {REDUCTIONS}, got {fill_value!r}"
        )
    if not isinstance(fill_value, str) and not (wanted and edge_dim is not None):
        raise ValueError(
            "fill_value gives edge features to self-loops: it needs add_self_loops=True and "
            f"edge_dim, got add_self_loops={wanted} and edge_dim={edge_dim}"
        )
    if not wanted:
        return
    if num_columns[0] != num_columns[1]:
        raise ValueError(
            "add_self_loops needs sources that are the targets, got num_columns="
            f"{num_columns} in a bipartite graph"
        )
    if edge_bias is not None:
        raise ValueError(
            "edge_bias holds one score per edge of its topology, and add_self_loops replaces "
            "edges: put self-edges into the graph itself, where they have scores"
        )


def replace_self_loops(
    edge_index: Adj, edge_attr: OptTensor, num_nodes: int, fill_value: float | Tensor | str
) -> tuple[Adj, OptTensor]:
    """Edges with one self-loop per node in place of those that were there, at the end."""
    if isinstance(edge_index, SparseTensor):
        if edge_attr is not None or edge_index.has_value():
            raise NotImplementedError(
                "add_self_loops takes edge features with edge_index [2, E] or a ColumnGraph, as in "
                "PyG, got a SparseTensor: call adj.t().coo()"
            )
        return torch_sparse.set_diag(edge_index), None
    if edge_index.is_meta:
        raise NotImplementedError(
            "add_self_loops replaces self-loops of edge_index, which on the meta device has no "
            "values to tell which those are: pass a ColumnGraph"
        )
    edge_index, edge_attr = remove_self_loops(edge_index, edge_attr)
    edge_index, edge_attr = add_self_loops(edge_index, edge_attr, fill_value, num_nodes)
    return edge_index, edge_attr


def loop_features(
    graph: ColumnGraph, edge_attr: Tensor, fill_value: float | Tensor | str
) -> Tensor:
    """The edge features ``[N, edge_dim]`` of self-loops that replace those of a graph."""
    columns = graph.num_columns
    # A row more for the edges that are replaced, which no other row may see.
    target = graph.target.long().masked_fill(self_edges(graph), columns)
    ends = torch.stack([graph.source.long(), target])
    features: Tensor = compute_loop_attr(ends, edge_attr, columns + 1, False, fill_value)
    return features[:columns]


def self_edges(graph: ColumnGraph) -> Tensor:
    """Which edges lead from a column to itself, ``[E]``."""
    return graph.source == graph.target


def scores_from_highest(
    bias: Tensor, loops: Tensor, graph: ColumnGraph
) -> tuple[Tensor, Tensor, Tensor]:
    """Scores of edges ``[E, H]`` and self-loops ``[N, H]``, counted from the highest of a column.

    Which changes no softmax. Large scores would leave no digits in ``lse`` for what it adds to
    them; that highest, to be added to ``lse``, is the third of what is returned.
    """
    level = torch.maximum(segment_max(bias, graph.target, graph.num_columns), loops).detach()
    return bias - level.index_select(0, graph.target), loops - level, level


def self_scores(q: Tensor, k: Tensor, bias: OptTensor) -> Tensor:
    """The scores of self-loops, ``[N, B, H]``, of ``q`` and ``k [N, B, H, D]``, ``bias [N, H]``."""
    wide = accumulator(q.dtype)
    scores = (q.to(wide) * k.to(wide)).sum(-1) * q.shape[-1] ** -0.5
    return scores if bias is None else scores + bias[:, None].to(wide)


def with_self(
    out: Tensor, lse: Tensor, scores: Tensor, values: Tensor, dropout: float
) -> tuple[Tensor, Tensor]:
    r"""Attention over one more source per column, the column itself.

    Softmax over a set is found from that over the set without one member:

    .. math::
        a_i = \sigma(s_{ii} - \mathrm{lse}_i), \qquad
        \mathrm{out}_i \to (1 - a_i) \, \mathrm{out}_i + a_i v_i, \qquad
        \mathrm{lse}_i \to \log(e^{\mathrm{lse}_i} + e^{s_{ii}})

    Args:
        out: Attention over the other sources, ``[N, B, H, Dv]``.
        lse: Its log-normaliser ``[N, B, H]``; ``-inf`` where there are no others.
        scores: Scores of the self-loops, ``[N, B, H]``.
        values: Values of the columns, ``[N, B, H, Dv]``.
        dropout: Probability of dropping a self-loop.

    Returns:
        ``out`` and ``lse`` with the self-loops.
    """
    share = F.dropout(torch.sigmoid(scores - lse), dropout)
    if dropout:  # a dropped self-loop passes nothing on, NaN neither
        values = values.masked_fill((share == 0.0)[..., None], 0.0)
    others = torch.sigmoid(lse - scores)
    mixed = others[..., None] * out + share[..., None] * values
    return mixed.to(out.dtype), torch.logaddexp(lse, scores)
