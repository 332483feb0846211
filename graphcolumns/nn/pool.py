"""Learned pooling: the columns of one sheet attend to those of the sheet below."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.recording import AttentionRecord
from graphcolumns.ops import column_attention, edge_linear, segment_softmax, segment_sum


class LearnedPool(nn.Module):
    r"""Pools a sheet of ``M`` columns onto a sheet of ``N`` columns along bipartite edges.

    .. math::
        x'_i = \sum_{j \in \mathcal{N}(i)} P_{ij} x_j, \qquad
        P_{ij} = \mathrm{softmax}_j \Big( s \, \frac{g_i^\top}{\lVert g_i \rVert}
        \frac{k_j}{\lVert k_j \rVert} \Big)

    with a learned embedding :math:`g_i` of every column and a learned scale :math:`s`. The keys are
    the tokens :math:`k = x` (*dynamic*: what is pooled depends on the input) or embeddings of
    the columns below (*static*: one map for all inputs).

    Args:
        num_columns: Number of columns ``N``.
        channels: Channels per column ``C``.

    Attributes:
        recorder: Called with an :class:`~graphcolumns.nn.recording.AttentionRecord` of every pass.
            Normally None; set only while edges are scored or observed.

    Shapes:
        - input: ``[M, B, C]``
        - output: ``[N, B, C]`` and the expected edge cost ``[N, B, 1]`` or None. A column without
          in-edges gets 0

    Raises:
        ValueError: A size below one, keys of another shape, or a graph of another size.

    Source: TopoMoE (Lane, 2024, https://github.com/clane9/columnformers), on the edges of a graph;
    router of Puigcerver et al., From sparse to soft mixtures of experts, ICLR 2024,
    https://arxiv.org/abs/2308.00951.
    """

    no_weight_decay = ("grid", "scale")

    recorder: Callable[[AttentionRecord], None] | None = None

    def __init__(self, num_columns: int, channels: int) -> None:
        super().__init__()
        check_counts(num_columns=num_columns, channels=channels)
        self.num_columns, self.channels = num_columns, channels
        self.grid = nn.Parameter(torch.empty(num_columns, channels))
        self.scale = nn.Parameter(torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Small random codes, scale one."""
        nn.init.trunc_normal_(self.grid, std=0.02)
        nn.init.ones_(self.scale)

    def forward(
        self,
        x: Tensor,
        graph: ColumnGraph,
        keys: Tensor | None = None,
        cost: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Pools ``x``; static with ``keys [M, C]``, and its expected cost with ``cost [E]``."""
        self._check(x, graph, keys)
        if keys is not None:
            weight = self.coefficients(x, graph, keys)[:, 0]
            pooled = edge_linear(x, weight.to(x.dtype), graph)
            if self.recorder is not None:
                pooled = self._record_static(x, graph, keys, pooled)
            if cost is None:
                return pooled, None
            expected = segment_sum(weight * cost, graph.target, graph.num_columns)
            return pooled, expected[:, None, None].expand(-1, x.shape[1], 1)
        query = self._query().to(x.dtype)[:, None, None]
        key = F.normalize(x, dim=-1).to(x.dtype)[:, :, None]
        v = x[:, :, None]
        out, paid, lse = column_attention(query, key, v, graph, cost=cost, scale=1.0)
        if self.recorder is not None:
            self.recorder(AttentionRecord(graph, query, key, v, None, 1.0, out, lse))
        return out[:, :, 0], paid

    def _record_static(self, x: Tensor, graph: ColumnGraph, keys: Tensor, pooled: Tensor) -> Tensor:
        """Static pooling is attention whose queries and keys all samples share."""
        query = self._query().to(x.dtype)[:, None, None]
        key = F.normalize(keys, dim=-1).to(x.dtype)[:, None, None].expand(-1, x.shape[1], -1, -1)
        with torch.no_grad():
            lse = column_attention(query, key, key[..., :1], graph, scale=1.0).lse
        out = pooled[:, :, None]
        assert self.recorder is not None
        self.recorder(AttentionRecord(graph, query, key, x[:, :, None], None, 1.0, out, lse))
        return out[:, :, 0]

    def coefficients(self, x: Tensor, graph: ColumnGraph, keys: Tensor | None = None) -> Tensor:
        """The pooling map on the edges, ``[E, B]`` or static ``[E, 1]``; to look at, too."""
        key = F.normalize(x if keys is None else keys[:, None], dim=-1)
        query, answered = self._query()[graph.target.long()], key[graph.source.long()]
        scores = torch.einsum("ec,ebc->eb", query, answered)
        return segment_softmax(scores, graph.target, graph.num_columns)

    def _query(self) -> Tensor:
        return self.scale * F.normalize(self.grid, dim=-1)

    def _check(self, x: Tensor, graph: ColumnGraph, keys: Tensor | None) -> None:
        if graph.num_columns != self.num_columns:
            raise ValueError(f"the pooling graph must have {self.num_columns} columns, got {graph}")
        if keys is not None and keys.shape != (graph.num_sources, self.channels):
            raise ValueError(
                f"keys must hold one code per source, [M, C] = [{graph.num_sources}, "
                f"{self.channels}], got {list(keys.shape)}"
            )
        if x.dim() != 3 or x.shape[0] != graph.num_sources or x.shape[2] != self.channels:
            raise ValueError(
                f"x must be [M, B, C] = [{graph.num_sources}, B, {self.channels}], "
                f"got {list(x.shape)}"
            )

    def extra_repr(self) -> str:
        """The sizes."""
        return f"num_columns={self.num_columns}, channels={self.channels}"
