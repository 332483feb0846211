"""The energy transformer as a model: contract, descent, gradients, and what it refuses."""

import copy

import pytest
import torch

from geometries import grid
from graphcolumns import connect
from graphcolumns.data.natural_patches import natural_patches
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.neurodynamics import EnergyColumnformer, energy_sheet
from graphcolumns.nn.protocols import description_of, graph_of

GRAPH = connect.nearest(grid.sheet(4, 4), degree=5)
SIZES = {"image_size": 4, "in_channels": 1, "num_classes": 16, "channels": 8, "patterns": 6}


def make(**options) -> EnergyColumnformer:
    torch.manual_seed(0)
    return energy_sheet(GRAPH, **(SIZES | {"steps": 4} | options))


@pytest.fixture
def images():
    return torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("weights", ["untied", "shared"])
@pytest.mark.parametrize("kind", ["relu", "softmax"])
def test_output_and_gradients(images, weights, kind):
    model = make(weights=weights, memory_kind=kind)
    output = model(images, return_states=True)
    assert output.prediction.shape == (3, 16)
    assert output.state.shape == (16, 3, 8)
    assert output.states.shape == (4, 16, 3, 8)
    assert output.energy.shape == (3,)
    assert torch.equal(output.states[-1], output.state)
    output.prediction.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        # Softmax over one channel of the readout apart, everything has an effect.
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("weights", ["untied", "shared"])
def test_steps_below_the_limit_descend_and_relaxation_shows_it(images, weights):
    model = make(weights=weights, dt=None, steps=10).double()
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    images = images.double()
    seen = model.relaxation(images)
    assert seen.steps.tolist() == list(range(11))
    assert (seen.energy.diff(dim=0) <= 1e-9).all()
    assert (seen.energy[-1] < seen.energy[0]).all()
    torch.testing.assert_close(seen.energy[-1], model(images).energy)
    torch.testing.assert_close(seen.output[-1], model(images).state)


def test_the_contract(images):
    model = make()
    assert graph_of(model) is model.graph
    assert description_of(model).startswith("A sheet of 16 columns of width 8, each with its own")
    other = make()
    for parameter in other.parameters():
        torch.nn.init.normal_(parameter)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(images).prediction, model(images).prediction)
    assert torch.equal(copy.deepcopy(model)(images).prediction, model(images).prediction)
    double = copy.deepcopy(model).double()(images.double())
    torch.testing.assert_close(double.prediction.float(), model(images).prediction)


def test_another_graph(images):
    model = make(edge_bias=False)
    before = model(images).prediction
    wider = connect.nearest(grid.sheet(4, 4), degree=7)
    model.rewired(wider)
    fresh = make(edge_bias=False)
    fresh.rewired(wider)
    assert not torch.equal(model(images).prediction, before)
    assert torch.equal(model(images).prediction, fresh(images).prediction)


def test_columns_without_edges_and_one_column(images):
    graph = ColumnGraph.from_edge_index(torch.empty(2, 0, dtype=torch.long), 16)
    torch.manual_seed(0)
    assert energy_sheet(graph, **SIZES)(images).prediction.isfinite().all()
    one = ColumnGraph.from_edge_index(torch.zeros(2, 1, dtype=torch.long), 1)
    sizes = SIZES | {"image_size": 1, "num_classes": 1, "patch": 1}
    assert energy_sheet(one, **sizes)(images[:1, :, :1, :1]).prediction.shape == (1, 1)


def test_it_learns_to_remove_noise():
    data = natural_patches(size=4, count=128, masked=0.25)
    model = make(weights="shared")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = data.task.loss(model(data.train_inputs).prediction, data.train_targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_masked_pixels_are_zero_and_targets_are_as_before():
    plain, masked = natural_patches(count=100), natural_patches(count=100, masked=0.25)
    assert torch.equal(plain.train_targets, masked.train_targets)
    hidden = masked.train_inputs == 0
    assert 0.2 < hidden.float().mean() < 0.3
    assert torch.equal(masked.train_inputs[~hidden], plain.train_inputs[~hidden])
    with pytest.raises(ValueError, match=r"masked must be a share in \[0, 1\)\. Got 1"):
        natural_patches(masked=1)


BAD = [
    ({"steps": 0}, "steps must be at least 1"),
    ({"patterns": 0}, "patterns must be at least 1"),
    ({"dt": 0.0}, r"dt must be positive and finite\. Got 0"),
    ({"epsilon": float("nan")}, "epsilon must be positive and finite"),
    ({"weights": "mixture"}, "weights must be one of"),
    ({"memory_kind": "tanh"}, "memory_kind must be one of"),
    ({"readout": "spatial"}, "readout must be one of"),
    ({"num_classes": 10}, r"Expected num_classes=16\. Got 10; pass readout='mean'"),
    ({"patch": 2, "num_classes": 25}, r"25 tokens|one token"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        make(**change)


def test_nan_is_an_error(images):
    with pytest.raises(ValueError, match="inputs must be finite"):
        make()(images * float("nan"))
