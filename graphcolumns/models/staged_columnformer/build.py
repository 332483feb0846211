"""A staged columnformer from geometries and numbers."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import nn

from graphcolumns import connect
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.staged_columnformer.cross import CrossColumn
from graphcolumns.models.staged_columnformer.model import StagedColumnformer
from graphcolumns.models.staged_columnformer.stage import Stage
from graphcolumns.nn.attention import ColumnAttention
from graphcolumns.nn.checks import check_choice, check_counts, check_dropout
from graphcolumns.nn.column import Column
from graphcolumns.nn.embed import PatchEmbed
from graphcolumns.nn.expert_map import ExpertMap
from graphcolumns.nn.pool import LearnedPool
from graphcolumns.nn.readout import MeanReadout
from graphcolumns.nn.recurrence import embedding


def staged(
    geometries: Sequence[Geometry],
    graphs: Sequence[ColumnGraph] | None = None,
    pools: Sequence[ColumnGraph] | None = None,
    *,
    image_size: int | tuple[int, int],
    in_channels: int,
    num_classes: int,
    depths: Sequence[int],
    experts: Sequence[int] | None = None,
    channels: int = 32,
    heads: int = 4,
    hidden: int | None = None,
    weights: str = "shared",
    rank: int = 4,
    recurrent: bool = False,
    static_pool: bool = False,
    patch: int = 1,
    stride: int | None = None,
    padding: int = 0,
    dropout: float = 0.0,
    edge_dropout: float = 0.0,
    wiring: str | None = None,
    wiring_power: float = 1.0,
    wiring_sigma: float = 2.0,
    memory: str = "store",
    std: float | None = 0.02,
) -> StagedColumnformer:
    """Builds a columnformer of several sheets, every ingredient a keyword.

    Args:
        geometries: One per stage, bottom first, in one coordinate frame: ``grid.sheet(8, 8)``,
            then ``grid.sheet(4, 4, spacing=2.0)``.
        graphs: Lateral edges of every stage (default: complete).
        pools: Edges from the stage below, one graph per stage but the first (default: complete);
            ``connect.bipartite(below, stage, degree)`` makes pooling local.
        image_size: Height and width in pixels, or one number for both.
        in_channels: Channels of the images.
        num_classes: ``K``.
        depths: Blocks per stage; in a pooled stage the first of them hears the stage below.
        experts: Sets of MLP weights per stage (default: 1, 4, 16, 64, ...).
        channels: ``C``.
        heads: ``H``.
        hidden: Width of the MLP (default: ``4 C``).
        weights: ``"shared"``, ``"untied"`` or ``"lowrank"``: of attention and norms, and of the
            MLP in stages with one expert.
        rank: Of the mode ``lowrank``.
        recurrent: Whether the lateral steps of a stage share one block.
        static_pool: Whether pooling depends on the columns below instead of their tokens.
        patch: Side of a receptive field, in pixels.
        stride: Between receptive fields, in pixels (default: ``patch``).
        padding: Zeros around the image, in pixels.
        dropout: Of activations.
        edge_dropout: Of edges.
        wiring: Cost reported by the forward pass: None, ``"distance"`` or ``"gaussian"``.
        wiring_power: Exponent of the distance.
        wiring_sigma: Radius of the Gaussian cost, in the unit of the geometries.
        memory: ``"store"`` or ``"recompute"`` the activations of a step.
        std: Of the initial weights (None: uniform with fan-in).

    Returns:
        A :class:`StagedColumnformer`.

    Raises:
        ValueError: An unknown choice, lists of different length, sizes that do not fit, or a
            learnable geometry.
    """
    check_choice("weights", weights, ("shared", "untied", "lowrank"))
    check_dropout(dropout=dropout, edge_dropout=edge_dropout)
    if isinstance(geometries, Geometry) or not len(geometries):
        raise ValueError(f"geometries must list one Geometry per stage, got {geometries!r}")
    experts = [4**number for number in range(len(geometries))] if experts is None else experts
    graphs = [connect.complete(g) for g in geometries] if graphs is None else graphs
    pools = _complete_pools(geometries) if pools is None else pools
    if any(geometry.learnable for geometry in geometries):
        raise ValueError("a staged columnformer does not learn positions; sheet() does")
    _check_lengths(len(geometries), depths=depths, experts=experts, graphs=graphs)
    _check_lengths(len(geometries) - 1, pools=pools)
    hidden = 4 * channels if hidden is None else hidden
    sizes = channels, heads, hidden, weights, rank, dropout, edge_dropout, std
    stages = [
        _stage(graph, pool, depth, count, recurrent, *sizes)
        for graph, pool, depth, count in zip(graphs, [None, *pools], depths, experts, strict=True)
    ]
    return StagedColumnformer(
        PatchEmbed(image_size, in_channels, channels, patch, stride, padding),
        stages,
        MeanReadout(channels, num_classes, norm="before"),
        static_pool=static_pool,
        wiring=wiring,
        wiring_power=wiring_power,
        wiring_sigma=wiring_sigma,
        memory=memory,
    )


def topomoe_tiny(
    geometries: Sequence[Geometry],
    num_classes: int = 100,
    image_size: int = 128,
    channels: int = 384,
    heads: int = 6,
    **options: Any,
) -> StagedColumnformer:
    """TopoMoE tiny of one, two or three stages: 6, 3 + 3 or 2 + 2 + 2 blocks, patches of 16.

    With one stage of ``grid.stack([8])`` it is the vision transformer of 11.01 M parameters.

    Args:
        geometries: One to three; the first with a column per patch.
        num_classes: ``K``.
        image_size: In pixels.
        channels: ``C``.
        heads: ``H``.
        **options: Of :func:`staged`.

    Raises:
        ValueError: As :func:`staged`, or another number of stages.
    """
    depths = {1: (6,), 2: (3, 3), 3: (2, 2, 2)}.get(len(geometries))
    if depths is None:
        raise ValueError(f"TopoMoE tiny has 1, 2 or 3 stages, got {len(geometries)}")
    sizes: dict[str, Any] = {"image_size": image_size, "in_channels": 3, "patch": 16}
    sizes |= {"num_classes": num_classes, "channels": channels, "heads": heads, "depths": depths}
    return staged(geometries, **(sizes | options))


def _complete_pools(geometries: Sequence[Geometry]) -> list[ColumnGraph]:
    return [connect.bipartite(a, b, a.num_columns) for a, b in pairwise(geometries)]


def _check_lengths(stages: int, **lists: Sequence[Any]) -> None:
    for name, values in lists.items():
        if len(values) != stages:
            raise ValueError(f"{name} must have {stages} entries here, got {len(values)}")


def _stage(
    graph: ColumnGraph,
    pool_graph: ColumnGraph | None,
    depth: int,
    experts: int,
    recurrent: bool,
    channels: int,
    heads: int,
    hidden: int,
    weights: str,
    rank: int,
    dropout: float,
    edge_dropout: float,
    std: float | None,
) -> Stage:
    check_counts(depth=depth, experts=experts)
    count = graph.num_columns
    pool = None if pool_graph is None else LearnedPool(count, channels)
    grid: nn.Parameter = embedding(count, channels) if pool is None else pool.grid
    mixture: Any = ExpertMap(grid, experts) if experts > 1 else None
    mlp, sets = ("mixture", experts) if mixture is not None else (weights, rank)

    def column() -> Column:
        attention = ColumnAttention(
            count, channels, heads, weights=weights, rank=rank, dropout=edge_dropout, std=std
        )
        return Column(
            count, attention, hidden, mlp, weights, sets, mixture, dropout=dropout, std=std
        )

    lateral = depth if pool_graph is None else depth - 1
    columns = [column() for _ in range(min(lateral, 1) if recurrent else lateral)]
    cross = None
    if pool_graph is not None:
        cross = CrossColumn(
            count, pool_graph.num_sources, channels, heads, hidden, weights, mlp, sets, mixture,
            dropout, edge_dropout, std,
        )  # fmt: skip
    return Stage(
        graph, columns, depth=lateral, pool=pool, cross=cross, pool_graph=pool_graph, grid=grid
    )
