"""How columns communicate: attention, selection, mixing, linear mixing, identity."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.checks import check_choice, check_counts, check_dropout
from graphcolumns.nn.edge_bias import EdgeBias
from graphcolumns.nn.long_range import SplitSources
from graphcolumns.nn.mixture import Mixture
from graphcolumns.nn.recording import AttentionRecord, LinearRecord, Record
from graphcolumns.nn.untied import UntiedLinear, Use
from graphcolumns.ops import column_attention, edge_linear, segment_softmax, segment_sum
from graphcolumns.ops.column_attention.reference import edge_logits

ATTENTION_MODES = ("attention", "selection", "mixing", "linear_mixing", "identity")


class ColumnAttention(nn.Module):
    r"""Communication between columns, inside a model (columns first).

    Every mode sends :math:`\mathrm{out}_i = \sum_{j \in \mathcal{N}(i)} a_{ij} v_j`:

    - ``attention``: :math:`a_{ij} = \mathrm{softmax}_j(s\, q_i^\top k_j + b_{ij})` with untied
      (or shared, ...) maps to q and k;
    - ``selection``: the query is a parameter per column, the keys are the inputs;
    - ``mixing``: :math:`a = \mathrm{softmax}_j(b_{ij})`, independent of the input;
    - ``linear_mixing``: :math:`a = b_{ij}`, signed;
    - ``identity``: q = k = v = x with scale :math:`C^{-1/2}`, no parameters.

    An edge bias holds one score per edge of one graph: pass that graph.

    Args:
        num_columns: Number of columns ``N``.
        channels: Channels per column ``C``.
        heads: Number of heads ``H``, dividing ``C``.
        mode: One of the above.
        qk_channels: Width ``D`` of queries and keys per head (default: ``C / H``).
        value: ``"linear"`` (a value map before and an output map after) or ``"input"`` (v = x).
        weights: Weight mode of the maps, see :class:`UntiedLinear`.
        rank: Rank of the modes ``mixture`` and ``lowrank``.
        mixture: Shared mixture coefficients.
        edge_bias: Scores on edges; required by the mixing modes.
        qkv_bias: Whether the maps have a bias, or one flag each for q, k and v.
        scale: Scaling factor of the scores (default: ``D ** -0.5``).
        dropout: Probability of dropping an edge.
        std: Standard deviation of the initial weights, see :class:`UntiedLinear`.
        num_sources: Number ``M`` of sources where they are other columns (default: ``N``).

    Attributes:
        recorder: Called with a record of every pass: a
            :class:`~graphcolumns.nn.recording.LinearRecord` of ``linear_mixing``, else an
            :class:`~graphcolumns.nn.recording.AttentionRecord`. Normally None; set only while
            edges are scored or observed.
        excitatory_beyond: Length beyond which edges only excite: along them columns send
            ``max(v, 0)``, see :class:`.SplitSources`; None, the default: edges of any length carry
            both signs. Only in the modes ``attention``, ``selection`` and ``identity``; edges are
            then not recorded.

    Shapes:
        - input: ``[N, B, C]`` and, if the sources are other columns, ``[M, B, C]``
        - output: ``[N, B, C]`` and the expected edge cost ``[N, B, H]`` or None

    Raises:
        ValueError: An unknown mode, heads that do not divide the channels, a mixing mode without
            edge bias, or an edge bias for another number of heads.
    """

    no_weight_decay = ("selector",)
    column_tensors = ("selector",)

    recorder: Callable[[Record], None] | None = None
    _split_sources: SplitSources | None = None

    def __init__(
        self,
        num_columns: int,
        channels: int,
        heads: int = 1,
        mode: str = "attention",
        qk_channels: int | None = None,
        value: str = "linear",
        weights: str = "untied",
        rank: int = 4,
        mixture: Mixture | None = None,
        edge_bias: EdgeBias | None = None,
        qkv_bias: bool | tuple[bool, bool, bool] = True,
        scale: float | None = None,
        dropout: float = 0.0,
        std: float | None = None,
        num_sources: int | None = None,
    ) -> None:
        super().__init__()
        check_choice("mode", mode, ATTENTION_MODES)
        check_choice("value", value, ("linear", "input"))
        check_counts(channels=channels, heads=heads)
        check_dropout(dropout=dropout)
        if channels % heads:
            raise ValueError(f"heads must divide channels, got {heads} heads and {channels}")
        if mode in ("mixing", "linear_mixing") and edge_bias is None:
            raise ValueError(
                f"mode={mode!r} is made of edge scores: pass edge_bias=EdgeBias(graph)"
            )
        if edge_bias is not None and edge_bias.per_head is not None and edge_bias.heads != heads:
            raise ValueError(
                f"the edge bias must have heads={heads} like the attention, got {edge_bias.heads}"
            )
        self.num_columns = num_columns
        self.channels, self.heads, self.mode = channels, heads, mode
        self.scale, self.dropout, self.edge_bias = scale, dropout, edge_bias
        if mode == "identity":
            value, self.scale = "input", channels**-0.5 if scale is None else scale
        if edge_bias is not None and mode == "linear_mixing":
            edge_bias.signed = True
        width = channels // heads if qk_channels is None else qk_channels
        check_counts(qk_channels=width)
        flags = (qkv_bias,) * 3 if isinstance(qkv_bias, bool) else qkv_bias

        sources = num_columns if num_sources is None else num_sources

        def linear(out: int, bias: bool, count: int = num_columns) -> UntiedLinear:
            return UntiedLinear(count, channels, out, bias, weights, rank, mixture, std)

        has_queries = mode == "attention"
        self.query = linear(heads * width, flags[0]) if has_queries else None
        self.key = linear(heads * width, flags[1], sources) if has_queries else None
        self.value = linear(channels, flags[2], sources) if value == "linear" else None
        self.out = linear(channels, True) if value == "linear" else None
        self.selector: nn.Parameter | None = None
        if mode == "selection":
            self.selector = nn.Parameter(torch.empty(num_columns, 1, heads, channels // heads))
            nn.init.trunc_normal_(self.selector, std=0.02)

    @property
    def excitatory_beyond(self) -> float | None:
        """Length beyond which edges only excite, in the unit of the graph, or None."""
        return None if self._split_sources is None else self._split_sources.length

    @excitatory_beyond.setter
    def excitatory_beyond(self, length: float | None) -> None:
        if length is not None and self.mode in ("mixing", "linear_mixing"):
            raise ValueError(
                "excitatory_beyond rectifies what columns send by attention. Expected one of the "
                f"modes attention, selection, identity. Got {self.mode!r}; for weights on edges "
                "take EdgeLinear(graph, excitatory_beyond=...)."
            )
        self._split_sources = None if length is None else SplitSources(length)

    def reset_parameters(self) -> None:
        """Draws new maps, queries and edge scores."""
        for linear in self.linears().values():
            linear.reset_parameters()
        if self.selector is not None:
            nn.init.trunc_normal_(self.selector, std=0.02)
        if self.edge_bias is not None:
            self.edge_bias.reset_parameters()

    def linears(self) -> dict[str, UntiedLinear]:
        """The linear maps by name, for unrolling."""
        names = ("query", "key", "value", "out")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def forward(
        self,
        x: Tensor,
        graph: ColumnGraph,
        sources: Tensor | None = None,
        cost: Tensor | None = None,
        uses: dict[str, Use] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Sends values along the edges.

        Args:
            x: State of the columns, ``[N, B, C]``.
            graph: Edges from the sources to the columns.
            sources: State of the sources, ``[M, B, C]`` (default: the columns themselves).
            cost: Cost of every edge, ``[E]``, to get the expected cost of every column.
            uses: Weights of this step, from :meth:`Column.unroll`.
        """
        uses = uses or {}
        sources = x if sources is None else sources
        v = self._heads(sources if self.value is None else self.value(sources, uses.get("value")))
        if self.mode in ("mixing", "linear_mixing"):
            y, expected = self._mix(v, graph, cost)
        else:
            q, k, scale = self._query_key(x, sources, uses)
            bias = self._edge_bias(graph)
            dropout = self.dropout if self.training else 0.0
            attend = self._split_sources or column_attention
            y, expected, lse = attend(
                q, k, v, graph, bias=bias, cost=cost, scale=scale, dropout=dropout
            )
            # What a source sends depends on the edge here, and a record has one value per source.
            if self.recorder is not None and self._split_sources is None:
                self.recorder(AttentionRecord(graph, q, k, v, bias, scale, y, lse))
        y = y.flatten(2)
        return (y if self.out is None else self.out(y, uses.get("out"))), expected

    @torch.no_grad()
    def edge_weights(self, x: Tensor, graph: ColumnGraph, sources: Tensor | None = None) -> Tensor:
        """The weight ``a_ij`` of every edge at the input ``x [N, B, C]``, without dropout.

        For looking at a model: a step never needs it, and it takes O(E B H) memory.

        Returns:
            ``[E, B, H]``, or ``[E, 1, H]`` for the mixing modes, which do not see the input.
        """
        if self.mode in ("mixing", "linear_mixing"):
            return self._mixing_weights(graph)[:, None]
        q, k, scale = self._query_key(x, x if sources is None else sources, {})
        bias = self._edge_bias(graph)
        scale = q.shape[-1] ** -0.5 if scale is None else scale
        score = edge_logits(q.float(), k.float(), bias, graph.source, graph.target, scale)
        return segment_softmax(score, graph.target, graph.num_columns)

    def _edge_bias(self, graph: ColumnGraph) -> Tensor | None:
        """The scores of the edges, which must be those of ``graph``."""
        if self.edge_bias is None:
            return None
        graph.require_fingerprint(getattr(self.edge_bias, "edges_of", ""), self.edge_bias)
        scores: Tensor = self.edge_bias()
        return scores

    def _query_key(
        self, x: Tensor, sources: Tensor, uses: dict[str, Use]
    ) -> tuple[Tensor, Tensor, float | None]:
        if self.query is not None and self.key is not None:
            q, k = self.query(x, uses.get("query")), self.key(sources, uses.get("key"))
            return self._heads(q), self._heads(k), self.scale
        k = self._heads(sources)
        if self.selector is not None:
            return self.selector.to(k.dtype), k, self.scale
        return (k if sources is x else self._heads(x)), k, self.scale

    def _mixing_weights(self, graph: ColumnGraph) -> Tensor:
        """``a_ij`` of the modes that do not see the input, ``[E, H]``."""
        bias = self._edge_bias(graph)
        assert bias is not None
        if len(bias) != graph.num_edges:
            raise ValueError(
                f"the edge bias must hold one score per edge, E = {graph.num_edges}, got "
                f"{len(bias)}. After a change of topology carry it along with the edges"
            )
        weight = bias[:, None].expand(-1, self.heads) if bias.dim() == 1 else bias
        if self.mode == "mixing":
            weight = segment_softmax(weight, graph.target, graph.num_columns)
        return weight

    def _mix(
        self, v: Tensor, graph: ColumnGraph, cost: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        weight = self._mixing_weights(graph)
        if self.dropout and self.training:
            weight = nn.functional.dropout(weight, self.dropout)
        x = v.flatten(2)
        y = edge_linear(x, weight, graph)
        if self.recorder is not None and self.mode == "linear_mixing":
            self.recorder(LinearRecord(graph, x, weight, y))
        y = self._heads(y)
        if self.recorder is not None and self.mode == "mixing":
            self.recorder(self._as_attention(v, y, graph))
        if cost is None:
            return y, None
        expected = segment_sum(weight.abs() * cost[:, None], graph.target, graph.num_columns)
        return y, expected[:, None].expand(-1, v.shape[1], -1)

    def _as_attention(self, v: Tensor, y: Tensor, graph: ColumnGraph) -> AttentionRecord:
        """Mixing is attention in which only the edge bias counts."""
        q = v.new_zeros(graph.num_columns, 1, self.heads, 1)
        k = v.new_zeros(*v.shape[:3], 1)
        bias = self._edge_bias(graph)
        with torch.no_grad():
            lse = column_attention(q, k, k, graph, bias=bias, scale=1.0).lse
        return AttentionRecord(graph, q, k, v, bias, 1.0, y, lse)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, x.shape[-1] // self.heads))

    def extra_repr(self) -> str:
        """The sizes and the mode."""
        return f"channels={self.channels}, heads={self.heads}, mode={self.mode!r}"
