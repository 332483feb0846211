from itertools import pairwise

import pytest
import torch

from graphcolumns.data.displays import FIGURES, perceptual_load


def test_what_is_drawn_is_what_the_truth_says():
    shown = perceptual_load(12, 3, "other", size=40, brightness=0.5)
    assert shown.images.shape == (12, 1, 40, 40)
    assert float(shown.images.max()) == 0.5
    assert float(shown.images.min()) == 0
    for image, target, place, figures in zip(
        shown.images[:, 0], shown.target, shown.place, shown.figures, strict=True
    ):
        assert figures[place] == FIGURES.index(("square", "triangle")[target])
        assert sorted(figures.tolist()) == sorted([-1, -1, 3, 3, 3, int(figures[place])])
        for where in range(6):
            angle = torch.tensor(where * torch.pi / 3)
            centre = 20 + 9.6 * torch.stack([-angle.cos(), angle.sin()])
            row, column = (int(x) for x in centre.floor())
            assert bool(image[row, column] > 0) == (int(figures[where]) >= 0)


@pytest.mark.parametrize("flanker", ["none", "same", "other", "neutral"])
def test_loads_can_be_compared_one_by_one(flanker):
    loads = [perceptual_load(30, k, flanker) for k in range(6)]
    for lower, higher in pairwise(loads):
        assert torch.equal(lower.target, higher.target)
        assert torch.equal(lower.place, higher.place)
        assert bool(((higher.figures == lower.figures) | (lower.figures < 0)).all())
        added = (higher.images - lower.images).flatten(1)
        assert bool((added >= 0).all())
        assert bool((added.sum(1) > 0).all())


def test_the_flanker_is_all_that_differs_between_flankers():
    kinds = {kind: perceptual_load(40, 2, kind) for kind in ("none", "same", "other", "neutral")}
    assert (kinds["none"].flanker == -1).all()
    assert torch.equal(kinds["same"].flanker, torch.tensor([1, 2])[kinds["same"].target])
    assert torch.equal(kinds["other"].flanker, torch.tensor([2, 1])[kinds["same"].target])
    assert (kinds["neutral"].flanker == FIGURES.index("disc")).all()
    sides = []
    for kind in ("same", "other", "neutral"):
        added = kinds[kind].images - kinds["none"].images
        columns = added.sum((1, 2)) > 0
        left, right = columns[:, :8].any(1), columns[:, 24:].any(1)
        # In one of the margins: in that of the other kinds, too.
        assert bool((left ^ right).all())
        assert not columns[:, 8:24].any()
        sides.append(left)
    assert torch.equal(sides[0], sides[1])
    assert torch.equal(sides[0], sides[2])
    assert 5 < int(sides[0].sum()) < 35


def test_balance_and_seed():
    shown = perceptual_load(600, 5)
    assert shown.target.bincount().tolist() == [300, 300]
    assert shown.place.bincount().min() > 60
    assert torch.equal(shown.images, perceptual_load(600, 5).images)
    assert not torch.equal(shown.images, perceptual_load(600, 5, seed=1).images)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"distractors": 6}, "distractors 0 to 5.*Got 4 and 6"),
        ({"count": 0}, "Got 0 and 1"),
        ({"flanker": "left"}, "flanker must be one of"),
        ({"size": 8}, "at least 16"),
        ({"brightness": 0.0}, "brightness in"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        perceptual_load(**{"count": 4, "distractors": 1, **arguments})
