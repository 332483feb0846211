"""What column_attention says about arguments that do not fit."""

import pytest
import torch
from torch import Tensor

from graphcolumns import ColumnGraph, column_attention
from tests.ops.support.cases import exactly

GRAPH = ColumnGraph.from_edge_index(torch.tensor([[0, 1, 1], [0, 0, 2]]), 3, 2)  # N, M, E = 3, 2, 3


def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros(shape, dtype=dtype)


Q, K, V = zeros(3, 2, 4, 5), zeros(2, 2, 4, 5), zeros(2, 2, 4, 6)

SHAPES = [
    (
        {"q": zeros(3, 2, 5)},
        "q, k, v must be [N, B, H, D], [M, B, H, D], [M, B, H, Dv] (columns first), "
        "got [3, 2, 5], [2, 2, 4, 5], [2, 2, 4, 6]",
    ),
    (
        {"q": zeros(2, 3, 4, 5)},
        "q must have one row per column, N = 3, got 2 (columns come first: [N, B, H, D])",
    ),
    ({"k": zeros(3, 2, 4, 5)}, "k and v must have one row per source, M = 2, got 3 and 2"),
    ({"v": zeros(1, 2, 4, 6)}, "k and v must have one row per source, M = 2, got 2 and 1"),
    (
        {"v": zeros(2, 2, 3, 6)},
        "k and v must agree in batch and heads, got [2, 2, 4, 5] and [2, 2, 3, 6]",
    ),
    (
        {"v": zeros(2, 1, 4, 6)},
        "k and v must agree in batch and heads, got [2, 2, 4, 5] and [2, 1, 4, 6]",
    ),
    (
        {"q": zeros(3, 3, 4, 5)},
        "q must be [N, 2 or 1, 4, 5] to fit the keys, got [3, 3, 4, 5]",
    ),
    (
        {"q": zeros(3, 2, 4, 6)},
        "q must be [N, 2 or 1, 4, 5] to fit the keys, got [3, 2, 4, 6]",
    ),
    (
        {"q": zeros(3, 2, 4, 0), "k": zeros(2, 2, 4, 0)},
        "queries and keys must have a head width D of at least 1, got 0",
    ),
    (
        {"bias": zeros(4)},
        "bias must hold one value per edge, [E] = [3] or [E, H] = [3, 4], got [4]. "
        "After a change of topology carry it along with the edges",
    ),
    (
        {"bias": zeros(3, 1)},
        "bias must hold one value per edge, [E] = [3] or [E, H] = [3, 4], got [3, 1]. "
        "After a change of topology carry it along with the edges",
    ),
    (
        {"cost": zeros(3, 2)},
        "cost must hold one value per edge, [E] = [3] or [E, H] = [3, 4], got [3, 2]. "
        "After a change of topology carry it along with the edges",
    ),
]
VALUES = [
    ({"dropout": 1.0}, "dropout must be in [0, 1), got 1.0"),
    ({"dropout": -0.1}, "dropout must be in [0, 1), got -0.1"),
    ({"dropout": float("nan")}, "dropout must be in [0, 1), got nan"),
    (
        {"dropout": 0.5, "seed": torch.tensor([1, 2])},
        "seed must be an int or a scalar int64 tensor, got a tensor of shape [2] and torch.int64",
    ),
    (
        {"dropout": 0.5, "seed": torch.tensor(1, dtype=torch.int32)},
        "seed must be an int or a scalar int64 tensor, got a tensor of shape [] and torch.int32",
    ),
    (
        {"graph": GRAPH.to("meta")},
        'q must be on the device of the graph, meta, got cpu: call graph.to("cpu")',
    ),
    (
        {"cost": zeros(3).to("meta")},
        'cost must be on the device of the graph, cpu, got meta: call graph.to("meta")',
    ),
]
TYPES = [
    (
        {"graph": torch.tensor([[0], [0]])},
        "graph must be a ColumnGraph, got Tensor: "
        "build one with ColumnGraph.from_edge_index(edge_index, num_columns)",
    ),
    (
        {"v": V.double()},
        "q, k, v must share one floating dtype, got torch.float32, torch.float32, torch.float64",
    ),
    (
        {"q": Q.long(), "k": K.long(), "v": V.long()},
        "q, k, v must share one floating dtype, got torch.int64, torch.int64, torch.int64",
    ),
    (
        {"bias": zeros(3, dtype=torch.bool)},
        "bias must be floating, got torch.bool: call bias.float()",
    ),
    (
        {"cost": zeros(3, dtype=torch.int64)},
        "cost must be floating, got torch.int64: call cost.float()",
    ),
    (
        {"scale": torch.tensor(0.5, requires_grad=True)},
        "scale must be a number: a tensor would get no gradient. Multiply q by it instead and "
        "pass scale=1.0",
    ),
]


def call(changed: dict) -> None:
    arguments = {"q": Q, "k": K, "v": V, "graph": GRAPH} | changed
    positional = [arguments.pop(name) for name in ("q", "k", "v", "graph")]
    column_attention(*positional, **arguments)


def test_the_arguments_fit_before_they_are_changed():
    call({"bias": zeros(3, 4), "cost": zeros(3), "dropout": 0.5, "seed": 1, "scale": 0.5})


@pytest.mark.parametrize(("changed", "message"), SHAPES + VALUES)
def test_values(changed, message):
    with pytest.raises(ValueError, match=exactly(message)):
        call(changed)


@pytest.mark.parametrize(("changed", "message"), TYPES)
def test_types(changed, message):
    with pytest.raises(TypeError, match=exactly(message)):
        call(changed)
