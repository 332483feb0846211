"""Recurrent networks of twelve columns on weighted edges, with and without records."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geometries import grid
from graphcolumns import ColumnGraph, connect, edge_linear
from graphcolumns.nn import ColumnAttention, EdgeBias, EdgeLinear
from graphcolumns.nn.protocols import ModelOutput
from graphcolumns.nn.recording import LinearRecord

SHEET = grid.sheet(3, 4)
GRAPH = connect.nearest(SHEET, degree=4)
CHANNELS = 4


class Circuit(nn.Module):
    """A recurrent network on edges; its layer of weights is one of the library."""

    def __init__(self, graph: ColumnGraph = GRAPH, heads: int = 1, steps: int = 2) -> None:
        super().__init__()
        self.graph, self.steps = graph, steps
        self.linear = EdgeLinear(graph, heads)
        self.read = nn.Linear(12 * CHANNELS, 3)
        self.double()

    def mix(self, x: Tensor) -> Tensor:
        return self.linear(x, self.graph)

    def forward(self, inputs: Tensor) -> ModelOutput:
        x = inputs.transpose(0, 1)
        for _ in range(self.steps):
            x = torch.tanh(x + self.mix(x))
        return ModelOutput(self.read(x.transpose(0, 1).flatten(1)))

    def rewired(self, graph: ColumnGraph) -> None:
        self.graph = graph


class Silent(Circuit):
    """The same without records."""

    edge_tensors = ("weight",)

    def __init__(self, graph: ColumnGraph = GRAPH) -> None:
        super().__init__(graph)
        self.weight = nn.Parameter(self.linear.weight.detach().clone())
        del self.linear

    def mix(self, x: Tensor) -> Tensor:
        return edge_linear(x, self.weight, self.graph)


class Own(Silent):
    """The same with a layer of one's own that records."""

    recorder = None

    def mix(self, x: Tensor) -> Tensor:
        out = super().mix(x)
        if self.recorder is not None:
            self.recorder(LinearRecord(self.graph, x, self.weight, out))
        return out


class Both(Circuit):
    """Attention and a linear layer along the same edges."""

    def __init__(self, graph: ColumnGraph = GRAPH) -> None:
        super().__init__(graph)
        bias = EdgeBias(graph, std=1.0)
        self.attention = ColumnAttention(12, CHANNELS, 2, edge_bias=bias).double()

    def mix(self, x: Tensor) -> Tensor:
        return self.linear(x, self.graph) + self.attention(x, self.graph)[0]


def losses(output: ModelOutput, labels: Tensor) -> Tensor:
    return F.cross_entropy(output.prediction, labels, reduction="none")
