"""What a model is: its graphs, its output and one sentence on it."""

from typing import NamedTuple

import pytest
import torch
from torch import nn

from geometries import grid
from graphcolumns import connect
from graphcolumns.nn.protocols import (
    ModelOutput,
    description_of,
    graph_of,
    graphs_of,
    prediction_of,
)

SHEET = grid.sheet(3, 3)
NEAR, FAR = connect.nearest(SHEET, degree=3), connect.nearest(SHEET, degree=5)


def one() -> nn.Module:
    model = nn.Linear(2, 2)
    model.graph = NEAR
    return model


def two() -> nn.Module:
    model = nn.Linear(2, 2)
    model.graphs = {"lateral": NEAR, "feedback": FAR}
    return model


def test_a_model_with_one_graph_needs_no_names():
    assert dict(graphs_of(one())) == {"graph": NEAR}
    assert graph_of(one()) is graph_of(one(), "graph") is NEAR


def test_the_first_graph_is_the_graph_of_a_model():
    assert list(graphs_of(two())) == ["lateral", "feedback"]
    assert graph_of(two()) is NEAR
    assert graph_of(two(), "feedback") is FAR


KEEP = (
    "; keep the edges there, self.graph = graph. What is trained without edges needs a loop of its "
    "own."
)


@pytest.mark.parametrize(
    ("graphs", "message"),
    [
        (None, f"model.graph must be a ColumnGraph. Got NoneType from Linear{KEEP}"),
        (
            {},
            "model.graphs must be a mapping from names to ColumnGraphs. Got no graph from Linear.",
        ),
        (
            [NEAR],
            "model.graphs must be a mapping from names to ColumnGraphs. Got list from Linear.",
        ),
        ({"up": 3}, f"model.graphs['up'] must be a ColumnGraph. Got int from Linear{KEEP}"),
    ],
)
def test_what_is_no_graph_is_named(graphs, message):
    model = nn.Linear(2, 2)
    model.graphs = graphs
    with pytest.raises(TypeError) as caught:
        graphs_of(model)
    assert str(caught.value) == message


def test_an_unknown_graph_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"one of 'lateral', 'feedback'\. Got 'down'\."):
        graph_of(two(), "down")


def test_a_model_describes_itself_or_is_described():
    assert description_of(one()) == "Linear with 6 parameters on 9 columns and 27 edges."
    assert description_of(two()) == (
        "Linear with 6 parameters on 9 columns and 27 edges (lateral), and 9 columns and 45 edges "
        "(feedback)."
    )
    model = one()
    model.describe = lambda: "A circuit of the retina."
    assert description_of(model) == "A circuit of the retina."


class Logits(NamedTuple):
    logits: torch.Tensor


def test_a_prediction_is_found_or_asked_for():
    x = torch.ones(2, 3)
    assert prediction_of(ModelOutput(x)) is x
    with pytest.raises(TypeError, match=r"Got Logits with logits; name them prediction\."):
        prediction_of(Logits(x))
    with pytest.raises(TypeError, match=r"Got Tensor; return ModelOutput\(prediction\)."):
        prediction_of(x)


def test_everything_but_the_prediction_is_optional():
    output = ModelOutput(torch.ones(1))
    assert [name for name, value in output._asdict().items() if value is None] == [
        "state", "cost", "states", "energy", "iterations",
    ]  # fmt: skip
