"""Convolutional trunks with a dense layer on top."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from graphcolumns.connect import complete_between
from graphcolumns.models.bottom_up_top_down.trunk import Trunk
from graphcolumns.nn.top_down import (
    Feedback,
    Population,
    Projection,
    Reshape,
    TopDownConv2d,
    TopDownEdges,
    TopDownLayer,
)


def add_image_layer(
    populations: dict[str, Population],
    projections: list[Projection],
    source: str,
    target: str,
    layer: TopDownLayer,
    top_down_bias: bool = False,
) -> None:
    """Adds a layer between images, and the population above it unless it is there.

    Args:
        populations: Populations, which get the target.
        projections: Projections, which get this one.
        source: Name of the population below.
        target: Name of the population above.
        layer: The layer.
        top_down_bias: Whether the channels of the target have a top-down bias.

    Raises:
        ValueError: The image is too small for the layer.
    """
    projections.append(Projection(source, target, layer))
    if target in populations:
        return
    shape = populations[source].sizes
    try:
        with torch.no_grad():
            out = layer(torch.zeros(1, *shape))
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"images must be large enough for all convolutions. Got {shape[1]} x {shape[2]} pixels "
            f"below {target!r}: {error}"
        ) from error
    populations[target] = Population(tuple(out.shape[1:]), top_down_bias=top_down_bias)


def dense_on_top(
    populations: dict[str, Population],
    projections: list[Projection],
    source: str,
    prefix: str,
    hidden: int,
    feedback: Feedback,
    bias: bool,
    top_down_bias: bool,
) -> Trunk:
    """The trunk with a hidden layer ``"hidden"`` above all values of an image.

    It is a layer on the edges of a complete graph, so that the model has a graph.

    Args:
        populations: Populations up to the image.
        projections: Projections up to the image.
        source: Name of the image.
        prefix: Prefix of names.
        hidden: Number of neurons of the hidden layer.
        feedback: Weights of top-down passes.
        bias: Whether neurons have a bias.
        top_down_bias: Whether neurons have a top-down bias.
    """
    image, name = populations[source], f"{prefix}hidden"
    size = torch.Size(image.sizes).numel()
    flat = Population((size, 1), "identity", columns=True)
    populations |= {
        f"{source}_flat": flat,
        name: Population((hidden, 1), columns=True, top_down_bias=top_down_bias),
    }
    layer = TopDownEdges(complete_between(hidden, size).named(name), bias, feedback)
    projections += [
        Projection(source, f"{source}_flat", Reshape(image, flat)),
        Projection(f"{source}_flat", name, layer),
    ]
    return Trunk(populations, projections, name, name)


def image_population(in_channels: int, image_size: int | Sequence[int]) -> Population:
    """The population of images.

    Args:
        in_channels: Channels of the images.
        image_size: Height and width in pixels, or one number for both.
    """
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    return Population((in_channels, *size), "identity")


def convolution(
    channels: tuple[int, int],
    kernel: int,
    stride: int = 1,
    *,
    padding: int = 0,
    depthwise: bool = False,
    bias: bool = True,
    feedback: Feedback = "tied",
) -> TopDownConv2d:
    """A convolution, of all channels or of each by itself.

    Args:
        channels: Channels of the source and of the target.
        kernel: Side of the kernels.
        stride: Step between windows.
        padding: Zeros on each side.
        depthwise: Whether every channel is convolved by itself.
        bias: Whether channels have a bias.
        feedback: Weights of the top-down pass.
    """
    groups = channels[0] if depthwise else 1
    return TopDownConv2d(
        *channels, kernel, stride, padding, groups=groups, bias=bias, feedback=feedback
    )
