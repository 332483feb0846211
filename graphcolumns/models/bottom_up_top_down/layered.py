"""Dense or sparse layers, from sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import Any

from graphcolumns.connect import complete_between
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.bottom_up_top_down.instructed import Instruction, instructed
from graphcolumns.models.bottom_up_top_down.model import BottomUpTopDown
from graphcolumns.models.bottom_up_top_down.trunk import Trunk
from graphcolumns.nn.top_down import Feedback, Population, Projection, TopDownEdges


def layered_top_down(
    sizes: Sequence[int],
    num_outputs: int | None = None,
    num_instructions: int | None = None,
    spec: Any = None,
    *,
    graphs: Mapping[str, ColumnGraph] | None = None,
    instruction: Instruction = "gates",
    task_embedding: int | None = None,
    sweeps: int = 1,
    feedback: Feedback = "tied",
    bias: bool = True,
    top_down_bias: bool = False,
) -> BottomUpTopDown:
    """Layers of columns, complete or sparse: a multilayer perceptron in two streams.

    Populations are ``"image"``, ``"hidden1"``, ``"hidden2"``, ..., ``"prediction"`` and ``"task"``;
    a layer and its graph have the name of the population above.

    Args:
        sizes: Sizes of all layers from the image to the prediction; without the two ends where
            ``spec`` and ``num_outputs`` say them.
        num_outputs: Number of values that are predicted, in place of the last size.
        num_instructions: Number of tasks.
        spec: Spec of the data, which has the size of the image, in place of the first size.
        graphs: Edges of some hidden layers in place of complete graphs, by name.
        instruction: Role of the instruction, see :func:`instructed`.
        task_embedding: Number of neurons between the task and the last hidden layer, or None.
        sweeps: Number of times that both streams run.
        feedback: Weights of top-down passes.
        bias: Whether neurons have a bias.
        top_down_bias: Whether hidden neurons have a top-down bias.

    Raises:
        ValueError: No hidden layer, sizes below 1, graphs that do not fit them, options that do not
            go together.

    Example:
        >>> import torch
        >>> from graphcolumns.models.bottom_up_top_down import layered_top_down
        >>> model = layered_top_down([64, 32, 10], num_instructions=2)
        >>> inputs = {"image": torch.ones(3, 1, 8, 8), "instruction": torch.tensor([0, 1, 1])}
        >>> model(inputs).prediction.shape
        torch.Size([3, 10])

    Source: Abel & Ullman, Biologically-Motivated Learning Model for Instructed Visual Processing,
    2023, https://arxiv.org/abs/2306.02415.
    """
    *below, outputs = _sizes(sizes, num_outputs, spec)
    names = ["image", *(f"hidden{i}" for i in range(1, len(below)))]
    given = dict(graphs or {})
    if unknown := [name for name in given if name not in names[1:]]:
        raise ValueError(
            f"graphs must name hidden layers. Expected some of {', '.join(map(repr, names[1:]))}. "
            f"Got {unknown[0]!r}."
        )

    def trunk(prefix: str) -> Trunk:
        full = ["image", *(prefix + name for name in names[1:])]
        populations = {"image": Population((below[0], 1), "identity", columns=True)}
        projections = []
        for (source, target), (m, n) in zip(pairwise(full), pairwise(below), strict=True):
            graph = given.get(target.removeprefix(prefix)) or complete_between(n, m)
            populations[target] = Population((n, 1), columns=True, top_down_bias=top_down_bias)
            layer = TopDownEdges(graph.named(target), bias, feedback)
            projections.append(Projection(source, target, layer))
        return Trunk(populations, projections, full[1], full[-1])

    return instructed(
        trunk,
        outputs,
        num_instructions,
        instruction=instruction,
        task_embedding=task_embedding,
        sweeps=sweeps,
        feedback=feedback,
        bias=bias,
        top_down_bias=top_down_bias,
    )


def _sizes(sizes: Sequence[int], num_outputs: int | None, spec: Any) -> list[int]:
    """All sizes, from the image to the prediction."""
    image = [] if spec is None else [prod(spec.image.shape)]
    given = [*image, *sizes, *([] if num_outputs is None else [num_outputs])]
    if len(given) < 3 or min(given) < 1:
        raise ValueError(
            "sizes must be three or more, all 1 or above: image, hidden layers, prediction. Got "
            f"{given}; gates are of hidden neurons."
        )
    return given
