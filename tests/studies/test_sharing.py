"""Studies of shared weights, on runs whose numbers are known."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from geometries import grid
from graphcolumns import connect
from graphcolumns.data import digits
from graphcolumns.graph import ColumnGraph
from graphcolumns.models import sheet
from graphcolumns.nn.protocols import ModelOutput
from graphcolumns.studies import StudyRun
from graphcolumns.studies.agreement import column_agreement, hidden_sparsity, hidden_units
from graphcolumns.studies.placements import mds_geometry, placement_ratios, spectral_geometry
from graphcolumns.studies.references import depth_extrapolation, operations, reference_accuracies
from graphcolumns.studies.shifts import permutation_errors, shift_invariance

PLACES = grid.sheet(4, 4)
GRAPH = connect.nearest(PLACES, degree=5)


def run_of(model, data=None, untrained=None, geometry=PLACES, graph=GRAPH):
    model = model.eval()
    return StudyRun(
        *(Path(), geometry, graph, data or digits(), model, untrained or model, graph),
        SimpleNamespace(),
        None,
    )


def small_sheet(weights="untied", seed=0, activation="relu", **more):
    torch.manual_seed(seed)
    return sheet(
        PLACES,
        GRAPH,
        image_size=8,
        in_channels=1,
        num_classes=10,
        channels=4,
        depth=2,
        attention={"edge_bias": "none"},
        weights={"attention": weights, "activation": activation, **more},
        interface={"patch": 2, "stride": 2, "padding": 0, "position_embedding": False},
    ).eval()


class Brightest(nn.Module):
    """The sum of the image, which no shift changes that cuts nothing off."""

    def forward(self, images):
        total = images.sum((1, 2, 3))
        return ModelOutput(torch.stack([total, -total], 1), total[None, :, None])


def test_what_sums_an_image_with_a_margin_is_invariant_to_a_shift_by_a_pixel():
    found = shift_invariance(run_of(Brightest(), digits(margin=1)), samples=5)
    assert found["shift_consistency"] == 1
    assert found["lie_error"] == pytest.approx(0, abs=1e-6)
    zeros = float((digits().test_targets == 0).double().mean())
    assert found["novel_accuracy"] == pytest.approx(zeros)


def test_shared_columns_do_not_mind_their_order_and_untied_ones_do():
    shared = permutation_errors(run_of(small_sheet("shared")))
    untied = permutation_errors(run_of(small_sheet("untied")))
    assert shared["permutation_error"] < 1e-5
    assert untied["permutation_error"] > 1e-2
    assert untied["permuted_parameters_error"] < 1e-5


def test_references_are_the_published_accuracies_of_the_halves():
    """Nearest neighbour 96.1 %, support vectors 96.9 %: scikit-learn's example."""
    found = reference_accuracies(run_of(Brightest()))
    assert found["nearest_accuracy"] == pytest.approx(0.961, abs=1e-3)
    assert found["svm_accuracy"] == pytest.approx(0.969, abs=1e-3)
    assert found["logistic_accuracy"] == pytest.approx(0.93, abs=0.02)
    assert 0.9 < found["mlp_accuracy"] < 1


def test_feed_forward_columns_take_as_many_operations_and_have_no_further_steps():
    recurrent, once = (run_of(small_sheet(recurrent=flag)) for flag in (True, False))
    assert operations(recurrent) == operations(once)
    assert depth_extrapolation(once) == {}
    images, targets = digits().test_inputs, digits().test_targets
    answers = recurrent.model(images, depth=4).prediction.argmax(1)
    share = float((answers == targets).double().mean())
    assert depth_extrapolation(recurrent) == {"longer_accuracy": share}


def test_hidden_units_by_hand():
    """All biases -1 silence every unit of ReLU columns; one unit of 0 weights and bias 1 stays."""
    model = small_sheet()
    column = model.columns[0]
    with torch.no_grad():
        column.hidden.weight.zero_()
        column.hidden.bias.fill_(-1)
        column.hidden.bias[3, 2] = 1
    units = hidden_units(model, digits().test_inputs[:6])
    assert units.shape == (6, 2 * 16 * 8)
    assert (units > 0).sum(1).tolist() == [2] * 6
    found = hidden_sparsity(run_of(model, untrained=small_sheet(seed=1)), samples=6)
    assert found["active_percent"] == pytest.approx(100 * 2 / 256)
    assert found["silent_percent"] == pytest.approx(100 * 254 / 256)
    assert found["hoyer"] == pytest.approx(0)
    assert found["treves_rolls"] == pytest.approx(1)
    assert 20 < found["untrained_active_percent"] < 80


def test_gelu_has_no_zeros():
    found = hidden_sparsity(run_of(small_sheet(activation="gelu")), samples=20)
    assert found["active_percent"] > 99
    with pytest.raises(ValueError, match="without any; take model=columnformer"):
        hidden_units(Brightest(), torch.zeros(1, 1, 8, 8))


class SameState(nn.Module):
    """Every column has the same state: the first pixels of the image."""

    def forward(self, images):
        state = images.flatten(1)[:, 8:24]
        return ModelOutput(images.new_zeros(len(images), 10), state.expand(16, -1, -1))


def test_columns_with_one_state_agree():
    found = column_agreement(run_of(SameState()), samples=200)
    assert found["near_cka"] == pytest.approx(1)
    assert found["far_cka"] == pytest.approx(1)
    accuracies = {found[f"{name}_accuracy"] for name in ("own", "near", "far")}
    assert max(accuracies) - min(accuracies) < 1e-9
    assert min(accuracies) > found["chance_accuracy"]
    with pytest.raises(ValueError, match="near must leave pairs of columns on both sides"):
        column_agreement(run_of(SameState()), samples=40, near=99)


def ring(count):
    ids = torch.arange(count)
    return ColumnGraph.from_edge_index(torch.stack([ids, (ids + 1) % count]), count)


@pytest.mark.parametrize("place", [mds_geometry, spectral_geometry])
def test_a_ring_is_placed_as_a_ring(place):
    """Radii and lengths of edges are all alike: a regular polygon."""
    geometry, ids = place(ring(12)), torch.arange(12)
    lengths = geometry.distance(ids, (ids + 1) % 12)
    radii = (geometry.positions - geometry.positions.mean(0)).norm(dim=1)
    for values in (lengths, radii):
        assert float(values.std() / values.mean()) < 0.05


def test_ratios_of_a_sheet_and_its_neighbours():
    graph = connect.nearest(PLACES, degree=4, self_loops=False)
    found = placement_ratios(run_of(Brightest(), graph=graph), rounds=100)
    assert found["given_ratio"] == found["first_ratio"] < 0.7
    assert found["swapped_ratio"] < 0.85
    assert found["mds_ratio"] < 0.7
    assert found["spectral_ratio"] < 0.7


def test_activations_are_named():
    with pytest.raises(ValueError, match=r"weights\.activation must be .*relu"):
        small_sheet(activation="tanh")
