"""Activity of columns by region, and files of it."""

import numpy as np
import pytest
import torch
from torch import nn

from geometries import grid
from graphcolumns import connect
from graphcolumns.analysis.brain import (
    RegionActivity,
    activity_file,
    read_activity_file,
    region_activity,
)
from graphcolumns.geometry import Regions
from graphcolumns.models import sheet
from graphcolumns.nn.protocols import ModelOutput


class Steps(nn.Module):
    """Four columns of two channels: after step t column n is (t n, -t n) times the sample."""

    def forward(self, inputs, return_states=False):
        column = torch.arange(4.0)[:, None, None] * inputs[:, None] * torch.tensor([1.0, -1.0])
        states = torch.stack([column * t for t in (1, 2, 3)])
        return ModelOutput(inputs, states[-1], states=states if return_states else None)


class Last(nn.Module):
    def forward(self, inputs):
        return ModelOutput(inputs, torch.ones(4, len(inputs), 2))


class Nothing(nn.Module):
    def forward(self, inputs):
        return ModelOutput(inputs)


def regions():
    late, first, overlap = torch.tensor([[0, 0, 1, 1], [1, 0, 0, 0], [0, 1, 1, 0]]).bool()
    masks = {"late": late, "first": first, "both": overlap}
    return Regions.from_masks(masks, ("a", "a", "b"))


def test_by_hand():
    """Region "late" has columns 2 and 3: |x| is 2.5 at step 1 for the sample 1, and grows."""
    found = region_activity(Steps(), torch.tensor([1.0, 10.0]), regions())
    assert found.names == ("late", "first", "both")
    assert found.steps == (1, 2, 3)
    assert found.values.shape == (3, 2, 3)
    assert found.of("late").tolist() == [[2.5, 25], [5, 50], [7.5, 75]]
    assert found.of("first").tolist() == [[0, 0]] * 3
    assert found.of("both")[0].tolist() == [1.5, 15]
    assert repr(found) == "RegionActivity(3 steps, 2 samples, 3 regions)"


@pytest.mark.parametrize(
    ("channels", "expected"), [("mean_abs", 2.5), ("mean", 0.0), ("norm", 2.5 * 2**0.5)]
)
def test_what_the_activity_of_a_column_is(channels, expected):
    found = region_activity(Steps(), torch.tensor([1.0]), regions(), channels)
    assert float(found.of("late")[0, 0]) == pytest.approx(expected)
    assert found.channels == channels


def test_batches_change_nothing_but_memory():
    x = torch.rand(7)
    found = [region_activity(Steps(), x, regions(), batch_size=size).values for size in (2, 64)]
    assert torch.equal(*found)


def test_a_model_without_steps_has_its_last_state():
    found = region_activity(Last(), torch.rand(3), regions())
    assert found.steps == (1,)
    assert found.values.tolist() == [[[1.0] * 3] * 3]


def test_a_sheet_of_columns():
    geometry = grid.sheet(4, 4)
    model = sheet(
        geometry, connect.nearest(geometry, degree=3), image_size=4, in_channels=1, num_classes=2,
        channels=4, depth=3, weights={"dropout": 0.5},
    ).train()  # fmt: skip
    rows = Regions.from_areas(torch.arange(16) // 4, ["top", "second", "third", "bottom"])
    x = torch.rand(5, 1, 4, 4)
    found = region_activity(model, x, rows)
    assert model.training
    assert found.names == ("top", "second", "third", "bottom")
    states = model.eval()(x, return_states=True).states
    expected = states.abs().mean(-1).unflatten(1, (4, 4)).mean(2).transpose(1, 2)
    torch.testing.assert_close(found.values, expected)


def test_a_file_has_named_axes_and_no_pickles(tmp_path):
    found = region_activity(Steps(), torch.tensor([1.0, 10.0]), regions())
    path = activity_file(tmp_path / "activity.npz", found)
    assert [p.name for p in tmp_path.iterdir()] == ["activity.npz"]
    with np.load(path, allow_pickle=False) as file:
        assert file["axes"].tolist() == ["step", "sample", "region"]
        assert dict(zip(file["axes"].tolist(), file["values"].shape, strict=True)) == {
            "step": 3, "sample": 2, "region": 3,
        }  # fmt: skip
        assert file["values"].dtype == np.float32
        assert file["names"].tolist() == ["late", "first", "both"]
        assert file["steps"].tolist() == [1, 2, 3]
    again = read_activity_file(path)
    assert torch.equal(again.values, found.values)
    for name in ("names", "steps", "families", "channels"):
        assert getattr(again, name) == getattr(found, name)


def test_a_file_is_not_replaced_unless_that_is_said(tmp_path):
    found = region_activity(Steps(), torch.tensor([1.0]), regions())
    path = activity_file(tmp_path / "activity.npz", found)
    with pytest.raises(FileExistsError, match=r"must not exist\. Pass overwrite=True"):
        activity_file(path, found)
    more = region_activity(Steps(), torch.tensor([2.0]), regions())
    activity_file(path, more, overwrite=True)
    assert torch.equal(read_activity_file(path).values, more.values)
    with pytest.raises(ValueError, match=r"must end in \.npz"):
        activity_file(tmp_path / "activity.csv", found)
    np.savez(tmp_path / "other.npz", values=np.zeros(3))
    with pytest.raises(ValueError, match=r"Expected values, axes, .*Got none of axes, steps"):
        read_activity_file(tmp_path / "other.npz")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: region_activity(Steps(), torch.rand(2), Regions(torch.ones(1, 5).bool(), ("a",))),
         ValueError, r"Expected 4 columns\. Got regions of 5 vertices"),
        (lambda: region_activity(Nothing(), torch.rand(2), regions()), TypeError,
         "Got none from Nothing"),
        (lambda: region_activity(Steps(), torch.rand(2), regions(), "max"), ValueError,
         "channels must be one of"),
        (lambda: region_activity(Steps(), torch.rand(0), regions()), ValueError, "Got none"),
        (lambda: region_activity(Steps(), torch.rand(2), regions()).of("V1"), ValueError,
         r"'late', 'first', 'both'\. Got 'V1'"),
        (lambda: RegionActivity(torch.zeros(2, 3, 4), ("a",), (1, 2)), ValueError,
         r"T = 2 steps and R = 1 names\. Got \[2, 3, 4\]"),
    ],
)  # fmt: skip
def test_wrong_inputs_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
