"""A perceptron on a column graph, whose connections cost their length."""

import json

import pytest
import torch
from torch.nn import functional

from geometries import grid
from graphcolumns import ColumnGraph, connect
from graphcolumns.data import two_formulas
from graphcolumns.models.layered_columns import LayeredColumns
from graphcolumns.training import TERMS, train

RECORDED = [0.38312843, 1.75693929, 0.85084790]
ROWS = grid.rows([3, 5, 4, 2])


def make(**options):
    torch.manual_seed(0)
    model = LayeredColumns(ROWS, connect.between_areas(ROWS), 2, **options)
    torch.nn.init.normal_(model.bias)
    return model


def dense(model, above, below):
    """The matrix of the weights between two ranges of columns."""
    matrix = torch.zeros(14, 14)
    matrix[model.graph.target.long(), model.graph.source.long()] = model.edges.weight
    return matrix[above][:, below]


def test_two_columns_by_hand():
    """2 * 3 + 1 = 7 at a distance of .5 in the plane: |2| (.5 + .1) = 1.2."""
    geometry = grid.rows([1, 1], offset=0.5)
    model = LayeredColumns(geometry, connect.between_areas(geometry), 1)
    with torch.no_grad():
        model.edges.weight.fill_(2.0)
        model.bias.copy_(torch.tensor([9.0, 1.0]))
    output = model(torch.tensor([[3.0]]))
    assert output.prediction.tolist() == [[7.0]]
    assert output.cost.tolist() == pytest.approx([1.2])
    assert output.state[:, 0, 0].tolist() == [3.0, 7.0]


def test_it_is_a_perceptron():
    model, x = make(), torch.randn(6, 3)
    a, b, c, d = slice(0, 3), slice(3, 8), slice(8, 12), slice(12, 14)
    hidden = functional.silu(x @ dense(model, b, a).T + model.bias[b])
    hidden = functional.silu(hidden @ dense(model, c, b).T + model.bias[c])
    expected = hidden @ dense(model, d, c).T + model.bias[d]
    torch.testing.assert_close(model(x).prediction, expected)


def test_recorded_passes_and_large_models_sum_along_edges(monkeypatch):
    model, x = make(), torch.randn(6, 3)
    expected = model(x).prediction
    records = []
    monkeypatch.setattr(model.edges, "recorder", records.append)
    torch.testing.assert_close(model(x).prediction, expected)
    assert [tuple(record.x.shape) for record in records] == [(14, 6, 1)] * 3
    monkeypatch.setattr(model.edges, "recorder", None)
    monkeypatch.setattr("graphcolumns.models.layered_columns.model.DENSE", 13)
    torch.testing.assert_close(model(x).prediction, expected)


def test_gradients_are_those_of_the_perceptron():
    model, x = make(), torch.randn(6, 3)
    model(x).prediction.square().sum().backward()
    ours = model.edges.weight.grad.clone()
    assert torch.equal(model.bias.grad[:3], torch.zeros(3))
    change = torch.zeros_like(ours)
    for edge in (0, 20, len(ours) - 1):
        change.zero_()[edge] = 1e-3
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                model.edges.weight += sign * change
                ends.append(float(model(x).prediction.double().square().sum()))
                model.edges.weight -= sign * change
        assert float(ours[edge]) == pytest.approx((ends[0] - ends[1]) / 2e-3, rel=2e-2, abs=2e-2)


def test_the_cost_without_lengths_is_an_l1_norm():
    model = make(length_price=0.0, edge_price=1.0)
    cost, weight = model.connection_cost().detach(), model.edges.weight.detach().abs()
    assert float(cost) == pytest.approx(float(weight.sum()))
    longer = make(length_price=2.0, edge_price=0.0)
    lengths, cost = longer.graph.distance * weight, longer.connection_cost().detach()
    assert float(cost) == pytest.approx(2 * float(lengths.sum()), rel=1e-6)


def test_pruned_edges():
    model = make()
    graph = ColumnGraph.from_edge_index(model.graph.edge_index[:, ::2], 14).remeasure(ROWS)
    pruned = LayeredColumns(ROWS, graph, 2)
    assert pruned(torch.randn(2, 3)).prediction.shape == (2, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"geometry": grid.sheet(2, 7)}, "use geometries.grid.rows"),
        ({"geometry": grid.rows([3, 2])}, "must place 14 columns"),
        ({"num_outputs": 3}, r"Got\s+2 columns for 3 outputs"),
        ({"length_price": -1.0}, "prices must be 0 or above"),
        ({"graph": connect.between_areas(ROWS).permute(torch.arange(13, -1, -1))}, "later areas"),
        ({"graph": ColumnGraph.from_edge_index(torch.tensor([[0], [3]]), 14)}, "without lengths"),
        (
            {"graph": ColumnGraph.from_edge_index(torch.tensor([[0], [3]]), 14, 15)},
            "join columns with columns",
        ),
    ],
)
def test_what_is_refused(change, message):
    given = {"geometry": ROWS, "graph": connect.between_areas(ROWS), "num_outputs": 2}
    with pytest.raises(ValueError, match=message):
        LayeredColumns(**(given | change))


def test_inputs_are_one_per_column_of_the_first_area():
    with pytest.raises(ValueError, match=r"first area: 3. Got \[2, 4\]"):
        make()(torch.zeros(2, 4))


def test_first_three_losses(tmp_path):
    """Recorded; products on another machine round otherwise."""
    torch.manual_seed(0)
    model = LayeredColumns(grid.rows([4, 5, 2]), connect.between_areas(grid.rows([4, 5, 2])), 2)
    data, options = two_formulas(train=20, test=10), {"batch_size": 5, "progress": False}
    wiring = {"wiring": (0.01, TERMS["wiring"])}
    train(model, data, run=tmp_path / "r", losses=wiring, steps=3, lr=0.01, **options)
    lines = (tmp_path / "r/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["loss"] for line in lines] == pytest.approx(RECORDED, rel=1e-4)
