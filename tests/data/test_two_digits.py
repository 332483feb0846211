import pytest
import torch
from sklearn.svm import SVC

from graphcolumns.data import digits, two_digits
from graphcolumns.data.overlaid import class_pairs, overlaid, random_members

SMALL = {"train_count": 400, "test_count": 200}
HALVES = ("train", "test")


def halves(data):
    return [(data._half(half).inputs, data._half(half).targets) for half in HALVES]


class TestOverlaid:
    def test_by_hand(self):
        left = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
        right = torch.tensor([[[3.0, 5.0], [1.0, 1.0]]])
        assert overlaid(left, right, (0, 1)).tolist() == [[[1, 3, 5], [3, 4, 1]]]
        assert overlaid(left, right, (1, 0)).tolist() == [[[1, 2], [3, 5], [1, 1]]]
        assert overlaid(left, right, (0, 2)).tolist() == [[[1, 2, 3, 5], [3, 4, 1, 1]]]
        assert left.tolist() == [[[1, 2], [3, 4]]]

    @pytest.mark.parametrize("distinct", [False, True])
    def test_pairs_are_balanced(self, distinct):
        pairs = class_pairs(130, 4, distinct, torch.Generator().manual_seed(0))
        counts = (pairs[:, 0] * 4 + pairs[:, 1]).bincount(minlength=16).reshape(4, 4)
        assert counts.diagonal().sum() == 0 or not distinct
        used = counts[~torch.eye(4, dtype=torch.bool)] if distinct else counts.flatten()
        assert used.max() - used.min() <= 1

    def test_members_are_of_their_class_and_all_of_them_are_drawn(self):
        labels = torch.tensor([2, 0, 1, 2, 0, 2])
        drawn = random_members(
            torch.tensor([[0, 2]] * 200), labels, torch.Generator().manual_seed(0)
        )
        assert drawn[:, 0].unique().tolist() == [1, 4]
        assert drawn[:, 1].unique().tolist() == [0, 3, 5]


@pytest.fixture(scope="module")
def both():
    """Both questions about every image."""
    return two_digits(training="every", **SMALL)


def test_an_image_is_two_digits_of_its_own_half(both):
    source = digits()
    pools = [source.train_inputs[:, 0], source.test_inputs[:, 0]]
    classes = [source.train_targets, source.test_targets]
    for (inputs, targets), pool, of in zip(halves(both), pools, classes, strict=True):
        images = inputs["image"][::2, 0]
        assert torch.equal(inputs["image"][1::2, 0], images)
        assert inputs["instruction"].tolist() == [0, 1] * len(images)
        # What only one of the digits covers: two rows at the top, and at the bottom.
        for image, left, right in zip(images[:20], targets[::2], targets[1::2], strict=False):
            above = (pool[of == left][:, :2] == image[:2, :8]).flatten(1).all(1)
            below = (pool[of == right][:, -2:] == image[-2:, 4:]).flatten(1).all(1)
            assert above.any()
            assert below.any()
            candidates = [
                overlaid(a[None], b[None], (2, 4))[0]
                for a in pool[of == left][above]
                for b in pool[of == right][below]
            ]
            assert any(torch.equal(image, one) for one in candidates)


def test_no_digit_is_in_both_halves():
    # Digits in full, one per image: the offset is large enough that they do not touch.
    data = two_digits(offset=(0, 8), **SMALL)
    seen = []
    for inputs, _ in halves(data):
        left, right = inputs["image"][:, 0].split(8, dim=2)
        seen.append({tuple(x.flatten().tolist()) for x in torch.cat([left, right])})
    assert not seen[0] & seen[1]


def test_a_validation_half_is_made_of_other_training_digits():
    test, validation = two_digits(**SMALL), two_digits(held_out="validation", **SMALL)
    assert validation.held_out == "validation"
    pool = {tuple(x.flatten().tolist()) for x in digits().train_inputs}
    seen = []
    for inputs, _ in halves(two_digits(held_out="validation", offset=(0, 8), **SMALL)):
        parts = torch.cat(inputs["image"][:, 0].split(8, dim=2))
        seen.append({tuple(x.flatten().tolist()) for x in parts})
        assert seen[-1] <= pool
    assert not seen[0] & seen[1]
    assert not torch.equal(test.test_inputs["image"], validation.test_inputs["image"])


def test_balance():
    data = two_digits(**SMALL)
    assert data.train_inputs["instruction"].bincount().tolist() == [200, 200]
    assert data.test_inputs["instruction"].bincount().tolist() == [200, 200]
    every = two_digits(training="every", **SMALL)
    pairs = every.train_targets.reshape(-1, 2)
    assert (pairs[:, 0] * 10 + pairs[:, 1]).bincount().tolist() == [4] * 100
    for side in (0, 1):
        assert pairs[:, side].bincount().tolist() == [40] * 10


