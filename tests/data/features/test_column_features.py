import pytest
import torch
from torch import nn

from geometries.grid import ring
from graphcolumns.connect import nearest
from graphcolumns.data.features import ColumnFeatures
from graphcolumns.models import sheet
from graphcolumns.nn.protocols import ModelOutput
from tests.data.features.support.networks import pictures


class Counting(nn.Module):
    """Column n of sample b has the value 100 b + 10 t + n after step t."""

    depth = 3

    def forward(self, images, return_states=False):
        b, t, n = torch.arange(len(images)), torch.arange(1, 4), torch.arange(4)
        states = (n[None, :, None] + 10 * t[:, None, None] + 100 * b).float()[..., None]
        return ModelOutput(images, states=states if return_states else None)


def values(tokens):
    return tokens.squeeze(-1).tolist()


def test_states_after_the_steps_are_tokens():
    backbone = ColumnFeatures(Counting(), (1, -1))
    assert backbone.layers == ("step1", "step3")
    expected = [[10, 11, 12, 13, 30, 31, 32, 33], [110, 111, 112, 113, 130, 131, 132, 133]]
    assert values(backbone(pictures(2))) == expected
    assert values(backbone.features(pictures(1))["step3"]) == [[30, 31, 32, 33]]


def test_tokens_are_in_the_order_of_the_user():
    # The model's column 0 is the user's column 2, and so on.
    order = torch.tensor([2, 0, 3, 1])
    backbone = ColumnFeatures(Counting(), 1, permutation=order)
    assert values(backbone(pictures(1))) == [[11, 13, 10, 12]]
    some = ColumnFeatures(Counting(), 1, permutation=order, columns=torch.tensor([2, 2, 0]))
    assert values(some(pictures(1))) == [[10, 10, 11]]


@torch.no_grad()
def test_a_sheet_gives_its_states():
    geometry = ring(16)
    options = {"in_channels": 3, "num_classes": 2, "channels": 8, "interface": {"patch": 2}}
    model = sheet(geometry, nearest(geometry, 4), image_size=8, depth=3, **options)
    images = pictures(2)
    states = model.eval()(images, return_states=True).states
    found = ColumnFeatures(model, (2, 3))(images)
    assert found.equal(torch.cat([states[1], states[2]]).transpose(0, 1))


def test_a_model_without_states_is_refused():
    with pytest.raises(TypeError, match=r"return_states=True\), such as .* Got Linear without it"):
        ColumnFeatures(nn.Linear(2, 2))

    class Empty(Counting):
        def forward(self, images, return_states=False):
            return ModelOutput(images)

    with pytest.raises(TypeError, match=r"Empty must return states \[T, N, B, C\].* Got None"):
        ColumnFeatures(Empty())(pictures(1))


@pytest.mark.parametrize("steps", [0, 4, -4, (), (1, 5)])
def test_steps_that_there_are_not_are_refused(steps):
    with pytest.raises(ValueError, match=r"steps must be in 1, ..., 3, or negative from the end"):
        ColumnFeatures(Counting(), steps)


def test_a_step_is_read_once():
    with pytest.raises(ValueError, match=r"steps must be different. Got 3, 3"):
        ColumnFeatures(Counting(), (3, -1))


def test_ids_are_checked():
    images = pictures(1)
    with pytest.raises(TypeError, match=r"columns must be an int64 tensor. Got list"):
        ColumnFeatures(Counting(), columns=[1])
    with pytest.raises(ValueError, match=r"columns must be ids in \[0, 4\). Got 4"):
        ColumnFeatures(Counting(), columns=torch.tensor([4]))(images)
    with pytest.raises(ValueError, match=r"none below 0. Got shape \(1,\)"):
        ColumnFeatures(Counting(), columns=torch.tensor([-1]))
    with pytest.raises(ValueError, match=r"every id from 0 to 1 once. Got \[0, 0\]"):
        ColumnFeatures(Counting(), permutation=torch.tensor([0, 0]))
    with pytest.raises(ValueError, match=r"an id for each of 4 columns. Got 2"):
        ColumnFeatures(Counting(), permutation=torch.tensor([1, 0]))(images)
