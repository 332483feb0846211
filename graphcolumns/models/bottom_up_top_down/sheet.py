"""A recurrent sheet of columns with two streams."""

from __future__ import annotations

from itertools import pairwise

from graphcolumns.connect import complete_between, field_edges
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.bottom_up_top_down.instructed import Instruction, instructed
from graphcolumns.models.bottom_up_top_down.model import BottomUpTopDown
from graphcolumns.models.bottom_up_top_down.trunk import Trunk
from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.top_down import Feedback, Identity, Population, Projection, TopDownEdges


def top_down_sheet(
    graph: ColumnGraph,
    num_outputs: int,
    num_instructions: int | None = None,
    *,
    image_size: int | tuple[int, int],
    in_channels: int = 1,
    geometry: Geometry | None = None,
    field: int | None = None,
    steps: int = 3,
    residual: bool = True,
    instruction: Instruction = "gates",
    task_embedding: int | None = None,
    multi_decoders: bool = False,
    feedback: Feedback = "tied",
    top_down_bias: bool = False,
) -> BottomUpTopDown:
    r"""A sheet whose columns receive along a graph, one layer applied again and again.

    .. math::
        h^0 = \max(0, V x + c), \qquad h^{t+1} = \max\Bigl(0, W h^t + b \;(+\, h^t)\Bigr)

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
        steps: Number of times that the layer on the graph is applied.
        residual: Whether a column keeps its value and adds to it.
        instruction: Role of the instruction, see :func:`instructed`.
        task_embedding: Number of neurons between the task and the last step, or None.
        multi_decoders: Whether every task has a head of its own although there are gates.
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
    check_counts(steps=steps)
    n = graph.num_columns
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    seen = _seen(n, (size[0], size[1]), in_channels, geometry, field)

    def trunk(prefix: str) -> Trunk:
        names = [f"{prefix}step{t}" for t in range(steps + 1)]
        column = Population((n, 1), columns=True, top_down_bias=top_down_bias)
        image = Population((seen.num_sources, 1), "identity", columns=True)
        again = TopDownEdges(graph.named(f"{prefix}columns"), feedback=feedback)
        # The edges among columns first: they are the graph of the model.
        projections = [Projection(a, b, again) for a, b in pairwise(names)]
        if residual:
            projections += [Projection(a, b, Identity()) for a, b in pairwise(names)]
        see = TopDownEdges(seen.named(f"{prefix}image"), feedback=feedback)
        projections.append(Projection("image", names[0], see))
        populations = {"image": image, **dict.fromkeys(names, column)}
        return Trunk(populations, projections, names[0], names[-1])

    return instructed(
        trunk,
        num_outputs,
        num_instructions,
        instruction=instruction,
        task_embedding=task_embedding,
        multi_decoders=multi_decoders,
        feedback=feedback,
        top_down_bias=top_down_bias,
    )


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
