"""Single cross-attention: queries receive tokens as they are, without an MLP."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.models.brain_encoder.on_edges import Decoder
from graphcolumns.models.brain_encoder.query_attention import Projected, QueryAttention


class CrossAttentionDecoder(Decoder):
    r"""Queries that receive tokens as they are, weighted by attention.

    .. math::
        T_r^h = \sum_{p} \mathrm{softmax}_p\Bigl(\frac{(W_q^h e_r)^\top W_k^h (x_p + c_p)}{\sqrt{D}}
        \Bigr) x_p^h

    Every head passes on its own channels; there are no norms, no output matrix and no MLP.

    Args:
        edges: Edges from ``M`` tokens to ``N`` queries, or the number of queries: then all attend
            to all tokens, without a list of edges.
        channels: Channels ``C``.
        heads: Number of heads, dividing the channels.
        dropout: Dropout of edges.

    Attributes:
        graph: The edges, or None.

    Shapes:
        - input: keys and values, ``[M, B, C]``
        - output: ``[N, B, C]``

    Raises:
        ValueError: A size below one, or heads that do not divide the channels.

    Source: Adeli et al., Transformer brain encoders explain human high-level visual responses,
    NeurIPS 2025, https://arxiv.org/abs/2505.17329.
    """

    no_weight_decay = ("embedding",)

    def __init__(
        self, edges: ColumnGraph | int, channels: int, heads: int, dropout: float = 0.0
    ) -> None:
        super().__init__(edges)
        self.embedding = nn.Parameter(torch.empty(self.num_queries, channels))
        self.cross = QueryAttention(channels, heads, project_values=False, dropout=dropout)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws new weights: Xavier's uniform matrices, normal embeddings."""
        nn.init.normal_(self.embedding)
        for linear in (self.cross.query, self.cross.key):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def prepare(self, keys: Tensor, values: Tensor) -> Projected:
        """Keys and values of all heads."""
        return self.cross.project(keys, values)

    def states(self, prepared: Projected, rows: slice | None = None) -> Tensor:
        """The states of all queries, or of those in ``rows``, ``[N, B, C]``."""
        queries, graph = self._row(rows)
        received: Tensor = self.cross(queries, prepared, graph)
        return received

    @torch.no_grad()
    def attention(self, keys: Tensor, values: Tensor, rows: slice | None = None) -> Tensor:
        """The attention of queries, ``[N, B, H, M]``."""
        queries, graph = self._row(rows)
        return self.cross.weights(queries, self.cross.project(keys, values), graph)

    def _row(self, rows: slice | None) -> tuple[Tensor, ColumnGraph | None]:
        graph, _ = self.edges_of(rows)
        return self.embedding[rows or slice(None)][:, None], graph

    def extra_repr(self) -> str:
        """The sizes."""
        return f"queries={self.num_queries}, channels={self.embedding.shape[1]}"
