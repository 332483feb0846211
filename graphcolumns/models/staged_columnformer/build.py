"""A staged columnformer from geometries and numbers."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from graphcolumns import connect
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.options import (
    AttentionOptions,
    CostOptions,
    InterfaceOptions,
    WeightOptions,
)
from graphcolumns.models.options.former import names_new_keywords
from graphcolumns.models.options.groups import Groups, read_groups
from graphcolumns.models.staged_columnformer.make_stage import make_stage
from graphcolumns.models.staged_columnformer.model import StagedColumnformer
from graphcolumns.nn.checks import check_choice
from graphcolumns.nn.embed import PatchEmbed
from graphcolumns.nn.readout import MeanReadout

# Where a staged columnformer differs from a sheet, and which fields it has.
DEFAULTS = Groups(weights=WeightOptions(attention="shared", recurrent=False, std=0.02))
TAKES = {
    "attention": ("edge_dropout",),
    "weights": ("attention", "rank", "hidden", "dropout", "std", "recurrent"),
    "interface": ("patch", "stride", "padding"),
}


@names_new_keywords
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
    static_pool: bool = False,
    attention: AttentionOptions | Mapping[str, Any] = DEFAULTS.attention,
    weights: WeightOptions | Mapping[str, Any] = DEFAULTS.weights,
    interface: InterfaceOptions | Mapping[str, Any] = DEFAULTS.interface,
    cost: CostOptions | Mapping[str, Any] = DEFAULTS.cost,
) -> StagedColumnformer:
    """Builds a columnformer of several sheets, from sizes and four groups of options.

    A group is a mapping of fields that differ from the default, ``weights={"rank": 2}``, or a
    value, which takes the place of the default: ``weights=WeightOptions(attention="lowrank")``.

    Args:
        geometries: One per stage, bottom first, in one coordinate frame: ``grid.sheet(8, 8)``,
            then ``grid.sheet(4, 4, spacing=2.0)``.
        graphs: Lateral edges of every stage (default: complete).
        pools: Edges from the stage below, one graph per stage but the first (default: complete);
            ``connect.bipartite(below, stage, degree)`` makes pooling local.
        image_size: Height and width in pixels, or one number for both.
        in_channels: Channels of the images.
        num_classes: ``K``.
        depths: Blocks per stage; in a pooled stage the first of them receives from the stage below.
        experts: Sets of MLP weights per stage (default: 1, 4, 16, 64, ...).
        channels: ``C``.
        heads: ``H``.
        static_pool: Whether pooling depends on the columns below instead of their tokens.
        attention: What a column receives, see :class:`.AttentionOptions`: ``edge_dropout``.
        weights: Whose weights it has, see :class:`.WeightOptions`. ``attention`` (here
            ``"shared"``, ``"untied"`` or ``"lowrank"``) is the mode of attention and norms, and of
            the MLP in stages with one expert; ``rank``, ``hidden``, ``dropout``, ``std``, and
            ``recurrent``: whether the lateral steps of a stage share one block.
        interface: What it sees, see :class:`.InterfaceOptions`: ``patch``, ``stride``, ``padding``.
        cost: What it costs, see :class:`.CostOptions`.

    Returns:
        A :class:`StagedColumnformer`.

    Raises:
        ValueError: An unknown choice, lists of different length, sizes that do not fit, or a
            learnable geometry.
        TypeError: An option that its group, or a staged columnformer, does not have.
    """
    options = read_groups(attention, weights, interface, cost, DEFAULTS, TAKES)
    check_choice("weights.attention", options.weights.attention, ("shared", "untied", "lowrank"))
    _check_geometries(geometries)
    experts = [4**number for number in range(len(geometries))] if experts is None else experts
    graphs = [connect.complete(g) for g in geometries] if graphs is None else graphs
    pools = _complete_pools(geometries) if pools is None else pools
    _check_lengths(len(geometries), depths=depths, experts=experts, graphs=graphs)
    _check_lengths(len(geometries) - 1, pools=pools)
    shown = options.interface
    # Under names of their own, stages with the same edges are rewired each by itself.
    named = [graph.named(f"stage{number}") for number, graph in enumerate(graphs)]
    below = [None, *(pool.named(f"pool{number}") for number, pool in enumerate(pools, 1))]
    stages = [
        make_stage(graph, pool, depth, count, channels, heads, options)
        for graph, pool, depth, count in zip(named, below, depths, experts, strict=True)
    ]
    return StagedColumnformer(
        PatchEmbed(image_size, in_channels, channels, shown.patch, shown.stride, shown.padding),
        stages,
        MeanReadout(channels, num_classes, norm="before"),
        static_pool=static_pool,
        wiring=options.cost.wiring,
        wiring_power=options.cost.power,
        wiring_sigma=options.cost.sigma,
        memory=options.cost.memory,
    )


def topomoe_tiny(
    geometries: Sequence[Geometry],
    num_classes: int = 100,
    image_size: int = 128,
    channels: int = 384,
    heads: int = 6,
    interface: InterfaceOptions | Mapping[str, Any] = InterfaceOptions(patch=16),
    **options: Any,
) -> StagedColumnformer:
    """TopoMoE tiny of one, two or three stages: 6, 3 + 3 or 2 + 2 + 2 blocks, patches of 16.

    With one stage of ``grid.stack([8])`` it is the vision transformer of 11.01 M parameters.

    Args:
        geometries: One to three; the first with a column per patch.
        num_classes: ``K``.
        image_size: Height and width in pixels.
        channels: ``C``.
        heads: ``H``.
        interface: What it sees, see :func:`staged`.
        **options: Other arguments of :func:`staged`.

    Raises:
        ValueError: As :func:`staged`, or another number of stages.
    """
    depths = {1: (6,), 2: (3, 3), 3: (2, 2, 2)}.get(len(geometries))
    if depths is None:
        raise ValueError(f"TopoMoE tiny has 1, 2 or 3 stages, got {len(geometries)}")
    if isinstance(interface, Mapping):
        interface = {"patch": 16, **interface}
    sizes: dict[str, Any] = {"image_size": image_size, "in_channels": 3, "interface": interface}
    sizes |= {"num_classes": num_classes, "channels": channels, "heads": heads, "depths": depths}
    return staged(geometries, **(sizes | options))


def _check_geometries(geometries: Sequence[Geometry]) -> None:
    if isinstance(geometries, Geometry) or not len(geometries):
        raise ValueError(f"geometries must list one Geometry per stage, got {geometries!r}")
    if any(geometry.learnable for geometry in geometries):
        raise ValueError("a staged columnformer does not learn positions; sheet() does")


def _complete_pools(geometries: Sequence[Geometry]) -> list[ColumnGraph]:
    return [connect.bipartite(a, b, a.num_columns) for a, b in pairwise(geometries)]


def _check_lengths(stages: int, **lists: Sequence[Any]) -> None:
    for name, values in lists.items():
        if len(values) != stages:
            raise ValueError(f"{name} must have {stages} entries here, got {len(values)}")
