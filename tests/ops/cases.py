"""Graphs and inputs for the tests of ops, and an attention of our own to compare with."""

import re
from itertools import pairwise
from typing import NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor

from graphcolumns import ColumnGraph


def graph_of(mask: Tensor) -> ColumnGraph:
    """Column i listens to source j where ``mask [N, M]`` says so."""
    target, source = mask.nonzero().T
    return ColumnGraph.from_edge_index(torch.stack([source, target]), *mask.shape)


def random_mask(columns: int, sources: int, density: float) -> Tensor:
    return torch.rand(columns, sources) < density


# Every in-degree from none to all in one graph; more sources than columns; fewer; one column.
MASKS = {
    "complete": torch.ones(5, 5, dtype=torch.bool),
    "every degree": torch.ones(6, 6, dtype=torch.bool).tril(-1) | torch.eye(6).bool()[[0, 1, 2, 3, 4, 5]] & torch.tensor([False] + [True] * 5)[:, None],
    "sparse": torch.tensor([[0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0]]).bool(),
    "more sources": torch.tensor([[0, 1, 0, 1, 1], [1, 0, 0, 0, 1]]).bool(),
    "fewer sources": torch.tensor([[0, 1], [1, 1], [0, 0], [1, 0], [1, 1]]).bool(),
    "one column": torch.ones(1, 1, dtype=torch.bool),
    "no edges": torch.zeros(3, 2, dtype=torch.bool),
}
