"""A recurrent sheet of two streams, unrolled by hand."""

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from geometries import grid
from graphcolumns import ColumnGraph, connect
from graphcolumns.models.bottom_up_top_down import BottomUpTopDown
from graphcolumns.nn.top_down import (
    Identity,
    Population,
    Projection,
    TopDownEdges,
    TopDownNetwork,
)

SHEET = grid.sheet(3, 4)
TASKS, CLASSES, PIXELS = 2, 4, 6


def complete(columns: int, sources: int) -> ColumnGraph:
    pairs = torch.cartesian_prod(torch.arange(columns), torch.arange(sources)).T
    return ColumnGraph.from_edge_index(pairs.flip(0), columns, num_sources=sources)


def two_streams(feedback="tied", seed=0, steps=3, **options) -> BottomUpTopDown:
    """One recurrent layer on a sheet, ``steps - 1`` times, with a way around it."""
    torch.manual_seed(seed)
    again = TopDownEdges(connect.nearest(SHEET, degree=4).named("sheet"), feedback=feedback)
    names = [f"step{number}" for number in range(steps)]
    links = [Projection(names[0], names[1], again)]
    for below, above in pairwise(names[1:]):
        links += [Projection(below, above, again), Projection(below, above, Identity())]
    links += [
        Projection("input", names[0], TopDownEdges(complete(12, PIXELS), feedback=feedback)),
        Projection(names[-1], "prediction", TopDownEdges(complete(CLASSES, 12), feedback=feedback)),
        Projection(names[-1], "task", TopDownEdges(complete(TASKS, 12), bias=False)),
    ]
    populations = {name: Population((12, 1), columns=True) for name in names}
    for name, size in (("input", PIXELS), ("prediction", CLASSES), ("task", TASKS)):
        populations[name] = Population((size, 1), "identity", columns=True)
    return BottomUpTopDown(TopDownNetwork(populations, links), **options)


def samples(number=6, dtype=torch.float64) -> tuple[dict[str, Tensor], Tensor]:
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(number, PIXELS, generator=generator, dtype=torch.float64).to(dtype)
    inputs = {"image": image, "instruction": torch.arange(number) % TASKS}
    return inputs, torch.arange(number) % CLASSES


def losses(output, labels: Tensor) -> Tensor:
    return F.cross_entropy(output.prediction, labels, reduction="none")
