"""An energy transformer from a graph and numbers."""

from __future__ import annotations

import torch
from torch import nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.models.neurodynamics.energy_transformer import EnergyColumnformer
from graphcolumns.nn.checks import check_choice
from graphcolumns.nn.embed import PatchEmbed
from graphcolumns.nn.readout import ColumnReadout, MeanReadout

READOUTS = ("columns", "mean")


def energy_sheet(
    graph: ColumnGraph,
    *,
    image_size: int | tuple[int, int],
    in_channels: int,
    num_classes: int,
    channels: int = 16,
    heads: int = 2,
    patterns: int = 32,
    steps: int = 6,
    dt: float | None = 0.5,
    weights: str = "untied",
    memory_kind: str = "relu",
    edge_bias: bool = True,
    epsilon: float = 0.1,
    patch: int = 3,
    readout: str = "columns",
) -> EnergyColumnformer:
    """Builds an energy transformer on a sheet that has a column per receptive field.

    Args:
        graph: Edges: which columns each column receives from.
        image_size: Height and width in pixels, or one number for both.
        in_channels: Channels of the images.
        num_classes: ``K``: values that are predicted per image, such as pixels.
        channels: ``C``.
        heads: ``H``.
        patterns: Patterns that every column stores.
        steps: Number of steps ``T``.
        dt: Time step; None for 90 % of the step limit of the current weights.
        weights: ``"untied"`` or ``"shared"``.
        memory_kind: ``"relu"`` or ``"softmax"``.
        edge_bias: Whether to learn a score per edge.
        epsilon: Variance that is added in the layer norm.
        patch: Side of a receptive field, in pixels, odd: one is centred on every pixel.
        readout: ``"columns"``: every column predicts one value, so that there are ``K`` columns; or
            ``"mean"``: class scores of the mean column.

    Returns:
        An :class:`EnergyColumnformer`.

    Raises:
        ValueError: An unknown choice, or sizes that do not fit.
        TypeError: ``graph`` is not a ColumnGraph.
    """
    check_choice("readout", readout, READOUTS)
    embed = PatchEmbed(image_size, in_channels, channels, patch, 1, patch // 2)
    if readout == "columns" and num_classes != embed.num_tokens:
        raise ValueError(
            "readout='columns' predicts one value per column. Expected "
            f"num_classes={embed.num_tokens}. Got {num_classes}; pass readout='mean'."
        )
    read: nn.Module
    if readout == "columns":
        read = ColumnReadout(channels, torch.arange(embed.num_tokens))
    else:
        read = MeanReadout(channels, num_classes)
    return EnergyColumnformer(
        graph,
        embed,
        read,
        heads=heads,
        patterns=patterns,
        steps=steps,
        dt=dt,
        weights=weights,
        memory_kind=memory_kind,
        edge_bias=edge_bias,
        epsilon=epsilon,
    )
