"""The first step of a pooled sheet: pooled columns attend to the columns below."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.activations import ACTIVATIONS
from graphcolumns.nn.checks import check_choice, check_counts, check_dropout
from graphcolumns.nn.mixture import Mixture
from graphcolumns.nn.recording import AttentionRecord
from graphcolumns.nn.untied import UntiedLinear
from graphcolumns.nn.untied_layer_norm import UntiedLayerNorm
from graphcolumns.ops import column_attention


class CrossColumn(nn.Module):
    r"""A transformer block whose queries are pooled columns and whose keys are those below.

    .. math::
        x &\leftarrow x + \mathrm{Attention}(\mathrm{LN}_1(x), \mathrm{LN}_1(z)) \\
        x &\leftarrow x + \mathrm{MLP}(\mathrm{LN}_2(x))

    so that a column also attends to the tokens :math:`z` below, besides those that were pooled for
    it. The residual is on the pooled path.

    Args:
        num_columns: Number of columns ``N``.
        num_sources: Number ``M`` of columns of the sheet below.
        channels: Channels per column ``C``.
        heads: Number of heads ``H``, dividing ``C``.
        hidden: Width of the MLP.
        weights: Weight mode of attention and norms, ``"shared"``, ``"untied"`` or ``"lowrank"``.
            Untied keys, values and their norm belong to the columns below.
        mlp_weights: Weight mode of the MLP, also ``"mixture"``.
        rank: Rank of the modes ``mixture`` and ``lowrank``.
        mixture: Coefficients of the MLP.
        dropout: Dropout of activations.
        edge_dropout: Dropout of edges.
        std: Standard deviation of the initial weights, see :class:`UntiedLinear`.
        activation: Activation of the MLP, ``"gelu"`` or ``"relu"``.

    Attributes:
        recorder: Called with an :class:`~graphcolumns.nn.recording.AttentionRecord` of every pass.
            Normally None; set only while edges are scored or observed.

    Shapes:
        - input: ``[N, B, C]`` and, from below, ``[M, B, C]``
        - output: ``[N, B, C]`` and the expected edge cost ``[N, B, H]`` or None

    Raises:
        ValueError: Heads that do not divide the channels, or an unknown mode.

    Source: TopoMoE (Lane, 2024, https://github.com/clane9/columnformers).
    """

    recorder: Callable[[AttentionRecord], None] | None = None

    def __init__(
        self,
        num_columns: int,
        num_sources: int,
        channels: int,
        heads: int,
        hidden: int,
        weights: str = "shared",
        mlp_weights: str = "shared",
        rank: int = 4,
        mixture: Mixture | None = None,
        dropout: float = 0.0,
        edge_dropout: float = 0.0,
        std: float | None = None,
        activation: str = "gelu",
    ) -> None:
        super().__init__()
        check_counts(heads=heads, hidden=hidden)
        check_choice("activation", activation, tuple(ACTIVATIONS))
        check_dropout(dropout=dropout, edge_dropout=edge_dropout)
        if channels % heads:
            raise ValueError(f"heads must divide channels, got {heads} heads and {channels}")
        self.heads, self.dropout, self.edge_dropout = heads, dropout, edge_dropout
        self.activation = activation

        def linear(count: int) -> UntiedLinear:
            return UntiedLinear(count, channels, channels, True, weights, rank, std=std)

        shared = weights == "shared"  # one norm for both sheets, as in the source
        self.norm1 = UntiedLayerNorm(num_columns, channels, weights, rank)
        below = None if shared else UntiedLayerNorm(num_sources, channels, weights, rank)
        self.norm_below = below
        self.query, self.out = linear(num_columns), linear(num_columns)
        self.key, self.value = linear(num_sources), linear(num_sources)
        self.norm2 = UntiedLayerNorm(num_columns, channels, weights, rank)
        mlp = (mlp_weights, rank, mixture, std)
        self.hidden = UntiedLinear(num_columns, channels, hidden, True, *mlp)
        self.mlp = UntiedLinear(num_columns, hidden, channels, True, *mlp)
        self.mixture = mixture

    def forward(
        self, x: Tensor, below: Tensor, graph: ColumnGraph, cost: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """One step; with ``cost [E]`` also the expected cost per column."""
        received, expected = self._attend(self.norm1(x), self._norm_below(below), graph, cost)
        x = x + F.dropout(received, self.dropout, self.training)
        hidden = ACTIVATIONS[self.activation](self.hidden(self.norm2(x)))
        return x + F.dropout(self.mlp(hidden), self.dropout, self.training), expected

    def _norm_below(self, below: Tensor) -> Tensor:
        if self.norm_below is not None:
            normed: Tensor = self.norm_below(below)
            return normed
        norm = self.norm1
        return F.layer_norm(below, (norm.channels,), norm.weight, norm.bias, norm.eps)

    def _attend(
        self, x: Tensor, below: Tensor, graph: ColumnGraph, cost: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        q, k, v = self.query(x), self.key(below), self.value(below)
        dropout = self.edge_dropout if self.training else 0.0
        q, k, v = (t.unflatten(2, (self.heads, -1)) for t in (q, k, v))
        out, expected, lse = column_attention(q, k, v, graph, cost=cost, dropout=dropout)
        if self.recorder is not None:
            self.recorder(AttentionRecord(graph, q, k, v, None, None, out, lse))
        return self.out(out.flatten(2)), expected

    def extra_repr(self) -> str:
        """The sizes."""
        return f"heads={self.heads}"
