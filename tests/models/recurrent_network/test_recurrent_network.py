"""A recurrent network on edges: by hand, as torch's, and under rules of plasticity."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from geometries import grid
from graphcolumns import ColumnGraph, connect, train
from graphcolumns.cli import main
from graphcolumns.data import one_step_inference
from graphcolumns.models.recurrent_network import RecurrentNetwork, WeightCostOptions
from graphcolumns.nn.recording import recording
from graphcolumns.plasticity import Plasticity, presets
from graphcolumns.training.terms import TERMS, per_sample

SHEET = grid.sheet(3, 3)


def network(graph=None, **options):
    graph = connect.complete(SHEET) if graph is None else graph
    return RecurrentNetwork(graph, inputs=2, num_outputs=3, **options)


def test_two_columns_by_hand():
    # Column 0 gets 1 at the first step and keeps half of it; column 1 gets twice column 0.
    graph = ColumnGraph.from_edge_index(torch.tensor([[0, 0], [0, 1]]), 2)
    model = RecurrentNetwork(graph, inputs=1, num_outputs=1)
    with torch.no_grad():
        model.synapses.weight.copy_(torch.tensor([0.5, 2.0]))
        model.input_weight.copy_(torch.tensor([[1.0], [0.0]]))
        model.bias.copy_(torch.tensor([0.0, -0.5]))
        model.output_weight.copy_(torch.tensor([[1.0], [10.0]]))
        model.output_bias.fill_(1.0)
    out = model(torch.tensor([[[1.0], [0.0], [0.0]]]), return_states=True)
    assert out.states[:, :, 0, 0].tolist() == [[1, 0], [0.5, 1.5], [0.25, 0.5]]
    assert out.prediction.tolist() == [[0.25 + 5 + 1]]
    assert torch.equal(out.state, out.states[-1])
    assert out.cost is None


def test_on_all_pairs_it_is_the_network_of_torch():
    torch.manual_seed(0)
    model, theirs = network(), nn.RNN(2, 9, nonlinearity="relu", batch_first=True)
    graph = model.graph
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(model.input_weight)
        theirs.weight_hh_l0[graph.target.long(), graph.source.long()] = model.synapses.weight
        theirs.bias_ih_l0.copy_(model.bias)
        theirs.bias_hh_l0.zero_()
    inputs = torch.randn(4, 6, 2)
    states, _ = theirs(inputs)
    ours = model(inputs, return_states=True).states
    torch.testing.assert_close(ours[..., 0], states.permute(1, 2, 0))


def test_along_edges_or_as_one_matrix():
    torch.manual_seed(0)
    model, inputs = network(), torch.randn(4, 6, 2)
    whole = model(inputs).prediction
    with recording(model) as records:
        along = model(inputs).prediction
    torch.testing.assert_close(whole, along)
    assert len(records) == 6


def test_it_starts_orthogonal():
    model = network()
    matrix = torch.zeros(9, 9)
    matrix[model.graph.target.long(), model.graph.source.long()] = model.synapses.weight.detach()
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(9))
    few = network(connect.nearest(SHEET, 4)).synapses.weight
    assert float(few.detach().square().mean()) == pytest.approx(1 / 4, rel=0.5)
    assert not torch.equal(
        few, network(connect.nearest(SHEET, 4), initial="normal").synapses.weight
    )


def test_what_weights_cost():
    # Edges 1 -> 0 of weight -2 and length 3, 0 -> 1 of weight 1 and length 1, and a self-edge.
    edges, lengths = torch.tensor([[1, 0, 1], [0, 1, 1]]), torch.tensor([3.0, 1.0, 0.0])
    graph = ColumnGraph.from_edge_index(edges, 2, distance=lengths)
    costs = {}
    for wiring in ("size", "distance", "communicability"):
        model = RecurrentNetwork(graph, inputs=1, cost={"wiring": wiring})
        with torch.no_grad():
            model.synapses.weight.copy_(torch.tensor([-2.0, 1.0, 5.0]))
        costs[wiring] = model(torch.zeros(1, 1, 1)).cost
        assert costs[wiring].shape == (1, 2, 1, 1)
    assert costs["size"].flatten().tolist() == [2, 6]
    # The mean length is that of column 0, 3, and of column 1, 1/2.
    norm = (3 + 0.5) / 2
    assert costs["distance"].flatten().tolist() == pytest.approx([6 / norm, 1 / norm])
    # Rows are sources; sums of rows 1 and 7.
    root = torch.tensor([1.0, 7.0]).rsqrt()
    walks = torch.linalg.matrix_exp(root[:, None] * torch.tensor([[0.0, 1.0], [2.0, 5.0]]) * root)
    expected = [6 / norm * float(walks[1, 0]), 1 / norm * float(walks[0, 1])]
    assert costs["communicability"].flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["set", "rigl", "exact"])
def test_rules_change_its_edges(name):
    torch.manual_seed(0)
    data = one_step_inference(2, 1, 2, train_count=64)
    model = RecurrentNetwork(connect.nearest(SHEET, 4), data.spec, data.num_classes)
    rule = getattr(presets, name)(100, every=10, samples=16, check_samples=16)
    before = model.graph
    update = Plasticity(rule, SHEET).update(
        model, None, 10, data.train_inputs, data.train_targets, per_sample("classification")
    )
    assert len(update.rewiring.born) > 0
    assert not model.graph.same_topology(before)
    assert model.graph.num_edges == before.num_edges == len(model.synapses.weight)
    assert torch.isfinite(model(data.train_inputs).prediction).all()


def test_a_penalty_shortens_its_weights(tmp_path):
    data = one_step_inference(2, 1, 2, train_count=128, test_count=64)
    lengths = {}
    for strength in (0.0, 3.0):
        torch.manual_seed(0)
        graph = connect.complete(SHEET)
        model = RecurrentNetwork(graph, data.spec, 4, cost={"wiring": "communicability"})
        options = {"steps": 30, "lr": 1e-2, "batch_size": 32, "progress": False}
        train(
            model,
            data,
            run=tmp_path / f"{strength}",
            losses={"wiring": (strength, TERMS["wiring"])},
            **options,
        )
        size = model.synapses.weight.detach().abs()
        lengths[strength] = float((size * graph.distance).sum() / size.sum())
    assert lengths[3.0] < 0.95 * lengths[0.0]


def test_first_losses(tmp_path):
    data = one_step_inference(2, 1, 2, train_count=128, test_count=64)
    torch.manual_seed(0)
    cost = {"wiring": "communicability"}
    model = RecurrentNetwork(connect.complete(SHEET), data.spec, 4, cost=cost)
    losses, options = {"wiring": (0.5, TERMS["wiring"])}, {"lr": 1e-2, "batch_size": 32}
    train(model, data, run=tmp_path / "r", losses=losses, steps=3, progress=False, **options)
    entries = (tmp_path / "r/metrics.jsonl").read_text().splitlines()
    found = [json.loads(entry)["loss"] for entry in entries]
    assert found == pytest.approx([1.6474586, 1.5327771, 1.5700440], rel=1e-4)


def test_its_state_dict_keeps_the_normaliser():
    model = network(connect.nearest(SHEET, 4), cost={"wiring": "distance"})
    other = network(cost={"wiring": "distance"})
    assert other.wiring_norm != model.wiring_norm
    other.load_state_dict(model.state_dict())
    inputs = torch.randn(2, 3, 2)
    torch.testing.assert_close(other(inputs).cost, model(inputs).cost)


@pytest.mark.slow
def test_the_published_rule_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tiny = [
        *("experiment=one_step_inference", "plasticity=sernn", "geometry.widths=[2,2]"),
        *("data.goal_steps=2", "data.delay_steps=1", "data.offer_steps=2", "data.train_count=64"),
        *("data.test_count=32", "batch_size=32", "steps=2", "epochs=null", "progress=false"),
    ]
    assert main(["train", *tiny, "run=r"]) == 0
    entries = [json.loads(line) for line in Path("r/metrics.jsonl").read_text().splitlines()]
    assert all(entry["wiring"] > 0 for entry in entries)
    assert "A recurrent network of 8 columns" in Path("r/report.html").read_text()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: RecurrentNetwork(connect.complete(SHEET)), r"must be \[T, I\]. Got None"),
        (lambda: network(initial="zeros"), "initial must be"),
        (lambda: network(cost={"wiring": "gaussian"}), "wiring must be"),
        (lambda: WeightCostOptions(power=0), "power must be above 0. Got 0"),
        (lambda: network()(torch.zeros(2, 9)), r"inputs must be \[B, T, 2\] .* Got \[2, 9\]"),
        (lambda: network()(torch.zeros(2, 0, 2)), r"with a step or more. Got \[2, 0, 2\]"),
        (
            lambda: network(
                ColumnGraph.from_edge_index(torch.tensor([[0], [1]]), 2),
                cost={"wiring": "distance"},
            ),
            "needs the length of every edge",
        ),
        (
            lambda: network(ColumnGraph.from_edge_index(torch.tensor([[0], [1]]), 2, 3)),
            "edges must join columns with columns",
        ),
        (lambda: network(geometry=grid.sheet(2, 2)), "must place 9 columns"),
    ],
)
def test_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()
