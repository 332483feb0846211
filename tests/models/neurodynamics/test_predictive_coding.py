"""Predictive coding models keep to the contract of models, and train."""

import pytest
import torch
from torch import nn

from geometries import grid
from graphcolumns import ColumnGraph, connect, train
from graphcolumns.data import digits
from graphcolumns.learning import predictive_coding
from graphcolumns.models.neurodynamics import (
    Initialiser,
    Link,
    PredictiveCodingModel,
    generative_predictive_coding,
    layered_predictive_coding,
    predictive_columns,
)
from graphcolumns.nn.dynamics import Layer
from graphcolumns.nn.protocols import graphs_of
from graphcolumns.plasticity import presets


@pytest.mark.parametrize("build", [layered_predictive_coding, generative_predictive_coding])
def test_an_empty_batch(build):
    assert build([6, 5, 3])(torch.rand(0, 6)).prediction.shape == (0, 3)


def test_evaluation_of_a_layered_network_is_a_feed_forward_pass():
    torch.manual_seed(0)
    model = layered_predictive_coding([6, 5, 3])
    stack = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    with torch.no_grad():
        for name, part in (("layer1", stack[0]), ("label", stack[2])):
            model.biases[name].normal_()
            part.weight.copy_(model.synapses[name].weight.reshape(part.weight.shape))
            part.bias.copy_(model.biases[name])
    x = torch.randn(4, 2, 3)
    output = model(x)
    torch.testing.assert_close(output.prediction, stack(x.flatten(1)))
    assert output.state.shape == (5, 4, 1)
    assert output.iterations is None
    assert list(graphs_of(model)) == ["layer1", "label"]
    assert "3 layers" in model.describe()


def test_residual_networks_of_any_depth_keep_their_size():
    x = torch.randn(64, 16)
    for depth in (4, 64):
        torch.manual_seed(0)
        model = layered_predictive_coding([16, *[32] * (depth - 1), 4], residual=True, mupc=True)
        assert 0.5 < model(x).state.square().mean().sqrt() < 2.0
    with pytest.raises(ValueError, match="mupc scales residual networks"):
        layered_predictive_coding([4, 4, 2], mupc=True)


def test_generative_networks_infer_their_labels():
    torch.manual_seed(0)
    model = generative_predictive_coding([6, 5, 3], steps=40, initialiser=True)
    output = model(torch.randn(4, 6))
    assert output.prediction.shape == (4, 3)
    assert output.energy.shape == output.iterations.shape == (4,)
    guess = Initialiser(("input", "h"), (6, 5))
    with pytest.raises(ValueError, match="names must be two or more"):
        Initialiser(("input",), (6,))
    assert guess(torch.randn(6, 4, 1))["h"].shape == (5, 4, 1)


def test_columns_on_a_graph_with_cycles_infer():
    graph = connect.nearest(grid.sheet(3, 3), degree=4)
    torch.manual_seed(0)
    model = predictive_columns(graph, 3, inputs=9, steps=300)
    with torch.no_grad():
        model.synapses["columns"].weight *= 0.3
        output = model(torch.randn(2, 1, 3, 3))
    # With a free label nothing prevents that all errors vanish.
    assert output.energy.max() < 1e-3
    assert model.graph.num_edges == graph.num_edges
    with pytest.raises(ValueError, match="Got neither spec nor inputs"):
        predictive_columns(graph, 3)


@pytest.mark.parametrize("preset", [presets.set, presets.rigl])
def test_sparse_links_are_rewired_and_learn(tmp_path, preset):
    sheet = grid.sheet(8, 8)
    near = connect.nearest(sheet, degree=6)
    torch.manual_seed(0)
    model = layered_predictive_coding([64, 64, 64, 10], graphs={"layer2": near})
    data = digits()
    rule = preset(steps=40, every=10, samples=32)
    train(
        model, data, run=tmp_path / "run", steps=40, batch_size=32, lr=3e-3, progress=False,
        learn=predictive_coding, plasticity={"layer2": rule}, geometry={"layer2": sheet},
    )  # fmt: skip
    assert model.graphs["layer2"].num_edges == near.num_edges
    assert not model.graphs["layer2"].same_topology(near)
    accuracy = (model(data.test_inputs).prediction.argmax(1) == data.test_targets).float().mean()
    assert accuracy > 0.5


def test_columns_are_rewired_while_they_learn(tmp_path):
    sheet = grid.sheet(8, 8)
    near = connect.nearest(sheet, degree=6)
    torch.manual_seed(0)
    model = predictive_columns(near, 10, inputs=64, steps=10)
    rule = presets.rigl(steps=6, every=3, samples=16)
    train(
        model, digits(), run=tmp_path / "run", steps=6, batch_size=16, progress=False,
        learn=predictive_coding, plasticity={"columns": rule}, geometry={"columns": sheet},
    )  # fmt: skip
    assert model.graph.num_edges == near.num_edges
    assert not model.graph.same_topology(near)


def test_wrong_models_are_refused():
    with pytest.raises(ValueError, match="layers must have 'input'"):
        PredictiveCodingModel({"label": Layer((2, 1))}, {})
    graph = ColumnGraph.from_edge_index(torch.tensor([[0], [0]]), 1, 1)
    layers = {"input": Layer((1, 1)), "h": Layer((1, 1)), "label": Layer((1, 1))}
    with pytest.raises(ValueError, match="activation must be one of"):
        PredictiveCodingModel(layers, {"label": Link("input", "label", graph, "sign")})
    with pytest.raises(ValueError, match="Expected \\(1, 1\\) for the source"):
        PredictiveCodingModel(
            layers | {"input": Layer((2, 1))}, {"label": Link("input", "h", graph)}
        )
    for build in (layered_predictive_coding, generative_predictive_coding):
        with pytest.raises(ValueError, match="sizes must be three or more"):
            build([3, 3])
    with pytest.raises(ValueError, match="graphs must name links"):
        layered_predictive_coding([3, 3, 3], graphs={"layer7": graph})
