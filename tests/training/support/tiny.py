"""A small sheet that obeys the contract between models and training, and a task for it."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from graphcolumns.data import Dataset
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.mixture import Mixture


class Output(NamedTuple):
    prediction: Tensor
    state: Tensor
    cost: Tensor | None
    states: Tensor | None = None


class Tiny(nn.Module):
    """One column per pixel; each listens to itself and its left neighbour. Has dropout."""

    no_weight_decay = ("bias",)

    def __init__(self, columns: int = 9, channels: int = 4, classes: int = 3, dropout: float = 0.2):
        super().__init__()
        here, left = torch.arange(columns), torch.arange(columns - 1)
        edges = torch.stack([torch.cat([here, left]), torch.cat([here, left + 1])])
        distance = (edges[0] - edges[1]).abs().float()
        self.graph = ColumnGraph.from_edge_index(edges, columns, distance=distance)
        self.wiring_norm = 0.1 + 0.2  # not a short decimal
        self.gain = nn.Parameter(torch.randn(columns, channels) / 2)
        self.bias = nn.Parameter(torch.zeros(columns, channels))
        self.edge = nn.Parameter(torch.randn(self.graph.num_edges) / 2)
        self.readout = nn.Linear(channels * columns, classes)
        self.mixture = Mixture(columns, 2)
        self.dropout = dropout

    def mixture_maps(self) -> list[Tensor]:
        return [self.mixture()]

    def forward(self, inputs: Tensor) -> Output:
        pixels = inputs.flatten(1).t()[:, :, None]  # [N, B, 1]
        own = torch.tanh(pixels * self.gain[:, None] + self.bias[:, None])
        heard = own[self.graph.source.long()] * self.edge[:, None, None]
        state = own.index_add(0, self.graph.target.long(), heard)
        state = functional.dropout(state, self.dropout, self.training)
        logits = self.readout(state.transpose(0, 1).flatten(1))
        cost = (self.edge.sigmoid() * self.graph.distance).sum().expand(1, 1, 1, 1)
        return Output(logits, state, cost)


def task(count: int = 60, size: int = 3, classes: int = 3) -> Dataset:
    """Which row of the image is brightest?"""
    generator = torch.Generator().manual_seed(7)
    inputs = torch.rand(2 * count, 1, size, size, generator=generator)
    labels = torch.arange(2 * count) % classes
    inputs[torch.arange(2 * count), 0, labels] += 1
    return Dataset(inputs[:count], labels[:count], inputs[count:], labels[count:], classes)


def tiny(seed: int = 0, **options) -> Tiny:
    torch.manual_seed(seed)
    return Tiny(**options)
