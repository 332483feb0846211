"""A chain of columns along which the input moves by one column per step."""

import torch
from torch import nn

from graphcolumns import ColumnGraph
from graphcolumns.nn.protocols import ModelOutput


def chain_graph(count: int = 5, extra: tuple[tuple[int, int], ...] = ()) -> ColumnGraph:
    """Edges from each column to the next, and further ones (source, target), one unit per id."""
    edges = torch.tensor([*((i, i + 1) for i in range(count - 1)), *extra]).T
    lengths = (edges[0] - edges[1]).abs().float()
    return ColumnGraph.from_edge_index(edges, count, distance=lengths)


class Sum(nn.Module):
    """The state plus the sum over sources, times a weight of the edge."""

    edge_tensors = ("weight",)

    def __init__(self, graph):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(graph.num_edges))

    def forward(self, x, graph):
        source, target = graph.edge_index
        return x.index_add(0, target, self.weight[:, None, None] * x[source])


class Chain(nn.Module):
    """Column 0 starts at the input ``[B, C]``, the others at 0; the last but one is read."""

    def __init__(self, graph, depth=3, read=-2):
        super().__init__()
        self.graph, self.depth, self.read = graph, depth, read
        self.layer = Sum(graph)

    def rewired(self, graph):
        self.graph = graph

    def forward(self, inputs, return_states=False):
        x = inputs.new_zeros(self.graph.num_columns, *inputs.shape)
        x[0] = inputs
        states = []
        for _ in range(self.depth):
            x = self.layer(x, self.graph)
            states.append(x)
        return ModelOutput(x[self.read], x, states=torch.stack(states) if return_states else None)
