"""Multi-head attention of queries over tokens, along edges or over all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.checks import check_counts, check_dropout
from graphcolumns.nn.recording import AttentionRecord
from graphcolumns.ops import column_attention, segment_softmax
from graphcolumns.ops.column_attention.reference import edge_logits


class Projected(NamedTuple):
    """Tokens as keys and values of all heads.

    Attributes:
        k: Keys, ``[M, B, H, D]``.
        v: Values, ``[M, B, H, D]``.
    """

    k: Tensor
    v: Tensor


class QueryAttention(nn.Module):
    r"""What queries receive from tokens, in heads of width :math:`D`.

    .. math::
        \mathrm{out}_r^h = \sum_{p \in \mathcal{N}(r)} \mathrm{softmax}_p\Bigl(
        \frac{(W_q^h q_r)^\top (W_k^h k_p)}{\sqrt{D}} + b_{rp}^h\Bigr) W_v^h x_p

    and a matrix :math:`W_o` after the heads are joined. On complete edges this is
    ``torch.nn.MultiheadAttention``.

    Args:
        channels: Channels ``C`` of queries and tokens.
        heads: Number of heads ``H``, dividing ``C``.
        project_values: Whether :math:`W_v` and :math:`W_o` are there; else heads get their channels
            of the tokens as they are.
        dropout: Probability of dropping an edge, per sample and head.

    Attributes:
        recorder: Called with an :class:`~graphcolumns.nn.recording.AttentionRecord` of every pass
            along edges. Normally None; set only while edges are scored or observed.

    Shapes:
        - queries: ``[N, B, C]``, or ``[N, 1, C]`` where all samples share them
        - keys, values: ``[M, B, C]``
        - output: ``[N, B, C]``

    Raises:
        ValueError: Heads that do not divide the channels, or a probability outside [0, 1).
    """

    recorder: Callable[[AttentionRecord], None] | None = None

    def __init__(
        self, channels: int, heads: int, project_values: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        check_counts(channels=channels, heads=heads)
        check_dropout(dropout=dropout)
        if channels % heads:
            raise ValueError(
                f"heads must divide channels. Got {heads} heads and {channels}; channels are as "
                "many as tokens have unless decoder.channels says another number."
            )
        self.heads, self.dropout = heads, dropout
        self.query, self.key = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels) if project_values else None
        self.out = nn.Linear(channels, channels) if project_values else None

    def project(self, keys: Tensor, values: Tensor) -> Projected:
        """Keys and values of all heads, once for all queries."""
        v = values if self.value is None else self.value(values)
        return Projected(self._heads(self.key(keys)), self._heads(v))

    def forward(
        self,
        queries: Tensor,
        tokens: Projected,
        graph: ColumnGraph | None,
        bias: Tensor | None = None,
    ) -> Tensor:
        """Sums of tokens, weighted by attention.

        Args:
            queries: Queries, ``[N, B or 1, C]``.
            tokens: Keys and values from :meth:`project`.
            graph: Edges from tokens to queries; None: from all to all, without a list of edges.
            bias: Scores of edges, ``[E]`` or ``[E, H]``, or None.
        """
        q = self._heads(self.query(queries))
        if graph is None:
            y = self._everywhere(q, tokens)
        else:
            dropout = self.dropout if self.training else 0.0
            y, _, lse = column_attention(q, *tokens, graph, bias=bias, dropout=dropout)
            if self.recorder is not None:
                self.recorder(AttentionRecord(graph, q, *tokens, bias, None, y, lse))
        y = y.flatten(2)
        return y if self.out is None else self.out(y)

    @torch.no_grad()
    def weights(
        self,
        queries: Tensor,
        tokens: Projected,
        graph: ColumnGraph | None,
        bias: Tensor | None = None,
    ) -> Tensor:
        """The attention of every query to every token, ``[N, B, H, M]``, 0 where no edge is."""
        q, k = self._heads(self.query(queries)), tokens.k
        q = q.expand(-1, k.shape[1], -1, -1)
        if graph is None:
            score = torch.einsum("nbhd,mbhd->nbhm", q, k) * q.shape[-1] ** -0.5
            return score.softmax(-1)
        score = edge_logits(q, k, bias, graph.source, graph.target, q.shape[-1] ** -0.5)
        mass = segment_softmax(score, graph.target, graph.num_columns)
        dense = mass.new_zeros(graph.num_columns, graph.num_sources, *mass.shape[1:])
        dense[graph.target.long(), graph.source.long()] = mass
        return dense.movedim(1, -1)

    def _everywhere(self, q: Tensor, tokens: Projected) -> Tensor:
        """Attention over all tokens, ``[N, B, H, D]``."""
        k, v = (t.permute(1, 2, 0, 3) for t in tokens)
        dropout = self.dropout if self.training else 0.0
        q = q.permute(1, 2, 0, 3).expand(len(k), -1, -1, -1)
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout).permute(2, 0, 1, 3)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, x.shape[-1] // self.heads))

    def extra_repr(self) -> str:
        """The sizes."""
        return f"heads={self.heads}, dropout={self.dropout}"
