"""A recurrent sheet of columns with two streams."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

import torch

from graphcolumns.connect import complete_between, field_edges
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.bottom_up_top_down.instructed import Instruction, instructed
from graphcolumns.models.bottom_up_top_down.model import BottomUpTopDown
from graphcolumns.models.bottom_up_top_down.trunk import Trunk
from graphcolumns.nn.checks import check_choice, check_counts
from graphcolumns.nn.top_down import (
    Feedback,
    Identity,
    Population,
    Projection,
    Reshape,
    TopDownAttention,
    TopDownEdges,
    TopDownUntied,
)

SheetLayer = Literal["edges", "attention"]


def top_down_sheet(
    graph: ColumnGraph,
    num_outputs: int,
    num_instructions: int | None = None,
    *,
    image_size: int | tuple[int, int],
    in_channels: int = 1,
    geometry: Geometry | None = None,
    field: int | None = None,
    channels: int = 1,
    steps: int = 3,
    layer: SheetLayer = "edges",
    instruction: Instruction = "gates",
    task_embedding: int | None = None,
    sweeps: int = 1,
    feedback: Feedback = "tied",
    top_down_bias: bool = False,
) -> BottomUpTopDown:
    r"""A sheet whose columns receive along a graph, one layer applied again and again.

    .. math::
        h^0_i = \max\Bigl(0, \sum_p V_{ip} x_p + c_i\Bigr), \qquad
        h^{t+1}_i = \max\Bigl(0, h^t_i + W_i^\top \sum_j w_{ij} \odot h^t_j + b_i\Bigr)

    with one weight per edge and channel and, for columns of several channels, a matrix
    :math:`W_i` per column; ``layer="attention"`` has attention in place of the sum. A column keeps
    its value from step to step and adds to it.

    Every step is a population, ``"step0"`` to ``"step3"``, with gates of its own; all steps share
    the weights of the edges. The task sits above the last step, so the instruction walks through
    the sheet in the opposite direction. The graph of the sheet is the first of the model: rules
    prune and regrow it.

    Args:
        graph: Edges among the columns.
        num_outputs: Number of values that are predicted.
        num_instructions: Number of tasks.
        image_size: Height and width in pixels, or one number for both.
        in_channels: Channels of the images.
        geometry: Positions of the columns; needed for ``field``.
        field: Side of the square of pixels that a column sees where it is; None: every column sees
            the whole image.
        channels: ``C``, number of neurons of every column.
        steps: Number of times that the layer on the graph is applied.
        layer: ``"edges"``: a weight per edge and channel, then a matrix per column;
            ``"attention"``: :class:`~graphcolumns.nn.top_down.TopDownAttention` with one head.
        instruction: Role of the instruction, see :func:`instructed`.
        task_embedding: Number of neurons between the task and the last step, or None.
        sweeps: Number of times that both streams run.
        feedback: Weights of top-down passes.
        top_down_bias: Whether columns have a top-down bias at every step.

    Raises:
        ValueError: Fewer than one step, a field without a geometry or larger than the image,
            options that do not go together.

    Example:
        >>> import torch
        >>> from geometries import grid
        >>> from graphcolumns.connect import nearest
        >>> from graphcolumns.models.bottom_up_top_down import top_down_sheet
        >>> sheet = grid.sheet(8, 8)
        >>> model = top_down_sheet(nearest(sheet, 9), 10, 2, image_size=8, geometry=sheet, field=3)
        >>> inputs = {"image": torch.rand(4, 1, 8, 8), "instruction": torch.tensor([0, 1, 0, 1])}
        >>> model(inputs).prediction.shape
        torch.Size([4, 10])
    """
    check_counts(steps=steps, channels=channels)
    check_choice("layer", layer, get_args(SheetLayer))
    n = graph.num_columns
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    seen = _seen(n, (size[0], size[1]), in_channels, geometry, field)

    def trunk(prefix: str) -> Trunk:
        names = [f"{prefix}step{t}" for t in range(steps + 1)]
        column = Population((n, channels), columns=True, top_down_bias=top_down_bias)
        populations = {"image": Population((seen.num_sources, 1), "identity", columns=True)}
        populations |= dict.fromkeys(names, column)
        # The edges among columns first: they are the graph of the model.
        projections = _recurrence(names, graph.named(f"{prefix}columns"), channels, layer, feedback)
        for name in names[:-1] if channels > 1 and layer == "edges" else ():
            populations[f"{name}_edges"] = Population((n, channels), "identity", columns=True)
        projections += _seeing(names[0], seen.named(f"{prefix}image"), column, feedback)
        if channels > 1:
            populations[f"{names[0]}_flat"] = _flat(column)
        return Trunk(populations, projections, names[0], names[-1])

    return instructed(
        trunk,
        num_outputs,
        num_instructions,
        instruction=instruction,
        task_embedding=task_embedding,
        sweeps=sweeps,
        feedback=feedback,
        top_down_bias=top_down_bias,
    )


def _recurrence(
    names: list[str], graph: ColumnGraph, channels: int, layer: SheetLayer, feedback: Feedback
) -> list[Projection]:
    """The same layers from every step to the next, and a way around them."""
    made = []
    if layer == "attention":
        attend = TopDownAttention(graph, channels, channels, feedback=feedback)
        made = [Projection(a, b, attend) for a, b in pairwise(names)]
    elif channels == 1:
        edges = TopDownEdges(graph, feedback=feedback)
        made = [Projection(a, b, edges) for a, b in pairwise(names)]
    else:
        edges = TopDownEdges(graph, bias=False, feedback=feedback, heads=channels)
        mix = TopDownUntied(graph.num_columns, channels, channels, feedback=feedback)
        for a, b in pairwise(names):
            made += [Projection(a, f"{a}_edges", edges), Projection(f"{a}_edges", b, mix)]
    return made + [Projection(a, b, Identity()) for a, b in pairwise(names)]


def _seeing(
    name: str, seen: ColumnGraph, column: Population, feedback: Feedback
) -> list[Projection]:
    """From pixels to all channels of the columns, which are targets of their own."""
    n, channels = column.sizes
    if channels == 1:
        return [Projection("image", name, TopDownEdges(seen, feedback=feedback))]
    source, target = seen.edge_index
    ends = torch.stack(
        [
            source.repeat_interleave(channels),
            (target[:, None] * channels + torch.arange(channels)).flatten(),
        ]
    )
    graph = ColumnGraph.from_edge_index(ends, n * channels, num_sources=seen.num_sources)
    layer = TopDownEdges(graph.named(seen.name), feedback=feedback)
    flat = f"{name}_flat"
    return [
        Projection("image", flat, layer),
        Projection(flat, name, Reshape(_flat(column), column)),
    ]


def _flat(column: Population) -> Population:
    n, channels = column.sizes
    return Population((n * channels, 1), "identity", columns=True)


def _seen(
    columns: int,
    size: tuple[int, int],
    channels: int,
    geometry: Geometry | None,
    field: int | None,
) -> ColumnGraph:
    """Edges from pixels to columns."""
    if field is None:
        return complete_between(columns, channels * size[0] * size[1])
    if geometry is None:
        raise ValueError(
            f"field={field} needs the places of columns. Got no geometry; pass geometry=..., or "
            "field=None."
        )
    geometry.require_columns(columns)
    return field_edges(geometry, size, channels, field)
