"""The published columnformers, ingredient by ingredient, at their sizes.

Each preset takes the geometry that its columns live in, because the library does not know the
catalogue: ``columnformer_v1(geometries.grid.stack([8, 12, 16]))``. Sources: ``model_v1`` (2023)
and the registered models (2024) of https://github.com/clane9/columnformers.
"""

from collections.abc import Callable

import torch

from graphcolumns import connect
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.columnformer.ingredients import (
    CHANNELS,
    DEPTH,
    HEADS,
    PATCH,
    areas_of,
    assemble_model,
    mixer_column,
    shift_register,
    transformer_column,
    untied_column,
    within_areas,
)
from graphcolumns.models.columnformer.model import Columnformer
from graphcolumns.nn.attention import ColumnAttention
from graphcolumns.nn.column import Column
from graphcolumns.nn.edge_bias import EdgeBias
from graphcolumns.nn.embed import PatchEmbed
from graphcolumns.nn.mixture import Mixture
from graphcolumns.nn.readout import MeanReadout


def columnformer_v1(
    geometry: Geometry, num_classes: int = 100, image_size: int = 128
) -> Columnformer:
    """The sheet of December 2023: ``grid.stack([8, 12, 16])``, 46,935,012 parameters."""
    graph, count = connect.complete(geometry), geometry.num_columns
    attention = ColumnAttention(
        count,
        CHANNELS,
        qk_channels=64,
        value="input",
        edge_bias=EdgeBias(graph, sigma=2.0),
        qkv_bias=(True, False, False),
        scale=CHANNELS**-0.5,  # the full width, not that of the queries
    )
    column = Column(count, attention, hidden=64, skip_attention=False, out_bias=False)
    last = torch.where(areas_of(geometry) == int(areas_of(geometry).max()))[0]
    return Columnformer(
        graph,
        PatchEmbed(image_size, 3, CHANNELS, PATCH),
        column,
        MeanReadout(CHANNELS, num_classes, last, norm="after"),
        depth=DEPTH,
        position_embedding=False,
        wiring="distance",
    )


def columnformer_ff_tiny(
    geometry: Geometry, num_classes: int = 100, image_size: int = 128, offset: float = 2.0
) -> Columnformer:
    """Six layers of 64 untied columns, ``grid.stack([8])``, 38.94 M parameters.

    A layer attends to the sheet below: lengths are sqrt(d^2 + offset^2), so that a column is not
    at distance zero from itself.
    """
    graph = connect.complete(geometry)
    assert graph.distance is not None
    between = torch.sqrt(graph.distance**2 + offset**2)
    graph = ColumnGraph.from_edge_index(graph.edge_index, graph.num_columns, distance=between)
    columns = [untied_column(graph, skip_attention=True) for _ in range(DEPTH)]
    return assemble_model(graph, columns, geometry, num_classes, image_size)


def columnformer_r_tiny(
    geometry: Geometry, num_classes: int = 100, image_size: int = 128
) -> Columnformer:
    """One layer of 384 untied columns, six times, ``grid.stack([8] * 6)``, 39.19 M parameters."""
    graph = connect.complete(geometry)
    column = untied_column(graph, skip_attention=False)
    return assemble_model(graph, column, geometry, num_classes, image_size)


def vision_transformer_tiny(
    geometry: Geometry, num_classes: int = 100, image_size: int = 128
) -> Columnformer:
    """A vision transformer: shared weights, six layers, ``grid.stack([8])``, 11.01 M."""
    graph = connect.complete(geometry)
    columns = [
        transformer_column(graph, "shared", "shared", None, hidden=4 * CHANNELS)
        for _ in range(DEPTH)
    ]
    return assemble_model(graph, columns, geometry, num_classes, image_size)


def vision_transformer_r_tiny(
    geometry: Geometry, num_classes: int = 100, image_size: int = 128
) -> Columnformer:
    """The same transformer as a recurrent sheet, ``grid.stack([8] * 6)``, 11.13 M parameters.

    Every sheet has the weights of one layer (frozen one-hot mixture), attends within itself, and
    before every step copies the sheet below: what took six layers takes six steps.
    """
    areas = areas_of(geometry)
    sheets = int(areas.max()) + 1
    frozen = torch.nn.functional.one_hot(areas, sheets).float()
    mixture = Mixture(geometry.num_columns, sheets, frozen=frozen)
    graph = within_areas(geometry)
    column = transformer_column(graph, "mixture", "mixture", mixture, hidden=4 * CHANNELS)
    direct = shift_register(geometry)
    return assemble_model(graph, column, geometry, num_classes, image_size, direct)


def vision_moemixer_tiny(
    geometry: Geometry, num_classes: int = 100, image_size: int = 128
) -> Columnformer:
    """Signed mixing and static expert mixtures, ``grid.stack([8])``, 7.63 M parameters."""
    graph = connect.complete(geometry)
    columns = [mixer_column(graph, experts) for experts in (1, 1, 2, 2, 4, 4)]
    return assemble_model(graph, columns, geometry, num_classes, image_size)


def vision_tut_tiny(
    geometry: Geometry, num_classes: int = 100, image_size: int = 128, direct: bool = True
) -> Columnformer:
    """Shared attention, a mixture of 24 MLPs, direct edges, ``grid.stack([8] * 6)``, 8.33 M."""
    graph = connect.complete(geometry)
    mixture = Mixture(geometry.num_columns, 24)
    column = transformer_column(
        graph, "shared", "mixture", mixture, hidden=CHANNELS, edge_bias=EdgeBias(graph, HEADS)
    )
    edges = shift_register(geometry) if direct else None
    return assemble_model(graph, column, geometry, num_classes, image_size, edges)


PRESETS: dict[str, Callable[..., Columnformer]] = {
    "columnformer_v1": columnformer_v1,
    "columnformer_ff_tiny": columnformer_ff_tiny,
    "columnformer_r_tiny": columnformer_r_tiny,
    "vision_transformer_tiny": vision_transformer_tiny,
    "vision_transformer_r_tiny": vision_transformer_r_tiny,
    "vision_moemixer_tiny": vision_moemixer_tiny,
    "vision_tut_tiny": vision_tut_tiny,
}
