"""Learned queries that attend to tokens: the decoder of a transformer without self-attention."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphcolumns.graph import ColumnGraph
from graphcolumns.models.brain_encoder.on_edges import Decoder
from graphcolumns.models.brain_encoder.query_attention import Projected, QueryAttention
from graphcolumns.nn.checks import check_counts, check_dropout
from graphcolumns.nn.edge_bias import EdgeBias


class DecoderLayer(nn.Module):
    r"""One step of every query: attention over the tokens, then an MLP.

    With norms first, for the embedding :math:`e_r` of a query and its state :math:`t_r`,

    .. math::
        t_r &\leftarrow t_r + \mathrm{Attention}(\mathrm{LN}_1(t_r) + e_r,\; x + p,\; x) \\
        t_r &\leftarrow t_r + W_2\, \mathrm{relu}(W_1\, \mathrm{LN}_2(t_r)),

    or, with norms last, the query :math:`t_r + e_r` and a norm after each sum.

    Args:
        channels: Channels ``C``.
        heads: Number of heads.
        hidden: Width of the MLP.
        norm_first: Whether norms come before attention and MLP, or after the sums.
        dropout: Dropout of edges and activations.

    Shapes:
        - state: ``[N, B, C]``, or ``[N, 1, C]`` where all samples share it
        - output: ``[N, B, C]``
    """

    def __init__(
        self, channels: int, heads: int, hidden: int, norm_first: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        check_counts(hidden=hidden)
        self.norm_first, self.dropout = norm_first, dropout
        self.attention = QueryAttention(channels, heads, dropout=dropout)
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.hidden, self.mlp = nn.Linear(channels, hidden), nn.Linear(hidden, channels)

    def queries(self, state: Tensor, embedding: Tensor) -> Tensor:
        """What is compared with the keys."""
        return (self.norm1(state) if self.norm_first else state) + embedding

    def forward(self, state: Tensor, received: Tensor) -> Tensor:
        """The next state, after attention has ``received`` a sum of tokens."""
        state = state + self._dropped(received)
        state = state if self.norm_first else self.norm1(state)
        hidden = F.relu(self.hidden(self.norm2(state) if self.norm_first else state))
        state = state + self._dropped(self.mlp(self._dropped(hidden)))
        return state if self.norm_first else self.norm2(state)

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


class QueryDecoder(Decoder):
    r"""Queries that receive from tokens along edges, :math:`T_r = \mathrm{LN}(t_r)`.

    Every query has a learned embedding and starts from the state 0; see :class:`DecoderLayer` for a
    step. There is no attention among queries: what a query receives depends on its own row alone,
    so rows can be computed one part after the other.

    Args:
        edges: Edges from ``M`` tokens to ``N`` queries, or the number of queries: then all attend
            to all tokens, without a list of edges, which no rule can change.
        channels: Channels ``C``.
        heads: Number of heads.
        hidden: Width of the MLPs.
        layers: Number of steps, each with weights of its own.
        norm_first: Whether norms come first.
        dropout: Dropout of edges and activations.
        edge_bias: Whether every edge has a learned score per head, which does not depend on the
            image: a receptive field.

    Attributes:
        graph: The edges, or None.

    Shapes:
        - input: keys and values, ``[M, B, C]``
        - output: ``[N, B, C]``

    Raises:
        ValueError: A size below one, heads that do not divide the channels, or an edge bias without
            a list of edges.

    Source: Adeli et al., Transformer brain encoders explain human high-level visual responses,
    NeurIPS 2025, https://arxiv.org/abs/2505.17329.
    """

    no_weight_decay = ("embedding",)

    def __init__(
        self,
        edges: ColumnGraph | int,
        channels: int,
        heads: int,
        hidden: int,
        *,
        layers: int = 1,
        norm_first: bool = True,
        dropout: float = 0.0,
        edge_bias: bool = False,
    ) -> None:
        super().__init__(edges)
        check_counts(layers=layers)
        check_dropout(dropout=dropout)
        if edge_bias and self.graph is None:
            raise ValueError(
                "edge_bias=True needs a list of edges. Got all tokens without one; pass a "
                "ColumnGraph as edges."
            )
        self.embedding = nn.Parameter(torch.empty(self.num_queries, channels))
        self.layers = nn.ModuleList(
            DecoderLayer(channels, heads, hidden, norm_first, dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(channels)
        self.edge_bias = (
            EdgeBias(self.graph, heads, common=False, per_head=True)
            if edge_bias and self.graph is not None
            else None
        )
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws new weights: Xavier's uniform matrices, normal embeddings."""
        nn.init.normal_(self.embedding)
        for linear in (part for part in self.modules() if isinstance(part, nn.Linear)):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def prepare(self, keys: Tensor, values: Tensor) -> list[Projected]:
        """Keys and values of every layer."""
        return [layer.attention.project(keys, values) for layer in self._steps()]

    def states(self, prepared: list[Projected], rows: slice | None = None) -> Tensor:
        """The states of all queries, or of those in ``rows``, ``[N, B, C]``."""
        embedding, graph, bias = self._row(rows)
        state = torch.zeros_like(embedding)
        for layer, tokens in zip(self._steps(), prepared, strict=True):
            received = layer.attention(layer.queries(state, embedding), tokens, graph, bias)
            state = layer(state, received)
        normed: Tensor = self.norm(state)
        return normed

    @torch.no_grad()
    def attention(self, keys: Tensor, values: Tensor, rows: slice | None = None) -> Tensor:
        """The attention of queries in the last layer, ``[N, B, H, M]``."""
        embedding, graph, bias = self._row(rows)
        *before, last = self._steps()
        state = torch.zeros_like(embedding)
        for layer in before:
            tokens, queries = layer.attention.project(keys, values), layer.queries(state, embedding)
            state = layer(state, layer.attention(queries, tokens, graph, bias))
        tokens = last.attention.project(keys, values)
        return last.attention.weights(last.queries(state, embedding), tokens, graph, bias)

    def _steps(self) -> list[DecoderLayer]:
        return cast("list[DecoderLayer]", list(self.layers))

    def _row(self, rows: slice | None) -> tuple[Tensor, ColumnGraph | None, Tensor | None]:
        """Embeddings ``[N, 1, C]``, edges and scores of some queries."""
        graph, edges = self.edges_of(rows)
        bias = None if self.edge_bias is None else self.edge_bias()[edges]
        return self.embedding[rows or slice(None)][:, None], graph, bias

    def extra_repr(self) -> str:
        """The sizes."""
        return f"queries={self.num_queries}, channels={self.embedding.shape[1]}"
