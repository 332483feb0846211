"""One stage of a staged columnformer, from numbers."""

from typing import Any

from torch import nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.models.options import WeightOptions
from graphcolumns.models.options.groups import Groups
from graphcolumns.models.staged_columnformer.cross import CrossColumn
from graphcolumns.models.staged_columnformer.stage import Stage
from graphcolumns.nn.attention import ColumnAttention
from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.column import Column
from graphcolumns.nn.expert_map import ExpertMap
from graphcolumns.nn.pool import LearnedPool
from graphcolumns.nn.recurrence import embedding


def make_stage(
    graph: ColumnGraph,
    pool_graph: ColumnGraph | None,
    depth: int,
    experts: int,
    channels: int,
    heads: int,
    options: Groups,
) -> Stage:
    """A stage. The order of its parts decides what a seed draws for each of them.

    Args:
        graph: Lateral edges.
        pool_graph: Edges from the stage below, None in the first stage.
        depth: Number of blocks.
        experts: Number of sets of MLP weights.
        channels: ``C``.
        heads: ``H``.
        options: Options of the model.
    """
    check_counts(depth=depth, experts=experts)
    pool = None if pool_graph is None else LearnedPool(graph.num_columns, channels)
    grid: nn.Parameter = embedding(graph.num_columns, channels) if pool is None else pool.grid
    mixture: Any = ExpertMap(grid, experts) if experts > 1 else None
    lateral = depth if pool_graph is None else depth - 1
    layers = min(lateral, 1) if options.weights.recurrent else lateral
    sizes = channels, heads, options, mixture
    columns = [_make_column(graph.num_columns, *sizes) for _ in range(layers)]
    cross = None if pool_graph is None else _make_cross(graph.num_columns, pool_graph, *sizes)
    return Stage(
        graph, columns, depth=lateral, pool=pool, cross=cross, pool_graph=pool_graph, grid=grid
    )


def _make_column(count: int, channels: int, heads: int, options: Groups, mixture: Any) -> Column:
    weights = options.weights
    mlp, sets = _mlp(weights, mixture)
    attention = ColumnAttention(
        count,
        channels,
        heads,
        weights=weights.attention,
        rank=weights.rank,
        dropout=options.attention.edge_dropout,
        std=weights.std,
    )
    return Column(
        count,
        attention,
        _hidden(weights, channels),
        mlp,
        weights.attention,
        sets,
        mixture,
        dropout=weights.dropout,
        std=weights.std,
        activation=weights.activation,
    )


def _make_cross(
    count: int, below: ColumnGraph, channels: int, heads: int, options: Groups, mixture: Any
) -> CrossColumn:
    """The step that receives from the stage below."""
    weights = options.weights
    mlp, sets = _mlp(weights, mixture)
    return CrossColumn(
        count,
        below.num_sources,
        channels,
        heads,
        _hidden(weights, channels),
        weights.attention,
        mlp,
        sets,
        mixture,
        weights.dropout,
        options.attention.edge_dropout,
        weights.std,
        weights.activation,
    )


def _hidden(weights: WeightOptions, channels: int) -> int:
    return 4 * channels if weights.hidden is None else weights.hidden


def _mlp(weights: WeightOptions, mixture: Any) -> tuple[str, int]:
    """Mode of the MLP, and its number of sets or its rank."""
    if mixture is None:
        return weights.attention, weights.rank
    return "mixture", mixture.num_sets
