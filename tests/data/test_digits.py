import pytest
import torch
from sklearn.datasets import load_digits

from graphcolumns.data import digits

IMAGES, LABELS = load_digits(return_X_y=True)


def test_halves_are_the_first_and_the_last_digits():
    data = digits()
    assert (len(data.train_inputs), len(data.test_inputs)) == (898, 899)
    inputs = torch.cat([data.train_inputs, data.test_inputs]).reshape(-1, 64)
    assert torch.equal(inputs * 16, torch.from_numpy(IMAGES).float())
    assert torch.cat([data.train_targets, data.test_targets]).tolist() == LABELS.tolist()
    assert (data.num_classes, data.image_size, data.channels) == (10, (8, 8), 1)


def test_random_is_stratified_and_seeded():
    data, other = digits("random"), digits("random", seed=1)
    counts = data.train_targets.bincount()
    assert (counts - data.test_targets.bincount()).abs().max() <= 1
    assert not torch.equal(data.train_inputs, other.train_inputs)
    assert torch.equal(data.train_inputs, digits("random").train_inputs)


def test_permutation_moves_all_images_alike():
    plain, moved = digits(), digits(permuted=True, seed=3)
    assert not torch.equal(plain.train_inputs, moved.train_inputs)
    # Pixels keep their statistics under another name; the test half is moved the same way.
    for half in ("train_inputs", "test_inputs"):
        a, b = (getattr(data, half).reshape(-1, 64) for data in (plain, moved))
        assert torch.equal(a.sort(dim=1).values, b.sort(dim=1).values)
    a = torch.cat([plain.train_inputs, plain.test_inputs]).reshape(-1, 64)
    b = torch.cat([moved.train_inputs, moved.test_inputs]).reshape(-1, 64)
    match = (a.t()[:, None] == b.t()[None]).all(2)
    assert (match.sum(1) >= 1).all()


def test_a_smaller_training_half_is_stratified_and_the_test_half_stays():
    data = digits(train_size=100)
    assert data.train_targets.bincount().tolist() == pytest.approx([10] * 10, abs=1)
    assert torch.equal(data.test_inputs, digits().test_inputs)
    assert len(digits(train_size=898).train_inputs) == 898


def test_standard_scale_uses_the_training_half():
    data = digits(scale="standard")
    assert data.train_inputs.mean().item() == pytest.approx(0, abs=1e-5)
    assert data.train_inputs.std().item() == pytest.approx(1, abs=1e-4)
    assert abs(data.test_inputs.mean().item()) > 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "half"}, "split must be 'halves' or 'random'. Got 'half'"),
        ({"scale": "none"}, "scale must be 'unit' or 'standard'. Got 'none'"),
        ({"train_size": 5}, "between 10 .* and 888, or 898 for all. Got 5"),
        ({"train_size": 0}, "Got 0"),
        ({"train_size": 900}, "Got 900"),
        ({"margin": -1}, "margin must be 0 pixels or more. Got -1"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        digits(**arguments)


def test_a_margin_is_empty_and_takes_nothing_away():
    plain, wide = digits(), digits(margin=2)
    assert wide.test_inputs.shape == (899, 1, 12, 12)
    assert torch.equal(wide.test_inputs[:, :, 2:10, 2:10], plain.test_inputs)
    assert wide.test_inputs.sum() == plain.test_inputs.sum()


def test_permuted_labels_are_those_to_train_on():
    plain, permuted = digits(train_size=300), digits(train_size=300, permuted_labels=True)
    assert torch.equal(plain.train_inputs, permuted.train_inputs)
    assert torch.equal(plain.test_targets, permuted.test_targets)
    assert plain.train_targets.bincount().equal(permuted.train_targets.bincount())
    assert (plain.train_targets == permuted.train_targets).double().mean() < 0.2
