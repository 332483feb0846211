"""A model of ColumnConv layers, as a user of PyG writes one."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import ColumnConv


class Answer(NamedTuple):
    """What training asks for: one score per class."""

    prediction: Tensor


class ConvNet(nn.Module):
    """Two layers that differ in heads and widths, on one graph; a pixel per column."""

    def __init__(self, graph: ColumnGraph, classes: int = 4, bias: bool = True) -> None:
        super().__init__()
        self.graph, scores = graph, graph if bias else None
        count = graph.num_columns
        self.first = ColumnConv(1, 4, count, heads=2, edge_bias=scores)
        self.second = ColumnConv(8, classes, count, heads=3, concat=False, edge_bias=scores)

    def forward(self, images: Tensor) -> Answer:
        x = torch.relu(self.first(images.flatten(1)[..., None], self.graph))
        return Answer(self.second(x, self.graph).mean(1))

    def rewired(self, graph: ColumnGraph) -> None:
        self.graph = graph
