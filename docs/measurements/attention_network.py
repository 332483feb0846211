"""The networks of ``attention_phenomena.py``, how they learn, and the lines of its raw data."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.amp import GradScaler
from torch.nn import functional as F

from graphcolumns import ColumnGraph
from graphcolumns.learning import counter_hebb
from graphcolumns.models.bottom_up_top_down import BottomUpTopDown
from graphcolumns.nn.top_down import (
    Population,
    Projection,
    Reshape,
    TopDownConv2d,
    TopDownEdges,
    TopDownLinear,
    TopDownNetwork,
)

SIZE, WIDTH, BATCH = 32, 64, 64
CONTRASTS = (0.1, 0.2, 0.4, 0.8)
ORIENTATIONS = 12
NOISE = {"load": 0.4, "blindness": 0.5, "gain": 0.3, "ownership": 0.2}
SCALER = GradScaler("cpu", enabled=False)


class Plan(NamedTuple):
    """How much is run."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    steps: int = 600
    train: int = 600
    test: int = 400


def complete(columns: int, sources: int) -> ColumnGraph:
    """Every column receives from every source."""
    pairs = torch.cartesian_prod(torch.arange(columns), torch.arange(sources)).T
    return ColumnGraph.from_edge_index(pairs.flip(0), columns, num_sources=sources)


def network(
    answers: int, tasks: int, seed: int, sweeps: int = 1, width: int = WIDTH
) -> BottomUpTopDown:
    """Two convolutions, a dense layer and a readout, all with tied weights; 0 tasks, no gates."""
    torch.manual_seed(seed)
    half, quarter = SIZE // 2, SIZE // 4
    populations = {
        "image": Population((1, SIZE, SIZE), "identity"),
        "early": Population((8, half, half)),
        "late": Population((16, quarter, quarter)),
        "hidden": Population(width),
        "columns": Population((width, 1), "identity", columns=True),
        "prediction": Population((answers, 1), "identity", columns=True),
    }
    projections = [
        Projection("image", "early", TopDownConv2d(1, 8, 5, stride=2, padding=2)),
        Projection("early", "late", TopDownConv2d(8, 16, 3, stride=2, padding=1)),
        Projection("late", "hidden", TopDownLinear(16 * quarter**2, width)),
        Projection("hidden", "columns", Reshape(populations["hidden"], populations["columns"])),
        Projection("columns", "prediction", TopDownEdges(complete(answers, width))),
    ]
    if tasks:
        populations["task"] = Population((tasks, 1), "identity", columns=True)
        layer = TopDownEdges(complete(tasks, width), bias=False)
        projections.append(Projection("columns", "task", layer))
    task = "task" if tasks else None
    return BottomUpTopDown(TopDownNetwork(populations, projections), task=task, sweeps=sweeps)


def noisy(images: Tensor, part: str, draw: torch.Generator, scale: float = 1) -> Tensor:
    """Images with independent normal noise at every pixel."""
    return images + scale * NOISE[part] * torch.randn(images.shape, generator=draw)


def train(
    model: BottomUpTopDown, batch: Callable, part: str, plan: Plan, seed: int, answers: int
) -> BottomUpTopDown:
    """Counter-Hebbian learning with Adam; the rate falls from 2e-3 to 0.

    A batch is images, instructions and targets; target ``head * answers + answer`` counts in the
    answers of one head.
    """

    def loss(_, output, target):
        heads = output.prediction.view(len(target), -1, answers)
        return F.cross_entropy(
            heads[torch.arange(len(target)), target // answers], target % answers
        )

    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / plan.steps)
    draw = torch.Generator().manual_seed(seed)
    for _ in range(plan.steps):
        images, instruction, target = batch(draw)
        inputs = {"image": noisy(images, part, draw), "instruction": instruction}
        optimizer.zero_grad()
        counter_hebb(model, (inputs, target), {"task": (1.0, loss)}, scaler=SCALER)
        optimizer.step()
        schedule.step()
    return model


@torch.no_grad()
def states(model: BottomUpTopDown, images: Tensor, instruction: Tensor) -> dict[str, Tensor]:
    """Bottom-up neurons, with the prediction as ``[n, answers]``."""
    found = model.neurons({"image": images, "instruction": instruction})
    return found | {"prediction": found["prediction"][:, :, 0].T}


def row(part: str, arm: str, measure: str, seed: int, value: float, x: float | str = "") -> dict:
    """One line of the raw data."""
    return dict(part=part, arm=arm, measure=measure, x=x, seed=seed, value=float(value))
