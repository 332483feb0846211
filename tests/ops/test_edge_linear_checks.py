"""What edge_linear says about arguments that do not fit."""

import pytest
import torch

from graphcolumns import ColumnGraph, edge_linear
from tests.ops.support.cases import exactly

GRAPH = ColumnGraph.from_edge_index(torch.tensor([[0, 1, 1], [0, 0, 2]]), 3, 2)  # N, M, E = 3, 2, 3
X = torch.ones(2, 1, 4)
WEIGHT = torch.ones(3)
ERRORS = [
    (
        (X, WEIGHT, torch.zeros(2, 3)),
        TypeError,
        "graph must be a ColumnGraph, got Tensor: "
        "build one with ColumnGraph.from_edge_index(edge_index, num_columns)",
    ),
    (
        (X[:, 0], WEIGHT, GRAPH),
        ValueError,
        "x must be [M, B, C] with M = 2 sources, got [2, 4]",
    ),
    (
        (torch.ones(3, 1, 4), WEIGHT, GRAPH),
        ValueError,
        "x must be [M, B, C] with M = 2 sources, got [3, 1, 4]",
    ),
    (
        (X, torch.ones(4), GRAPH),
        ValueError,
        "weight must be [E], [E, H] or [E, C] with E = 3 edges, got [4]. "
        "After a change of topology carry it along with the edges",
    ),
    (
        (X, torch.ones(3, 1, 1), GRAPH),
        ValueError,
        "weight must be [E], [E, H] or [E, C] with E = 3 edges, got [3, 1, 1]. "
        "After a change of topology carry it along with the edges",
    ),
    (
        (X, torch.ones(3, 3), GRAPH),
        ValueError,
        "the heads of weight [E, H] must divide the channels C = 4, got H = 3",
    ),
    (
        (X, torch.ones(3, 0), GRAPH),
        ValueError,
        "the heads of weight [E, H] must divide the channels C = 4, got H = 0",
    ),
    (
        (X.long(), WEIGHT, GRAPH),
        TypeError,
        "x must be floating, got torch.int64: call x.float()",
    ),
    (
        (X, WEIGHT.bool(), GRAPH),
        TypeError,
        "weight must be floating, got torch.bool: call weight.float()",
    ),
    (
        (X, WEIGHT.to("meta"), GRAPH),
        ValueError,
        'weight must be on the device of the graph, cpu, got meta: call graph.to("meta")',
    ),
]


@pytest.mark.parametrize(("arguments", "error", "message"), ERRORS)
def test_errors(arguments, error, message):
    with pytest.raises(error, match=exactly(message)):
        edge_linear(*arguments)
