import pytest
import torch
from sklearn.linear_model import LogisticRegression

from graphcolumns.data import shapes
from graphcolumns.data.displays import FIGURES, draw_figures

SMALL = {"train_count": 192, "test_count": 96}
SIZES = {"shape": 4, "shade": 3, "size": 2, "quadrant": 4}


@pytest.fixture(scope="module")
def clean():
    """Every question about every image, without noise."""
    return shapes(training="every", noise=0.0, **SMALL)


def values_of(data, half: str = "train") -> torch.Tensor:
    """Values of the four attributes, ``[n, 4]``."""
    targets = data.train_targets if half == "train" else data.test_targets
    return targets.reshape(-1, 4) - torch.tensor([0, 4, 7, 9])


def test_classes_are_the_union_of_all_values(clean):
    assert clean.num_classes == 13
    assert clean.task.instructions == tuple(SIZES)
    assert clean.classes[:4] == FIGURES
    first = 0
    for place, (name, size) in enumerate(SIZES.items()):
        here = clean.train_targets[clean.train_inputs["instruction"] == place]
        assert here.unique().tolist() == list(range(first, first + size)), name
        first += size
    assert len(set(clean.classes)) == 13


def test_all_combinations_are_equally_frequent(clean):
    for half, times in (("train", 2), ("test", 1)):
        values = values_of(clean, half)
        number = ((values[:, 0] * 3 + values[:, 1]) * 2 + values[:, 2]) * 4 + values[:, 3]
        assert number.bincount(minlength=96).tolist() == [times] * 96


def test_images_show_what_the_answers_say(clean):
    images = clean.train_inputs["image"][::4, 0]
    for image, (shape, shade, large, quadrant) in zip(images, values_of(clean), strict=True):
        value = (0.4, 0.65, 0.9)[shade]
        assert float(image.max()) == pytest.approx(value, abs=0.02)
        radius = 24 * (0.09, 0.14)[large]
        assert float(image.sum() / value) == pytest.approx(torch.pi * radius**2, rel=0.03)
        parts = [image[y : y + 12, x : x + 12].sum() > 0 for y in (0, 12) for x in (0, 12)]
        assert parts == [place == quadrant for place in range(4)]
        # Of all figures of this size at the centre of mass, the right one is the nearest.
        middle = torch.arange(24) + 0.5
        mass = torch.stack([(image.sum(axis) * middle).sum() / image.sum() for axis in (1, 0)])
        drawn = draw_figures(torch.arange(4), mass.expand(4, 2), torch.full((4,), radius), 24)
        assert (image / value - drawn[:, 0]).abs().sum((1, 2)).argmin() == shape


def test_brightness_says_nothing_about_the_shape(clean):
    total = clean.train_inputs["image"][::4].sum((1, 2, 3))
    values = values_of(clean)
    for shade in range(3):
        for large in range(2):
            chosen = (values[:, 1] == shade) & (values[:, 2] == large)
            means = [float(total[chosen & (values[:, 0] == s)].mean()) for s in range(4)]
            assert max(means) / min(means) < 1.02


def test_two_objects_one_on_each_side():
    data = shapes(2, training="every", noise=0.0, **SMALL)
    assert data.task.instructions[:2] == ("left_shape", "left_shade")
    assert len(data.task.instructions) == 8
    answers = data.train_targets.reshape(-1, 2, 4) - torch.tensor([0, 4, 7, 9])
    assert set(answers[:, 0, 3].tolist()) == {0, 2}
    assert set(answers[:, 1, 3].tolist()) == {1, 3}
    sides = data.train_inputs["image"][::8, 0].split(12, dim=2)
    for side in (0, 1):
        shades = torch.tensor([0.4, 0.65, 0.9])[answers[:, side, 1]]
        torch.testing.assert_close(sides[side].amax((1, 2)), shades, rtol=0, atol=0.02)
    # The one object says nothing about the other.
    joint = (answers[:, 0, 0] * 4 + answers[:, 1, 0]).bincount(minlength=16)
    assert int(joint.min()) > 2


def test_colours():
    data = shapes(colour=True, training="every", noise=0.0, **SMALL)
    assert data.task.instructions == ("shape", "colour", "size", "quadrant")
    assert data.classes[4:7] == ("red", "green", "blue")
    images = data.train_inputs["image"][::4]
    assert images.shape[1:] == (3, 24, 24)
    assert torch.equal(images.amax((2, 3)).argmax(1), values_of(data)[:, 1])
    assert float((images.amax((2, 3)) > 0).sum(1).max()) == 1


def test_one_question_per_image_in_training_and_all_in_tests():
    data = shapes(**SMALL)
    assert data.train_inputs["instruction"].bincount().tolist() == [48] * 4
    assert data.test_inputs["instruction"].bincount().tolist() == [96] * 4
    every = shapes(training="every", **SMALL)
    assert torch.equal(data.train_inputs["image"], every.train_inputs["image"][::4])
    coded = shapes(2, encoding="one_hot", **SMALL)
    assert coded.train_inputs["instruction"].shape == (192, 6)
    assert coded.task.groups == ("left", "right")
    only = shapes(instructions=["size"], encoding="none", **SMALL)
    assert torch.equal(only.train_inputs, data.train_inputs["image"])
    assert set(only.train_targets.tolist()) == {7, 8}


def test_quadrants_are_easy_and_seeds_differ():
    data = shapes(instructions=["quadrant"], encoding="none", train_count=400, test_count=200)
    model = LogisticRegression(max_iter=300).fit(data.train_inputs.flatten(1), data.train_targets)
    assert model.score(data.test_inputs.flatten(1), data.test_targets) > 0.95
    first, again, other = (shapes(seed=seed, **SMALL).train_inputs["image"] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert float((first[:, 0, 11:13, 0]).std()) == pytest.approx(0.05, rel=0.2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objects": 3}, "objects must be 1 or 2. Got 3"),
        ({"size": 8}, "size >= 12"),
        ({"noise": -0.1}, "noise >= 0"),
        ({"training": "all"}, "training must be one of"),
        ({"test_count": 0}, "at least 1"),
        ({"instructions": ["colour"]}, "names out of shape, shade, size, quadrant"),
        ({"objects": 2, "instructions": ["shape"]}, "names out of left_shape"),
        ({"encoding": "none"}, "needs one of the instructions"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        shapes(**arguments)