def test_which_digit_is_left_of_another():
    data = two_digits("left_of_right_of", train_count=450, test_count=180)
    ids, targets = data.test_inputs["instruction"].reshape(-1, 2), data.test_targets.reshape(-1, 2)
    # Two questions about each image, of which each names the answer to the other one.
    assert bool((ids[:, 0] < 10).all() and (ids[:, 1] >= 10).all())
    assert torch.equal(ids[:, 0], targets[:, 1])
    assert torch.equal(ids[:, 1] - 10, targets[:, 0])
    assert bool((targets[:, 0] != targets[:, 1]).all())
    assert data.task.instructions[3] == "left_of_3"
    assert data.task.instructions[13] == "right_of_3"
    # All twenty instructions are equally frequent.
    assert ids.flatten().bincount().tolist() == [18] * 20
    assert (data.train_inputs["instruction"] < 10).sum() == 225


def test_one_hot_has_the_direction_and_the_given_digit():
    ids, coded = (
        two_digits("left_of_right_of", encoding=encoding, **SMALL).test_inputs["instruction"]
        for encoding in ("ids", "one_hot")
    )
    assert coded.shape == (400, 12)
    assert coded.dtype == torch.float32
    assert coded.sum(1).unique().tolist() == [2]
    assert torch.equal(coded[:, :2].argmax(1) * 10 + coded[:, 2:].argmax(1), ids)
    data = two_digits("left_of_right_of", encoding="one_hot", **SMALL)
    assert data.task.groups == ("left_of", "right_of")
    assert torch.equal(data.task.group_of(data.test_inputs), ids // 10)
    plain = two_digits(encoding="one_hot", **SMALL)
    assert torch.equal(plain.task.group_of(plain.test_inputs), torch.tensor([0, 1] * 200))


def test_one_network_per_instruction_sees_the_same_images(both):
    for place, name in enumerate(("left", "right")):
        data = two_digits(instructions=(name,), encoding="none", **SMALL)
        assert not data.spec.is_mapping
        assert repr(data.task) == "'classification'"
        for (inputs, targets), (all_inputs, all_targets) in zip(
            halves(data), halves(both), strict=True
        ):
            assert torch.equal(inputs, all_inputs["image"][place::2])
            assert torch.equal(targets, all_targets[place::2])


def test_some_instructions_have_ids_of_their_own():
    data = two_digits("left_of_right_of", instructions=["right_of_7", "left_of_2"], **SMALL)
    assert data.task.instructions == ("right_of_7", "left_of_2")
    counts = data.test_inputs["instruction"].bincount()
    assert len(counts) == 2
    assert bool((counts > 15).all())
    # Right of 7 is anything but 7, left of 2 anything but 2.
    assert 7 not in data.test_targets[data.test_inputs["instruction"] == 0]
    assert 2 not in data.test_targets[data.test_inputs["instruction"] == 1]


def test_seed_and_sizes():
    first, again, other = (two_digits(seed=seed, **SMALL) for seed in (0, 0, 1))
    assert torch.equal(first.train_inputs["image"], again.train_inputs["image"])
    assert not torch.equal(first.train_inputs["image"], other.train_inputs["image"])
    assert first.size("train") == 400
    assert first.size("test") == 400
    assert first.image_size == (10, 12)
    assert first.channels == 1
    assert first.classes == tuple("0123456789")


def test_it_can_be_learned_and_needs_the_instruction():
    data = two_digits(train_count=1500, test_count=300)

    def features(inputs, with_instruction):
        # One machine per instruction is one machine on images in the place of their instruction.
        flat, ids = inputs["image"].flatten(1), inputs["instruction"]
        if not with_instruction:
            return flat
        return (flat[:, None] * torch.eye(2)[ids][:, :, None]).flatten(1)

    scores = [
        SVC()
        .fit(features(data.train_inputs, known), data.train_targets)
        .score(features(data.test_inputs, known), data.test_targets)
        for known in (True, False)
    ]
    assert scores[0] > 0.8
    # At most one of two answers, half of the time: 55 % with the digits that are twice in an image.
    assert scores[1] < 0.6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tasks": "above"}, "tasks must be one of 'left_right', 'left_of_right_of'. Got 'above'"),
        ({"encoding": "hot"}, "encoding must be one of"),
        ({"training": "all"}, "training must be one of 'one', 'every'"),
        ({"held_out": "both"}, "held_out must be one of"),
        ({"split": "thirds"}, "split must be"),
        ({"offset": (2,)}, "offset must be rows and columns"),
        ({"offset": (2, -1)}, "0 or more. Got"),
        ({"train_count": 0}, "at least 1. Got 0 and 1000"),
        ({"instructions": ("left", "up")}, "names out of left, right. Got"),
        ({"instructions": ()}, "instructions must be"),
        ({"instructions": ("left", "left")}, "different names"),
        ({"encoding": "none"}, r"needs one of the instructions. Got left, right; pass"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        two_digits(**arguments)
