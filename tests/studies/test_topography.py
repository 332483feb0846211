"""What the experiment on topography measures on its runs."""

from pathlib import Path

import pytest
import torch

from geometries import grid
from graphcolumns import connect, data
from graphcolumns.models import sheet
from graphcolumns.studies import StudyRun
from graphcolumns.studies.topography import attended_length, selectivity_maps, topography
from graphcolumns.training import TrainOptions

GEOMETRY = grid.sheet(8, 8)
GRAPH = connect.distance_decay(GEOMETRY, degree=6, length=2.0)
DIGITS = data.digits(train_size=100)


def make(**interface):
    torch.manual_seed(0)
    return sheet(
        GEOMETRY, GRAPH, image_size=8, in_channels=1, num_classes=10, channels=4, depth=2,
        interface={"patch": 4, "stride": 2, "padding": 1, **interface},
    ).eval()  # fmt: skip


def studied(model, untrained):
    never = None
    return StudyRun(
        Path(), GEOMETRY, GRAPH, DIGITS, model, untrained, GRAPH, TrainOptions(steps=1), never
    )


def test_selectivity_by_hand():
    # Classes respond 1 and 5 on average, both with a standard deviation of 1; column 1 is constant.
    states = torch.tensor([[0.0, 2.0, 4.0, 6.0], [3.0, 3.0, 3.0, 3.0]])[..., None]
    maps = selectivity_maps(states, torch.tensor([0, 0, 1, 1]))
    assert maps.tolist() == [[-4.0, 0.0], [4.0, 0.0]]


def test_channels_follow_each_other_within_a_class():
    states = torch.tensor([0.0, 2.0, 4.0, 6.0])[None, :, None] * torch.tensor([1.0, -1.0])
    assert selectivity_maps(states, torch.tensor([0, 0, 1, 1]))[:, 0].tolist() == [-4, 4, 4, -4]


def test_length_of_uniform_attention():
    torch.manual_seed(0)
    model = sheet(
        GEOMETRY, GRAPH, image_size=8, in_channels=1, num_classes=10, channels=4, depth=2,
        attention={"mode": "mixing"}, interface={"patch": 4, "stride": 2, "padding": 1},
    )  # fmt: skip
    # Every column has six in-edges, and its scores are all 0 at first.
    assert attended_length(model, DIGITS.test_inputs[:2]) == pytest.approx(
        GRAPH.distance.mean().item(), rel=1e-5
    )


def test_input_of_its_own_place_is_topographic_and_the_whole_image_is_not():
    whole = {"patch": 8, "stride": 8, "padding": 0}
    found = {}
    for name, interface in {"own": {}, "whole": whole}.items():
        model = make(**interface)
        found[name] = topography(studied(model, model), 8, 8, samples=16, count=19)
    assert found["own"]["moran_z"] > 4
    assert found["own"]["tuning_r_z"] < -4
    assert found["own"]["spatial_loss_z"] < -4
    assert abs(found["whole"]["moran_z"]) < 4
    assert abs(found["whole"]["tuning_r_z"]) < 4
    for name in ("moran", "tuning_r", "spatial_loss", "smoothness", "kernel_loss"):
        # The same model before and after: the same numbers.
        assert found["own"][f"untrained_{name}"] == found["own"][name]
        assert f"{name}_z" in found["own"]


def test_the_loss_of_kernels_falls_if_neighbours_have_the_same_weights():
    plain, alike = make(), make()
    with torch.no_grad():
        for module in alike.modules():
            for name in getattr(module, "column_tensors", ()):
                tensor = getattr(module, name, None)
                if tensor is not None:
                    tensor.copy_(tensor[:1].expand_as(tensor))
    found = topography(studied(alike, plain), 8, 8, samples=16, count=2)
    assert found["kernel_loss"] == pytest.approx(0, abs=1e-6)
    assert found["untrained_kernel_loss"] > 0.3


def test_attention_before_training_is_along_the_first_edges():
    other = connect.distance_decay(GEOMETRY, degree=5, length=1.0, seed=1)
    first = make()
    torch.manual_seed(0)
    last = sheet(
        GEOMETRY, other, image_size=8, in_channels=1, num_classes=10, channels=4, depth=2,
        interface={"patch": 4, "stride": 2, "padding": 1},
    ).eval()  # fmt: skip
    found = topography(studied(last, first), 8, 8, samples=16, count=2)
    same = topography(studied(first, first), 8, 8, samples=16, count=2)
    assert found["untrained_attended_length"] == pytest.approx(same["attended_length"])
    assert found["attended_length"] < found["untrained_attended_length"]
