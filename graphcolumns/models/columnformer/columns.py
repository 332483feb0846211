"""The columns of a sheet: one layer for all steps, or one per step."""

from graphcolumns.graph import ColumnGraph
from graphcolumns.models.options import AttentionOptions, WeightOptions
from graphcolumns.nn.attention import ColumnAttention
from graphcolumns.nn.column import Column
from graphcolumns.nn.edge_bias import EdgeBias
from graphcolumns.nn.mixture import Mixture


def make_columns(
    graph: ColumnGraph,
    num_columns: int,
    channels: int,
    heads: int,
    depth: int,
    attention: AttentionOptions,
    weights: WeightOptions,
) -> Column | list[Column]:
    """The layer that is applied at every step, or ``depth`` layers.

    Args:
        graph: Edges between the columns.
        num_columns: ``N``.
        channels: ``C``.
        heads: ``H``.
        depth: Number of steps ``T``.
        attention: What a column receives.
        weights: Whose weights it has.
    """
    sizes = num_columns, channels, heads
    if weights.recurrent:
        return _make_column(graph, *sizes, attention, weights)
    return [_make_column(graph, *sizes, attention, weights) for _ in range(depth)]


def _make_column(
    graph: ColumnGraph,
    count: int,
    channels: int,
    heads: int,
    attention: AttentionOptions,
    weights: WeightOptions,
) -> Column:
    """One layer. The order of its parts decides what a seed draws for each of them."""
    mlp, norm = weights.mlp or weights.attention, weights.norm or weights.attention
    mixed = "mixture" in (weights.attention, mlp, norm)
    mixture = Mixture(count, weights.rank) if mixed else None
    return Column(
        count,
        _make_attention(graph, count, channels, heads, attention, weights, mixture),
        2 * channels if weights.hidden is None else weights.hidden,
        mlp,
        norm,
        weights.rank,
        mixture,
        attention.skip,
        dropout=weights.dropout,
        std=weights.std,
        activation=weights.activation,
    )


def _make_attention(
    graph: ColumnGraph,
    count: int,
    channels: int,
    heads: int,
    attention: AttentionOptions,
    weights: WeightOptions,
    mixture: Mixture | None,
) -> ColumnAttention:
    made = ColumnAttention(
        count,
        channels,
        heads,
        attention.mode,
        attention.qk_channels,
        attention.value,
        weights.attention,
        weights.rank,
        mixture,
        _make_bias(graph, heads, attention),
        dropout=attention.edge_dropout,
        std=weights.std,
    )
    made.excitatory_beyond = attention.excitatory_beyond
    return made


def _make_bias(graph: ColumnGraph, heads: int, attention: AttentionOptions) -> EdgeBias | None:
    if attention.edge_bias == "none":
        return None
    common = attention.edge_bias in ("edge", "both")
    per_head = attention.edge_bias in ("head", "both")
    return EdgeBias(graph, heads, common, per_head, attention.local_sigma)
