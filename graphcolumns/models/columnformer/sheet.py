"""A columnformer from a geometry, a graph and numbers."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from graphcolumns import connect
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.columnformer.columns import make_columns
from graphcolumns.models.columnformer.model import LATERAL, Columnformer
from graphcolumns.models.columnformer.readouts import make_readout
from graphcolumns.models.columnformer.receptive import check_ids, seen_tokens
from graphcolumns.models.columnformer.width import of_width
from graphcolumns.models.options import (
    AttentionOptions,
    CostOptions,
    DynamicsOptions,
    InterfaceOptions,
    WeightOptions,
)
from graphcolumns.models.options.former import names_new_keywords
from graphcolumns.models.options.groups import Groups, read_groups
from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.dynamics.column_dynamics import ColumnDynamics
from graphcolumns.nn.embed import PatchEmbed, as_pair
from graphcolumns.nn.positions import LearnedPositions


@names_new_keywords
def sheet(
    geometry: Geometry,
    graph: ColumnGraph,
    *,
    image_size: int | tuple[int, int],
    in_channels: int,
    num_classes: int,
    channels: int | None = 16,
    parameters: int | None = None,
    flops: int | None = None,
    depth: int = 4,
    heads: int = 2,
    attention: AttentionOptions | Mapping[str, Any] = AttentionOptions(),
    weights: WeightOptions | Mapping[str, Any] = WeightOptions(),
    interface: InterfaceOptions | Mapping[str, Any] = InterfaceOptions(),
    cost: CostOptions | Mapping[str, Any] = CostOptions(),
    permutation: Tensor | None = None,
) -> Columnformer:
    r"""Builds a columnformer on a sheet, from sizes and four groups of options.

    A group is a value, ``weights=WeightOptions(mlp="shared")``, or a mapping of its fields,
    ``weights={"mlp": "shared"}``.

    Args:
        geometry: Where the columns are, in the order of the graph. If it is ``learnable``, that is
            where they start, and the wiring cost moves them.
        graph: Edges: which columns each column receives from.
        image_size: Height and width in pixels, or one number for both.
        in_channels: Channels of the images.
        num_classes: ``K``.
        channels: ``C``; None to make the model as wide as a budget allows.
        parameters: Budget in trained numbers.
        flops: Budget in operations of the matrix products of a forward pass, per image.
        depth: Number of steps ``T``.
        heads: ``H``.
        attention: What a column receives, see :class:`.AttentionOptions`. With
            ``inhibition={"threshold": ...}`` columns inhibit each other along the edges of a second
            graph, ``"lateral"``.
        weights: Whose weights it has, see :class:`.WeightOptions`.
        interface: What it sees and how it is read, see :class:`.InterfaceOptions`.
        cost: What it costs, see :class:`.CostOptions`.
        permutation: Order of ``geometry.reorder()``: column n here is column ``permutation[n]`` of
            the user, whose order decides which column sees which token.

    Returns:
        A :class:`Columnformer`.

    Raises:
        ValueError: An unknown choice, sizes that do not fit, or not exactly one of ``channels``,
            ``parameters`` and ``flops``.
        TypeError: An option that its group does not have.
    """
    options = read_groups(attention, weights, interface, cost, Groups())
    check_counts(depth=depth, heads=heads)
    count = geometry.num_columns
    user = _user_order(permutation, count)

    def build(channels: int) -> Columnformer:
        shown = options.interface
        embed = _make_embed(image_size, in_channels, channels, shown)
        _check_tokens(embed.num_tokens, count, shown)
        readout = make_readout(shown, embed.num_tokens, channels, num_classes, user)
        model = Columnformer(
            graph,
            embed,
            make_columns(graph, count, channels, heads, depth, options.attention, options.weights),
            readout,
            depth=depth,
            receptive=seen_tokens(shown, geometry, embed.grid, user),
            drive=shown.drive,
            position_embedding=shown.position_embedding,
            time_embedding=shown.time_embedding,
            wiring=options.cost.wiring,
            wiring_power=options.cost.power,
            wiring_sigma=options.cost.sigma,
            positions=LearnedPositions(geometry) if geometry.learnable else None,
            memory=options.cost.memory,
        )
        inhibition = options.attention.inhibition
        assert isinstance(inhibition, DynamicsOptions)
        if inhibition.threshold is not None:
            model.inhibit(_make_dynamics(geometry, inhibition, inhibition.threshold))
        return model

    widths = {"channels": channels, "parameters": parameters, "flops": flops}
    return of_width(build, widths, (in_channels, *as_pair(image_size)), multiple=heads)


def _user_order(permutation: Tensor | None, count: int) -> Tensor:
    """The user's id of each column, ``[N]``."""
    ids = torch.arange(count)
    if permutation is None:
        return ids
    check_ids("permutation", permutation, count)
    if not torch.equal(permutation.sort().values, ids):
        raise ValueError(f"permutation must hold each of the {count} column ids once")
    return permutation


def _make_dynamics(
    geometry: Geometry, options: DynamicsOptions, threshold: float
) -> ColumnDynamics:
    # Its weights are not drawn: those of the other parts are what a seed gives without it.
    with torch.random.fork_rng(devices=[]):
        return ColumnDynamics(
            connect.nearest(geometry, degree=options.degree).named(LATERAL),
            threshold,
            options.competition,
            options.steps,
            options.dt,
            options.strength,
            options.circuit,
            options.excitation,
        )


def _make_embed(
    image_size: int | tuple[int, int], in_channels: int, channels: int, options: InterfaceOptions
) -> PatchEmbed:
    return PatchEmbed(
        image_size,
        in_channels,
        channels,
        options.patch,
        options.stride,
        options.padding,
        options.blur,
        weights=options.embed_weights,
    )


def _check_tokens(tokens: int, count: int, options: InterfaceOptions) -> None:
    """Raise if columns are too few for the receptive fields, unless some may stay unseen."""
    if count < tokens and (options.receptive is None or options.outputs == "last_sheet"):
        raise ValueError(
            f"{tokens} receptive fields need at least as many columns, got {count}: "
            "use a larger patch or stride, or a larger sheet"
        )
