"""Attention with weights per column, as a PyTorch Geometric layer."""

import math
from collections.abc import Callable
from typing import Any, Optional

import torch
from torch import Tensor
from torch.nn import functional as F
from torch_geometric.nn.conv import MessagePassing
from torch_geometric.typing import Adj, OptTensor, PairTensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.adjacency import is_matrix, with_attention
from graphcolumns.nn.checks import check_counts, check_dropout
from graphcolumns.nn.column_conv_checks import (
    check_channels,
    check_edge_features,
    check_features,
    check_nodes,
    check_root,
    check_topology,
    edge_features_of,
    rank_of,
)
from graphcolumns.nn.column_conv_op import attend_along, record_messages
from graphcolumns.nn.edge_bias import EdgeBias
from graphcolumns.nn.recording import AttentionRecord
from graphcolumns.nn.self_loops import (
    check_self_loops,
    replace_self_loops,
)
from graphcolumns.nn.topology_state import keep_topology
from graphcolumns.nn.untied import UntiedLinear
from graphcolumns.ops import segment_softmax
from graphcolumns.ops.column_attention.closed import CLOSED, centred, closed_edges, without
from graphcolumns.ops.context import accumulator

HOOKED = ("propagate", "message", "aggregate", "edge_update")


class ColumnConv(MessagePassing):
    r"""Multi-head attention along edges in which every column has its own weights.

    .. math::
        \mathbf{x}^{\prime}_i = \sum_{j \in \mathcal{N}(i)} \alpha_{ij} \mathbf{V}_j \mathbf{x}_j,
        \qquad
        \alpha_{ij} = \mathrm{softmax}_j \left( \frac{(\mathbf{Q}_i \mathbf{x}_i)^{\top}
        (\mathbf{K}_j \mathbf{x}_j)}{\sqrt{D}} + b_{ij} \right)

    the attention of `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_ restricted to
    the edges of a graph, with :math:`\mathbf{Q}, \mathbf{K}, \mathbf{V}` per node. Weights
    belong to columns, so the layer knows how many there are; a mini-batch is a static graph
    :obj:`[B, N, C]`, or a PyG :class:`~torch_geometric.data.Batch` of copies with
    :obj:`column_id`. With :obj:`weights="shared"`, :obj:`root_weight=True` and
    :obj:`edge_features="keys_values"` it is PyG's
    :class:`~torch_geometric.nn.conv.TransformerConv`, from which these options have their names.

    A :class:`~graphcolumns.ColumnGraph` takes the fused op, whose memory is
    :math:`O(N B H C' + E)`. Plain edge indices, edge features in keys and values, explanations,
    hooks, :obj:`return_attention_weights`, and another :obj:`aggr` or :obj:`flow` take
    :meth:`edge_updater` and :meth:`propagate`, :math:`O(E B H C')`; both give the same result
    (dropout draws other edges). A ColumnGraph has sorted its edges, and :obj:`edge_attr` must be
    in that order: :obj:`edge_attr[ColumnGraph.edge_order(edge_index)]`.

    Both forms work under :obj:`torch.func`, in forward mode, compiled, exported and on the meta
    device; only there :obj:`add_self_loops` needs a ColumnGraph, since which self-loops are
    replaced is written in the values of plain edge indices.

    Edges can change while the layer trains, by any rule of ``graphcolumns.plasticity``: what a
    rule scores is recorded in every form but those with :obj:`column_id`, sparse matrices, parallel
    edges, :obj:`edge_features="keys_values"`, or another :obj:`aggr` or :obj:`flow`; scores of
    :obj:`edge_bias` go along with their edges.

    Args:
        in_channels (int or tuple): Size of each input sample, or :obj:`-1` to derive the size from
            the first input. A tuple gives the sizes of sources and targets.
        out_channels (int): Size of each output sample per head.
        num_columns (int or tuple): Number of columns :math:`N`, or of sources and targets
            :math:`(M, N)` in a bipartite graph.
        heads (int, optional): Number of heads. (default: :obj:`1`)
        concat (bool, optional): If set to :obj:`False`, heads are averaged instead of
            concatenated. (default: :obj:`True`)
        weights (str, optional): :obj:`"untied"`, :obj:`"shared"`, :obj:`"mixture"` or
            :obj:`"lowrank"`, see :class:`~graphcolumns.nn.UntiedLinear`.
            (default: :obj:`"untied"`)
        qk_channels (int, optional): Size of queries and keys per head.
            (default: :obj:`out_channels`)
        edge_bias (ColumnGraph, optional): Learns a score :math:`b_{ij}` per edge and head of this
            topology, and accepts no other; plain edge indices must be its :obj:`edge_index`.
            (default: :obj:`None`)
        edge_dim (int, optional): Size of :obj:`edge_attr` :math:`\mathbf{e}_{ij}`.
            (default: :obj:`None`)
        dropout (float, optional): Dropout probability of the attention coefficients.
            (default: :obj:`0`)
        bias (bool, optional): If set to :obj:`False`, the maps have no bias.
            (default: :obj:`True`)
        rank (int, optional): Number of shared sets (:obj:`"mixture"`) or rank per column
            (:obj:`"lowrank"`). (default: :obj:`4`)
        edge_features (str, optional): What edge features are added to.
            :obj:`"scores"`: :math:`b_{ij} = \mathbf{W}_e \mathbf{e}_{ij}`, one number per head.
            :obj:`"keys_values"`, as in :class:`~torch_geometric.nn.conv.TransformerConv`:
            :math:`\mathbf{W}_e \mathbf{e}_{ij}` is added to :math:`\mathbf{K}_j \mathbf{x}_j`
            and to :math:`\mathbf{V}_j \mathbf{x}_j`, which takes messages of their own for all
            edges, :math:`O(E B H C')` memory, whatever the form. (default: :obj:`"scores"`)
        add_self_loops (bool, optional): If set to :obj:`True`, every column also attends to
            itself, as in :class:`~torch_geometric.nn.conv.GATv2Conv`: self-loops in the graph are
            replaced. (default: :obj:`False`)
        fill_value (float or torch.Tensor or str, optional): Edge features of self-loops: a number
            or :obj:`[edge_dim]` numbers, or :obj:`"add"`, :obj:`"mean"`, :obj:`"min"`,
            :obj:`"max"` or :obj:`"mul"` of those of the in-edges. (default: :obj:`"mean"`)
        root_weight (bool, optional): If set to :obj:`True`, the layer adds
            :math:`\mathbf{S}_i \mathbf{x}_i`, a residual connection with weights of its own.
            (default: :obj:`False`)
        beta (bool, optional): If set to :obj:`True`, a gate weighs the two:
            :math:`\beta_i \mathbf{S}_i \mathbf{x}_i + (1 - \beta_i) \mathbf{m}_i` with
            :math:`\beta_i = \sigma(\mathbf{w}_i^{\top} [\mathbf{m}_i, \mathbf{S}_i
            \mathbf{x}_i, \mathbf{m}_i - \mathbf{S}_i \mathbf{x}_i])`, where :math:`\mathbf{m}_i`
            is what attention brings. (default: :obj:`False`)
        **kwargs (optional): Additional arguments of
            :class:`torch_geometric.nn.conv.MessagePassing`.

    Shapes:
        - **input:** node features :math:`(N, C)` or :math:`(B, N, C)`, or a pair
          :math:`((M, C_s), (N, C_t))`; edge indices :math:`(2, E)`;
          edge features :math:`(E, C_e)` *(optional)*
        - **output:** node features :math:`(N, H \cdot C')` or :math:`(N, C')` if not
          :obj:`concat`, with a leading :math:`B` for a static graph. If
          :obj:`return_attention_weights`, :math:`(x', (edge\_index, \alpha))` with
          :math:`\alpha` of shape :math:`(E, H)` or :math:`(B, E, H)`

    Raises:
        ValueError: A size below one, a dropout outside :math:`[0, 1)`, an unknown mode, or
            options that make no sense together: :obj:`beta` without :obj:`root_weight`,
            :obj:`rank` with weights that have none, :obj:`add_self_loops` with :obj:`edge_bias` or
            other sources than targets, edge features in keys and values with other
            :obj:`qk_channels` than :obj:`out_channels`.

    Example:
        >>> import torch
        >>> from graphcolumns.nn import ColumnConv
        >>> conv = ColumnConv(8, 16, num_columns=4, heads=2)
        >>> edge_index = torch.tensor([[0, 1, 2, 3], [0, 0, 1, 1]])
        >>> conv(torch.randn(4, 8), edge_index).shape
        torch.Size([4, 32])
    """

    _alpha: OptTensor

    recorder: Callable[[AttentionRecord], None] | None = None

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        num_columns: int | tuple[int, int],
        heads: int = 1,
        concat: bool = True,
        weights: str = "untied",
        qk_channels: int | None = None,
        edge_bias: ColumnGraph | None = None,
        edge_dim: int | None = None,
        dropout: float = 0.0,
        bias: bool = True,
        rank: int | None = None,
        edge_features: str = "scores",
        add_self_loops: bool = False,
        fill_value: float | Tensor | str = "mean",
        root_weight: bool = False,
        beta: bool = False,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("aggr", "add")
        super().__init__(node_dim=-3, **kwargs)
        qk_channels = out_channels if qk_channels is None else qk_channels
        check_counts(out_channels=out_channels, heads=heads, qk_channels=qk_channels)
        check_dropout(dropout=dropout)
        check_root(root_weight, beta)
        rank = rank_of(rank, weights)
        sources, targets = self.num_columns = _pair(num_columns)
        pair = _pair(in_channels)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.qk_channels = qk_channels
        self.heads, self.concat, self.weights, self.dropout = heads, concat, weights, dropout
        self.edge_dim, self.topology = edge_dim, edge_bias
        self.edge_features, self.rank = edge_features, rank
        self.add_self_loops, self.fill_value = add_self_loops, fill_value
        self.root_weight, self.beta = root_weight, beta
        check_self_loops(add_self_loops, fill_value, edge_dim, self.num_columns, edge_bias)
        width, values = heads * qk_channels, heads * out_channels
        self.lin_key = UntiedLinear(sources, pair[0], width, bias, weights, rank)
        self.lin_query = UntiedLinear(targets, pair[1], width, bias, weights, rank)
        self.lin_value = UntiedLinear(sources, pair[0], values, bias, weights, rank)
        self.lin_edge = None
        check_edge_features(
            edge_features, edge_dim, qk_channels == out_channels, self.decomposed_layers
        )
        if edge_dim is not None:
            per_edge = heads if edge_features == "scores" else values
            self.lin_edge = torch.nn.Linear(edge_dim, per_edge, bias=False)
        self.lin_skip = self.lin_beta = None
        if root_weight:
            received = values if concat else out_channels
            self.lin_skip = UntiedLinear(targets, pair[1], received, bias, weights, rank)
            if beta:
                self.lin_beta = UntiedLinear(targets, 3 * received, 1, False, weights, rank)
        self.edge_bias = None
        if edge_bias is not None:
            self.edge_bias = EdgeBias(edge_bias, heads, common=False, per_head=True)
        keep_topology(self)
        self._alpha = None  # where PyG's tools look for attention; here it is a message argument
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Resets all learnable parameters of the module."""
        super().reset_parameters()
        maps = (self.lin_key, self.lin_query, self.lin_value, self.lin_skip, self.lin_beta)
        for module in (*maps, self.lin_edge, self.edge_bias):
            if module is not None:
                module.reset_parameters()

    def rewired(self, graph: ColumnGraph) -> None:
        r"""Takes a new topology, to which its edge scores were carried."""
        if self.topology is not None:
            self.topology = graph

    def forward(
        self,
        x: Tensor | PairTensor,
        edge_index: Adj | ColumnGraph,
        edge_attr: OptTensor = None,
        column_id: OptTensor = None,
        return_attention_weights: bool | None = None,
    ) -> Any:
        r"""Runs the forward pass of the module.

        Args:
            x (torch.Tensor or (torch.Tensor, torch.Tensor)): The input node features.
            edge_index (torch.Tensor, SparseTensor or ColumnGraph): The edges.
            edge_attr (torch.Tensor, optional): The edge features, in the order of the edges.
                (default: :obj:`None`)
            column_id (torch.Tensor, optional): The column of every node, for a mini-batch of
                disjoint copies or a subgraph. (default: :obj:`None`)
            return_attention_weights (bool, optional): If set to :obj:`True`, also returns
                :obj:`(edge_index, attention_weights)`. (default: :obj:`None`)

        Raises:
            ValueError: Features that do not match the columns, another topology than that of
                :obj:`edge_bias`, or edge features that are missing or not expected.
            TypeError: Features that are not tensors or of another dtype than the weights, or
                column ids that are not integers.
            IndexError: Edges with ids out of range.
        """
        pair = (x, x) if isinstance(x, Tensor) else x
        check_features(pair)
        check_nodes(pair, self.num_columns, column_id)
        check_channels(pair, (self.lin_key.in_channels, self.lin_query.in_channels))
        check_topology(edge_index, self.topology, pair)
        if edge_attr is not None and self.lin_edge is None:
            raise ValueError(
                "the layer was built without edge_dim, so it takes no edge_attr, got "
                f"{list(edge_attr.shape)}: pass edge_dim to ColumnConv"
            )
        q = self._project(self.lin_query, pair[1], column_id, self.qk_channels)
        k = self._project(self.lin_key, pair[0], column_id, self.qk_channels)
        v = self._project(self.lin_value, pair[0], column_id, self.out_channels)

        fuses = not return_attention_weights and self._can_fuse()
        if fuses and isinstance(edge_index, ColumnGraph):
            out = attend_along(self, q, k, v, edge_index, edge_attr)
            return self._finish(out, pair[1], column_id)
        out, edges, alpha = self._by_messages(q, k, v, edge_index, edge_attr)
        if self.recorder is not None and column_id is None and self._is_the_op():
            out = record_messages(self, q, k, v, edge_index, edge_attr, out)
        out = self._finish(out, pair[1], column_id)
        return (out, with_attention(edges, alpha)) if return_attention_weights else out

    def _by_messages(
        self, q: Tensor, k: Tensor, v: Tensor, edge_index: Any, edge_attr: OptTensor
    ) -> tuple[Tensor, Any, Tensor]:
        """What targets receive, the edges with self-loops, and their attention."""
        if isinstance(edge_index, ColumnGraph):
            edge_index = edge_index.edge_index
        if isinstance(edge_index, Tensor) and edge_index.dtype == torch.int32:
            edge_index = edge_index.long()  # PyG's softmax scatters, which needs int64
        if self.lin_edge is not None and not is_matrix(edge_index):
            edge_attr = edge_features_of(edge_attr, edge_index.shape[1], self.edge_dim)
        if self.add_self_loops:
            edge_index, edge_attr = replace_self_loops(
                edge_index, edge_attr, q.shape[-3], self.fill_value
            )
        size = (k.shape[-3], q.shape[-3])
        # edge_updater_type: (query: Tensor, key: Tensor, edge_attr: OptTensor)
        alpha = self.edge_updater(edge_index, query=q, key=k, edge_attr=edge_attr, size=size)
        # propagate_type: (value: Tensor, alpha: Tensor, edge_attr: OptTensor)
        out = self.propagate(edge_index, value=v, alpha=alpha, edge_attr=edge_attr, size=size)
        return out.to(v.dtype), edge_index, alpha.to(v.dtype)

    def edge_update(
        self,
        query_i: Tensor,
        key_j: Tensor,
        edge_attr: OptTensor,
        index: Tensor,
        ptr: OptTensor,
        size_i: Optional[int],  # noqa: UP045 (PyG's inspector does not read unions)
    ) -> Tensor:
        """The attention coefficients, ``[E, H]`` or ``[B, E, H]``, at least float32.

        As in the op: scores count from the highest bias of their column and closed edges have none.
        """
        wide, size = accumulator(query_i.dtype), int(index.max()) + 1 if size_i is None else size_i
        bias = self.edge_scores(edge_attr, key_j.shape[-3])
        closed = self._closed(bias)
        features = self._edge_vectors(edge_attr, key_j.shape[-3])
        keys = key_j.to(wide) if features is None else key_j.to(wide) + features
        keys = without(keys, closed)
        alpha = (query_i.to(wide) * keys).sum(-1) / math.sqrt(self.qk_channels)
        shifted, _ = centred(bias, index, size)
        alpha = alpha if shifted is None else alpha + shifted
        if closed is not None:
            alpha = alpha.masked_fill(closed, CLOSED)
        static = alpha.dim() == 3
        alpha = alpha.transpose(0, 1) if static else alpha
        alpha = segment_softmax(alpha, index, size)
        alpha = alpha.transpose(0, 1) if static else alpha
        return F.dropout(alpha, p=self.dropout, training=self.training)

    def message(self, value_j: Tensor, alpha: Tensor, edge_attr: OptTensor) -> Tensor:
        """Values weighted by attention, ``[E, H, C']`` or ``[B, E, H, C']``, at least float32."""
        closed = self._closed(self.edge_scores(edge_attr, value_j.shape[-3]))
        features = self._edge_vectors(edge_attr, value_j.shape[-3])
        values = value_j.to(alpha.dtype)
        values = values if features is None else values + features
        return without(values, closed) * alpha.unsqueeze(-1)

    @staticmethod
    def _closed(bias: OptTensor) -> OptTensor:
        """Which edges pass nothing on, ``[E, H]``; None where none is known to be closed."""
        closed = closed_edges(bias)
        return None if closed is None else closed[:, 0]

    def aggregate(
        self,
        inputs: Tensor,
        index: Tensor,
        ptr: OptTensor = None,
        dim_size: Optional[int] = None,  # noqa: UP045
    ) -> Tensor:
        """Sums messages by target, ``[N, H, C']`` or ``[B, N, H, C']``."""
        # Along an inner dimension PyG needs torch-scatter to sum by ptr; index says the same.
        pointers = ptr if inputs.dim() == 3 else None
        return super().aggregate(inputs, index, ptr=pointers, dim_size=dim_size)

    def _project(
        self, linear: UntiedLinear, x: Tensor, column_id: OptTensor, channels: int
    ) -> Tensor:
        """``[N, C]`` or ``[B, N, C]`` to ``[(B,) N, H, D]``."""
        return self._map(linear, x, column_id).unflatten(-1, (self.heads, channels))

    def _map(self, linear: UntiedLinear, x: Tensor, column_id: OptTensor) -> Tensor:
        """``[N, C]`` or ``[B, N, C]`` to ``[(B,) N, C']``."""
        static = x.dim() == 3
        x = x.transpose(0, 1) if static else x.unsqueeze(1)
        out = linear(x) if column_id is None else linear.rows(x, column_id)
        return out.transpose(0, 1) if static else out.squeeze(1)

    def edge_scores(self, edge_attr: OptTensor, num_edges: int) -> OptTensor:
        """What edges add to the scores, ``[E, H]``."""
        bias = None if self.edge_bias is None else self.edge_bias()
        if self.lin_edge is None or self.edge_features != "scores":
            return bias
        scores = self.lin_edge(edge_features_of(edge_attr, num_edges, self.edge_dim))
        return scores if bias is None else bias + scores

    def _edge_vectors(self, edge_attr: OptTensor, num_edges: int) -> OptTensor:
        """What edges add to keys and values, ``[E, H, C']``."""
        if self.lin_edge is None or self.edge_features == "scores":
            return None
        features = self.lin_edge(edge_features_of(edge_attr, num_edges, self.edge_dim))
        return features.unflatten(-1, (self.heads, self.out_channels))

    def _finish(self, out: Tensor, x: Tensor, column_id: OptTensor) -> Tensor:
        """Joins heads, and adds what a target keeps of itself."""
        out = out.flatten(-2) if self.concat else out.mean(-2)
        if self.lin_skip is None:
            return out
        root = self._map(self.lin_skip, x, column_id)
        if self.lin_beta is None:
            return out + root
        gate = self._map(self.lin_beta, torch.cat([out, root, out - root], -1), column_id).sigmoid()
        return gate * root + (1 - gate) * out

    def _can_fuse(self) -> bool:
        """Whether no hook reads messages, and they are those that the op sums."""
        hooked = any(
            getattr(self, f"_{part}_forward{kind}_hooks")
            for part in HOOKED
            for kind in ("", "_pre")
        )
        return self._is_the_op() and not hooked and not self.explain

    def _is_the_op(self) -> bool:
        """Whether attention sums values of sources over in-edges."""
        plain = self.lin_edge is None or self.edge_features == "scores"
        return plain and self.aggr in ("add", "sum") and self.flow == "source_to_target"

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}({self.in_channels}, {self.out_channels}, "
            f"heads={self.heads})"
        )


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value[0], value[1]) if isinstance(value, tuple | list) else (value, value)
