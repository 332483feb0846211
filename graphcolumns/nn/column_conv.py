"""Attention with weights per column, as a PyTorch Geometric layer."""

import math
from typing import Any, Optional

import torch
from torch import Tensor
from torch.nn import functional as F
from torch_geometric.nn.conv import MessagePassing
from torch_geometric.typing import Adj, OptTensor
from torch_geometric.utils import softmax

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.edge_bias import EdgeBias
from graphcolumns.nn.untied import UntiedLinear, check_counts
from graphcolumns.ops import column_attention

PairTensor = tuple[Tensor, Tensor]


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
    :obj:`column_id`.

    A :class:`~graphcolumns.ColumnGraph` takes the fused op. Plain edge indices, explanations,
    hooks and :obj:`return_attention_weights` take :meth:`edge_updater` and :meth:`propagate`;
    both give the same result.

    Args:
        in_channels (int or tuple): Size of each input sample, or :obj:`-1` to derive it from the
            first input. A tuple gives the sizes of sources and targets.
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
            topology, and accepts no other. (default: :obj:`None`)
        edge_dim (int, optional): Size of :obj:`edge_attr`, mapped linearly to a score per head.
            (default: :obj:`None`)
        dropout (float, optional): Dropout probability of the attention coefficients.
            (default: :obj:`0`)
        bias (bool, optional): If set to :obj:`False`, the maps have no bias.
            (default: :obj:`True`)
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

    Example:
        >>> import torch
        >>> from graphcolumns.nn import ColumnConv
        >>> conv = ColumnConv(8, 16, num_columns=4, heads=2)
        >>> edge_index = torch.tensor([[0, 1, 2, 3], [0, 0, 1, 1]])
        >>> conv(torch.randn(4, 8), edge_index).shape
        torch.Size([4, 32])
    """

    _alpha: OptTensor

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
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("aggr", "add")
        super().__init__(node_dim=-3, **kwargs)
        check_counts(out_channels=out_channels, heads=heads)
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout must be in [0, 1), got {dropout}")
        sizes = (num_columns, num_columns) if isinstance(num_columns, int) else num_columns
        pair = (in_channels, in_channels) if isinstance(in_channels, int) else in_channels
        self.in_channels, self.out_channels, self.num_columns = in_channels, out_channels, sizes
        self.heads, self.concat, self.weights, self.dropout = heads, concat, weights, dropout
        self.qk_channels = qk_channels or out_channels
        self.edge_dim, self.topology = edge_dim, edge_bias
        (sources, targets), width = sizes, heads * self.qk_channels
        self.lin_key = UntiedLinear(sources, pair[0], width, bias, weights)
        self.lin_query = UntiedLinear(targets, pair[1], width, bias, weights)
        self.lin_value = UntiedLinear(sources, pair[0], heads * out_channels, bias, weights)
        self.lin_edge = torch.nn.Linear(edge_dim, heads, bias=False) if edge_dim else None
        self.edge_bias = EdgeBias(edge_bias, heads, False, True) if edge_bias is not None else None
        self._alpha = None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Resets all learnable parameters of the module."""
        super().reset_parameters()
        for module in (self.lin_key, self.lin_query, self.lin_value, self.lin_edge, self.edge_bias):
            if module is not None:
                module.reset_parameters()

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
            edge_attr (torch.Tensor, optional): The edge features. (default: :obj:`None`)
            column_id (torch.Tensor, optional): The column of every node, for a mini-batch of
                disjoint copies or a subgraph. (default: :obj:`None`)
            return_attention_weights (bool, optional): If set to :obj:`True`, also returns
                :obj:`(edge_index, attention_weights)`. (default: :obj:`None`)

        Raises:
            ValueError: Features that do not match the columns, another topology than that of
                :obj:`edge_bias`, or edge features where none are expected.
        """
        pair = (x, x) if isinstance(x, Tensor) else x
        self._check(pair, edge_index, edge_attr, column_id)
        q = self._project(self.lin_query, pair[1], column_id, self.qk_channels)
        k = self._project(self.lin_key, pair[0], column_id, self.qk_channels)
        v = self._project(self.lin_value, pair[0], column_id, self.out_channels)
        bias = self._bias(edge_attr)

        if isinstance(edge_index, ColumnGraph):
            if not (self.explain or self._has_hooks() or return_attention_weights):
                return self._shape(self._fused(q, k, v, edge_index, bias))
            edge_index = edge_index.edge_index

        size = (pair[0].shape[-2], pair[1].shape[-2])
        # edge_updater_type: (query: Tensor, key: Tensor, edge_bias: OptTensor)
        alpha = self.edge_updater(edge_index, query=q, key=k, edge_bias=bias, size=size)
        # propagate_type: (value: Tensor, alpha: Tensor)
        out = self._shape(self.propagate(edge_index, value=v, alpha=alpha, size=size))
        if return_attention_weights:
            return out, (edge_index, alpha)
        return out

    def edge_update(
        self,
        query_i: Tensor,
        key_j: Tensor,
        edge_bias: OptTensor,
        index: Tensor,
        ptr: OptTensor,
        size_i: Optional[int],  # noqa: UP045 (PyG's inspector does not read unions)
    ) -> Tensor:
        """The attention coefficients, ``[E, H]`` or ``[B, E, H]``."""
        alpha = (query_i * key_j).sum(-1) / math.sqrt(self.qk_channels)
        alpha = alpha if edge_bias is None else alpha + edge_bias
        alpha = softmax(alpha, index, ptr, size_i, dim=alpha.dim() - 2)
        return F.dropout(alpha, p=self.dropout, training=self.training)

    def message(self, value_j: Tensor, alpha: Tensor) -> Tensor:
        """Values weighted by attention, ``[E, H, C']`` or ``[B, E, H, C']``."""
        return value_j * alpha.unsqueeze(-1)

    def _fused(
        self, q: Tensor, k: Tensor, v: Tensor, graph: ColumnGraph, bias: OptTensor
    ) -> Tensor:
        static = q.dim() == 4  # [B, N, H, D]; the op wants columns first

        def columns_first(x: Tensor) -> Tensor:
            return x.transpose(0, 1) if static else x.unsqueeze(1)

        dropout = self.dropout if self.training else 0.0
        out = column_attention(
            columns_first(q), columns_first(k), columns_first(v), graph, bias=bias, dropout=dropout
        ).out
        return out.transpose(0, 1) if static else out.squeeze(1)

    def _project(
        self, linear: UntiedLinear, x: Tensor, column_id: OptTensor, channels: int
    ) -> Tensor:
        """``[N, C]`` or ``[B, N, C]`` to ``[(B,) N, H, D]``."""
        if column_id is not None:
            out = linear.rows(x, column_id)
        elif x.dim() == 2:
            out = linear(x.unsqueeze(1)).squeeze(1)
        else:
            out = linear(x.transpose(0, 1)).transpose(0, 1)
        return out.reshape(*out.shape[:-1], self.heads, channels)

    def _bias(self, edge_attr: OptTensor) -> OptTensor:
        bias = None if self.edge_bias is None else self.edge_bias()
        if self.lin_edge is None or edge_attr is None:
            return bias
        scores = self.lin_edge(edge_attr.view(-1, 1) if edge_attr.dim() == 1 else edge_attr)
        return scores if bias is None else bias + scores

    def _shape(self, out: Tensor) -> Tensor:
        return out.flatten(-2) if self.concat else out.mean(-2)

    def _has_hooks(self) -> bool:
        return any(
            len(getattr(self, name))
            for name in vars(self)
            if name.endswith("_hooks") and name.startswith(("_propagate", "_message", "_aggregate",
                                                            "_edge_update"))
        )  # fmt: skip

    def _check(
        self,
        pair: PairTensor,
        edge_index: Adj | ColumnGraph,
        edge_attr: OptTensor,
        column_id: OptTensor,
    ) -> None:
        if (edge_attr is None) != (self.lin_edge is None):
            expected = "no edge_attr" if self.lin_edge is None else f"edge_attr [E, {self.edge_dim}]"
            got = None if edge_attr is None else list(edge_attr.shape)
            raise ValueError(f"expected {expected} (edge_dim={self.edge_dim}), got {got}")
        if self.topology is not None and not (
            isinstance(edge_index, ColumnGraph) and _same(edge_index, self.topology)
        ):
            raise ValueError(
                "edge_bias holds one score per edge of the ColumnGraph that the layer was built "
                f"with, {self.topology}: pass that graph, got {_name(edge_index)}"
            )
        if column_id is not None:
            _check_column_id(column_id, pair, self.num_columns)
        elif (pair[0].shape[-2], pair[1].shape[-2]) != self.num_columns:
            raise ValueError(
                f"the layer has weights for {self.num_columns} (source, target) columns, got "
                f"{(pair[0].shape[-2], pair[1].shape[-2])} nodes. For a mini-batch of copies or a "
                "subgraph pass column_id=[column of every node]; for a batch on one graph pass "
                "x as [B, N, C]"
            )

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}({self.in_channels}, {self.out_channels}, "
            f"heads={self.heads})"
        )


def _same(graph: ColumnGraph, topology: ColumnGraph) -> bool:
    return graph is topology or torch.compiler.is_compiling() or graph.same_topology(topology)


def _name(edge_index: object) -> str:
    return repr(edge_index) if isinstance(edge_index, ColumnGraph) else type(edge_index).__name__


def _check_column_id(column_id: Tensor, pair: PairTensor, num_columns: tuple[int, int]) -> None:
    if pair[0] is not pair[1] or num_columns[0] != num_columns[1]:
        raise ValueError("column_id names one column per node: it needs a square graph, not a pair")
    if column_id.shape != (pair[1].shape[-2],):
        raise ValueError(
            f"column_id must be [{pair[1].shape[-2]}], one column per node, "
            f"got {list(column_id.shape)}"
        )
    if torch.compiler.is_compiling():
        return
    if column_id.numel() and not 0 <= int(column_id.min()) <= int(column_id.max()) < num_columns[0]:
        raise ValueError(
            f"column_id must be below num_columns = {num_columns[0]}, "
            f"got [{int(column_id.min())}, {int(column_id.max())}]"
        )
