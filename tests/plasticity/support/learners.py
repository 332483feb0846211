"""Sheets small enough to be rewired many times, and a task for them."""

import torch
from torch import Tensor

from geometries import grid
from graphcolumns import connect
from graphcolumns.data import Dataset
from graphcolumns.models.columnformer import Columnformer, sheet
from graphcolumns.plasticity import EdgeAdamW, Plasticity, Rule, edge_parameters
from graphcolumns.training.terms import per_sample

SHEET = grid.sheet(4, 4)
LOSSES = per_sample("classification")


def learner(degree: int = 4, seed: int = 0, **options) -> Columnformer:
    """Sixteen columns that classify images of 4 x 4 pixels, 64 edges, with an edge bias."""
    torch.manual_seed(seed)
    graph = connect.nearest(SHEET, degree)
    sizes = {"image_size": 4, "in_channels": 1, "num_classes": 4, "channels": 8, "depth": 2}
    return sheet(
        SHEET, graph, **(sizes | {"heads": 2, "attention": {"edge_bias": "both"}} | options)
    )


def rows(count: int = 48) -> Dataset:
    """Which row of the image is brightest?"""
    generator = torch.Generator().manual_seed(7)
    labels = torch.arange(2 * count) % 4
    inputs = torch.rand(2 * count, 1, 4, 4, generator=generator)
    inputs[torch.arange(2 * count), 0, labels] += 1
    return Dataset(inputs[:count], labels[:count], inputs[count:], labels[count:], 4)


def optimizer_of(model, lr: float = 1e-2) -> EdgeAdamW:
    edges = edge_parameters(model)
    others = [p for p in model.parameters() if all(p is not edge for edge in edges)]
    return EdgeAdamW([{"params": others}, {"params": edges, "edges": True}], lr=lr)


def descend(model, optimizer, steps: int, first: int = 0, changing: Plasticity | None = None):
    """A few steps on all samples."""
    data = rows()
    for _ in range(first, first + steps):
        optimizer.zero_grad()
        LOSSES(model(data.train_inputs), data.train_targets).mean().backward()
        if changing is not None:
            changing.watch(model)
        optimizer.step()


def batch(rule: Rule, update: int = 0) -> tuple[Tensor, Tensor]:
    """Samples for an update."""
    data = rows()
    order = torch.randperm(48, generator=torch.Generator().manual_seed(update))[: rule.num_samples]
    return data.train_inputs[order], data.train_targets[order]


def live(rule: Rule, updates: int = 4, every: int = 2, model=None, seed: int = 0, start: int = 0):
    """Train with an update every so many steps; yields each (model, optimizer, update)."""
    model = learner() if model is None else model
    optimizer, changing = optimizer_of(model), Plasticity(rule, SHEET, seed)
    for number in range(1, updates + 1):
        descend(model, optimizer, every, changing=changing)
        step = start + number * every
        samples = batch(rule, number)
        yield model, optimizer, changing.update(model, optimizer, step, *samples, LOSSES)
