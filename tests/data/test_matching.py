import pytest
import torch
from sklearn.linear_model import LogisticRegression

from graphcolumns.data import matching


def corners(inputs: torch.Tensor, patch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    return inputs[:, 0, :patch, :patch].flatten(1), inputs[:, 0, -patch:, -patch:].flatten(1)


@pytest.fixture(scope="module")
def data():
    return matching(noise=0.0)


def test_the_label_says_whether_the_corners_are_the_same(data):
    for inputs, labels in (
        (data.train_inputs, data.train_targets),
        (data.test_inputs, data.test_targets),
    ):
        first, second = corners(inputs)
        assert torch.equal((first == second).all(1).long(), labels)


def test_symbols_are_few_distinct_and_equally_bright(data):
    first, second = corners(data.train_inputs)
    alphabet = torch.cat([first, second]).unique(dim=0)
    assert len(alphabet) == 4
    assert alphabet.sum(1).tolist() == [2, 2, 2, 2]


def test_labels_and_corners_are_balanced_exactly(data):
    assert data.train_targets.bincount().tolist() == [1200, 1200]
    for corner in corners(data.train_inputs):
        for label in (0, 1):
            _, counts = corner[data.train_targets == label].unique(dim=0, return_counts=True)
            assert counts.tolist() == [300] * 4


def test_adding_up_evidence_is_at_chance_and_comparing_is_not(data):
    def one_hot(inputs: torch.Tensor) -> torch.Tensor:
        alphabet = corners(data.train_inputs)[0].unique(dim=0)
        return torch.cat([(c[:, None] == alphabet).all(2).float() for c in corners(inputs)], 1)

    def products(features: torch.Tensor) -> torch.Tensor:
        return (features[:, :4, None] * features[:, None, 4:]).flatten(1)

    train, test = one_hot(data.train_inputs), one_hot(data.test_inputs)
    # Any function of each corner is linear in its one-hot code: the optimum is "do not know".
    additive = LogisticRegression(C=1e6).fit(train, data.train_targets)
    assert abs(additive.coef_).max() < 1e-3
    both = LogisticRegression().fit(products(train), data.train_targets)
    assert both.score(products(test), data.test_targets) == 1.0


def test_distractors_are_fair_coins_and_noise_is_added():
    clean, noisy = matching(noise=0.0, count=480), matching(noise=0.3, count=480)
    background = clean.train_inputs[:, 0, 2:6, 2:6]
    assert set(background.unique().tolist()) == {0.0, 1.0}
    assert background.mean().item() == pytest.approx(0.5, abs=0.05)
    assert (noisy.train_inputs % 1).std() > 0.1


def test_seed_and_sizes():
    data = matching(size=9, patch=3, symbols=10, count=101, seed=5)
    assert data.train_inputs.shape == (51, 1, 9, 9)
    assert data.test_inputs.shape == (50, 1, 9, 9)
    again = matching(size=9, patch=3, symbols=10, count=101, seed=5)
    assert torch.equal(data.train_inputs, again.train_inputs)
    assert not torch.equal(data.train_inputs, matching(9, 3, 10, count=101).train_inputs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patch": 5}, "need size >= 2 \\* patch. Got 8 and 5"),
        ({"patch": 0}, "two patches must fit"),
        ({"symbols": 7}, r"symbols must be in \[2, 6\] for a 2 x 2 patch. Got 7"),
        ({"symbols": 1}, "Got 1"),
        ({"count": 3}, "count >= 4"),
        ({"noise": -1.0}, "noise >= 0"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        matching(**arguments)
