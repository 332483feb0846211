"""Eight edges between four columns, and sums over samples of which only some are known."""

import math

import torch

from graphcolumns import ColumnGraph
from graphcolumns.ops import EdgeScores

# The sources of four columns: eight edges, in the order of edges.
SOURCES = {0: [1, 2, 3], 1: [0, 2], 2: [0, 3], 3: [1]}
PAIRS = torch.tensor([(j, i) for i, sources in SOURCES.items() for j in sources]).T
GRAPH = ColumnGraph.from_edge_index(PAIRS, 4)
WEIGHT = torch.tensor([[1.0], [2.0], [6.0], [-1.0], [1.0], [0.0], [4.0], [5.0]])
GRADIENT = torch.tensor([[1.0], [-1.0], [0.5], [2.0], [0.0], [3.0], [-0.25], [0.0]])


def sums(samples: int, **given: list[float]) -> EdgeScores:
    """Sums over samples; what is not given is NaN, so that no criterion can read it by mistake."""
    [count] = {len(values) for values in given.values()}
    names = list(EdgeScores.__dataclass_fields__)[1:]
    missing = [math.nan] * count
    return EdgeScores.of(samples, torch.tensor([given.get(name, missing) for name in names]))
