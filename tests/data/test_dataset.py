import pytest
import torch

from graphcolumns.data import Dataset

INPUTS, LABELS = torch.rand(20, 2, 3, 4), torch.arange(20) % 2
BITS = torch.stack([LABELS, 1 - LABELS], 1)


def dataset(**changes) -> Dataset:
    parts = {
        "train_inputs": INPUTS,
        "train_targets": LABELS,
        "test_inputs": INPUTS[:6] + 5,
        "test_targets": LABELS[:6],
        "num_classes": 2,
    }
    return Dataset(**{**parts, **changes})


def test_sizes():
    data = dataset()
    assert (data.channels, data.image_size) == (2, (3, 4))
    assert repr(data) == (
        "Dataset(train=20, test=6, inputs=(2, 3, 4), num_classes=2, task='classification')"
    )


def test_folds_are_a_stratified_partition_of_the_training_half():
    folds = [dataset().validation(fold) for fold in range(5)]
    for fold in folds:
        assert fold.held_out == "validation"
        assert (len(fold.train_inputs), len(fold.test_inputs)) == (16, 4)
        assert fold.test_targets.bincount().tolist() == [2, 2]
        assert fold.train_inputs.max() < 2, "a sample of the test half"
    held = torch.cat([fold.test_inputs for fold in folds]).flatten(1).sum(1)
    torch.testing.assert_close(held.sort().values, INPUTS.flatten(1).sum(1).sort().values)


def test_folds_depend_on_the_seed_only():
    first, again = dataset().validation(1, seed=3), dataset().validation(1, seed=3)
    assert torch.equal(first.test_inputs, again.test_inputs)
    assert not torch.equal(first.test_inputs, dataset().validation(1, seed=4).test_inputs)


def test_folds_of_a_denoising_set():
    data = dataset(
        train_targets=INPUTS, test_targets=INPUTS[:6], num_classes=24, task="denoising"
    ).validation(0)
    assert torch.equal(data.test_targets, data.test_inputs)


@pytest.mark.parametrize("bits", [BITS, BITS.float(), BITS.bool()])
def test_folds_of_a_binary_set(bits):
    truth = torch.tensor([[0, 1], [1, 0]])
    data = dataset(train_targets=bits, test_targets=bits[:6], task="binary", truth=truth)
    fold = data.validation(0)
    assert (fold.task.name, len(fold.train_targets), len(fold.test_targets)) == (
        "multi_label",
        16,
        4,
    )
    assert torch.equal(fold.truth, truth)
    assert torch.equal(data.to("cpu").truth, truth)


def test_truth_in_another_order_of_columns():
    # Column n of a reordered sheet is column permutation[n] of the user.
    data, permutation = dataset(truth=torch.tensor([[0, 2], [1, 0]])), torch.tensor([2, 0, 1])
    assert data.truth_at(permutation).tolist() == [[0, 1], [1, 2]]
    assert data.truth_at().tolist() == [[0, 2], [1, 0]]
    with pytest.raises(ValueError, match=r"has no true edges: data\.planted\(\) does"):
        dataset().truth_at()


@pytest.mark.parametrize(
    ("fold", "folds", "message"),
    [
        (5, 5, r"fold must be in \[0, folds\) .*Got 5 of 5"),
        (-1, 5, "Got -1 of 5"),
        (0, 1, "folds >= 2"),
        (0, 11, "at least folds=11 training samples. The rarest has 10"),
    ],
)
def test_wrong_folds(fold, folds, message):
    with pytest.raises(ValueError, match=message):
        dataset().validation(fold, folds)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"train_inputs": INPUTS.double()}, TypeError, "train_inputs must be a float32 tensor"),
        ({"train_inputs": INPUTS[0, 0, 0]}, ValueError, r"such as \(n, channels, Y, X\)"),
        ({"test_inputs": INPUTS[:0]}, ValueError, "none of them 0"),
        (
            {"test_inputs": INPUTS[:6, :1]},
            ValueError,
            "same names, shapes and types. Got inputs .2, 3, 4. float32",
        ),
        ({"train_inputs": INPUTS / 0}, ValueError, "train_inputs must be finite"),
        (
            {"train_targets": LABELS.float()},
            TypeError,
            r"int64 tensor. Got torch.float32; call .lon",
        ),
        ({"train_targets": LABELS[:3]}, ValueError, r"train_targets must have shape \(20,\)"),
        ({"train_targets": [0, 1]}, TypeError, "train_targets must be a tensor. Got list"),
        ({"num_classes": 1}, ValueError, r"\[0, num_classes=1\). Got 0 to 1"),
        ({"task": "guessing"}, ValueError, "'reconstruction', 'denoising'. Got 'guessing'"),
        ({"task": "denoising"}, ValueError, "num_classes must be 24"),
        ({"task": "binary"}, ValueError, r"train_targets must have shape \(20, 2\)"),
        (
            {"task": "binary", "train_targets": BITS, "test_targets": BITS[:6] + 1},
            ValueError,
            "test_targets must hold 0 and 1, no or yes. Got 2",
        ),
        ({"truth": torch.zeros(2, 3)}, TypeError, "truth must be an int64 tensor. Got torch.float"),
        ({"truth": torch.zeros(3, 2).long()}, ValueError, r"shape \(2, P\), .*Got \(3, 2\)"),
        ({"truth": torch.tensor([[0], [-1]])}, ValueError, "ids of columns"),
    ],
)
def test_wrong_parts(changes, error, message):
    with pytest.raises(error, match=message):
        dataset(**changes)


def test_names_of_classes():
    inputs, labels = torch.zeros(4, 1, 2, 2), torch.tensor([0, 1, 0, 1])
    halves = inputs, labels, inputs, labels
    assert Dataset(*halves, 2, classes=("cat", "dog")).classes == ("cat", "dog")
    for wrong in (("cat",), ("cat", "cat"), ("cat", "dog", "owl")):
        with pytest.raises(ValueError, match="classes must be 2 different names"):
            Dataset(*halves, 2, classes=wrong)
    for wrong in (["cat", "dog"], "cd", (0, 1)):
        with pytest.raises(TypeError, match="classes must be a tuple of names"):
            Dataset(*halves, 2, classes=wrong)
    with pytest.raises(ValueError, match="one per class of a class"):
        Dataset(inputs, inputs, inputs, inputs, 4, task="denoising", classes=tuple("abcd"))
