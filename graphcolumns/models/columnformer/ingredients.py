"""What the published columnformers are made of: columns, graphs, and how they are put together."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.columnformer.model import Columnformer
from graphcolumns.nn.attention import ColumnAttention
from graphcolumns.nn.column import Column
from graphcolumns.nn.edge_bias import EdgeBias
from graphcolumns.nn.embed import PatchEmbed
from graphcolumns.nn.mixture import Mixture
from graphcolumns.nn.readout import MeanReadout

CHANNELS, DEPTH, HEADS, PATCH, STD = 384, 6, 6, 16, 0.02


def within_areas(geometry: Geometry) -> ColumnGraph:
    """All edges inside each area, none between."""
    areas = areas_of(geometry)
    target, source = torch.nonzero(areas[:, None] == areas[None], as_tuple=True)
    graph = ColumnGraph.from_edge_index(torch.stack([source, target]), geometry.num_columns)
    return graph.remeasure(geometry)


def shift_register(geometry: Geometry) -> Tensor:
    """Direct edges by which every sheet copies the sheet below, and the first the input.

    Raises:
        ValueError: Sheets of different size.
    """
    areas, count = areas_of(geometry), geometry.num_columns
    sizes = areas.bincount()
    if (sizes != sizes[0]).any():
        raise ValueError(
            f"sheets that copy each other must be of one size, got {sizes.tolist()} columns"
        )
    columns = torch.arange(count)
    return torch.where(areas == 0, columns, count + columns - sizes[0])


def areas_of(geometry: Geometry) -> Tensor:
    """The sheet of each column, ``[N]``, bottom sheet first; one sheet if there are no areas.

    Raises:
        ValueError: The columns are not in the order of their sheets.
    """
    if geometry.areas is None:
        return torch.zeros(geometry.num_columns, dtype=torch.int64)
    if (geometry.areas.diff() < 0).any():
        raise ValueError(
            "a preset takes its columns sheet by sheet, because the first ones see the image and "
            "the last ones are read, got areas in another order: pass the geometry as the "
            "catalogue makes it, not reordered"
        )
    return geometry.areas


def untied_column(graph: ColumnGraph, skip_attention: bool) -> Column:
    """Untied maps, queries and keys of width 64, value = input, Gaussian-local edge bias."""
    attention = ColumnAttention(
        graph.num_columns,
        CHANNELS,
        qk_channels=64,
        value="input",
        edge_bias=EdgeBias(graph, sigma=2.0),
        std=STD,
    )
    return Column(graph.num_columns, attention, hidden=64, skip_attention=skip_attention, std=STD)


def transformer_column(
    graph: ColumnGraph,
    weights: str,
    mlp_weights: str,
    mixture: Mixture | None,
    hidden: int,
    edge_bias: EdgeBias | None = None,
) -> Column:
    """A transformer block; ``weights`` of attention and norms, ``mlp_weights`` of the MLP."""
    count, rank = graph.num_columns, 1 if mixture is None else mixture.num_sets
    attention = ColumnAttention(
        count,
        CHANNELS,
        HEADS,
        weights=weights,
        rank=rank,
        mixture=mixture,
        edge_bias=edge_bias,
        std=STD,
    )
    return Column(count, attention, hidden, mlp_weights, weights, rank, mixture, std=STD)


def mixer_column(graph: ColumnGraph, experts: int) -> Column:
    """Signed mixing along static edges, then a mixture of MLPs."""
    count = graph.num_columns
    bias = EdgeBias(graph, HEADS, per_head=True, std=STD)
    nn.init.zeros_(bias.per_head)  # type: ignore[arg-type]  # heads start alike
    mixture = Mixture(count, experts) if experts > 1 else None
    attention = ColumnAttention(
        count,
        CHANNELS,
        HEADS,
        mode="linear_mixing",
        value="input",
        edge_bias=bias,
    )
    weights = "shared" if mixture is None else "mixture"
    hidden = 4 * CHANNELS // experts  # as many parameters however many experts
    return Column(count, attention, hidden, weights, "shared", experts, mixture, std=STD)


def assemble_model(
    graph: ColumnGraph,
    columns: Column | Sequence[Column],
    geometry: Geometry,
    num_classes: int,
    image_size: int,
    direct_edges: Tensor | None = None,
) -> Columnformer:
    """Patches into the first columns, the mean of as many last columns out."""
    embed = PatchEmbed(image_size, 3, CHANNELS, PATCH)
    last = torch.arange(geometry.num_columns)[-embed.num_tokens :]
    return Columnformer(
        graph,
        embed,
        columns,
        MeanReadout(CHANNELS, num_classes, last, norm="before"),
        depth=DEPTH,
        direct_edges=direct_edges,
        wiring="distance",
    )
