import pytest
import torch

from graphcolumns.data import Dataset, StreamedDataset
from graphcolumns.data.features import choose_layers

GENERATOR = torch.Generator().manual_seed(0)
TRAIN, TEST = torch.randn(40, 6, generator=GENERATOR), torch.randn(20, 6, generator=GENERATOR)
WEIGHTS = torch.randn(6, 3, generator=GENERATOR)


def layer(noise, seed=1):
    """Features with the targets in them, under some noise."""
    generator = torch.Generator().manual_seed(seed)
    noisy = [x + noise * torch.randn(x.shape, generator=generator) for x in (TRAIN, TEST)]
    return Dataset(noisy[0], TRAIN @ WEIGHTS, noisy[1], TEST @ WEIGHTS, task="regression")


LAYERS = {"early": layer(2.0), "middle": layer(0.1), "late": layer(0.5)}


def explained(data):
    train, test = (data.batch(half, torch.arange(data.size(half))) for half in ("train", "test"))
    weights = torch.linalg.lstsq(train.inputs, train.targets).solution
    return 1 - float((test.inputs @ weights - test.targets).var() / test.targets.var())


def test_the_layer_that_predicts_best_is_taken():
    found = choose_layers(LAYERS, explained, count=2, held=(0, 1, 2))
    assert found.chosen == ("middle", "late")
    assert list(found.mean) == ["early", "middle", "late"]
    assert found.mean["middle"] == pytest.approx(sum(found.scores["middle"]) / 3)
    assert found.mean["middle"] > 0.9 > found.mean["early"]


def test_scores_worked_by_hand():
    scores = {"a": 1.0, "b": 3.0}
    data = {name: layer(0.0, seed) for seed, name in enumerate(scores)}
    order = iter(scores.values())
    assert choose_layers(data, lambda split: next(order)) == (
        ("b",), {"a": 1.0, "b": 3.0}, {"a": (1.0,), "b": (3.0,)}
    )  # fmt: skip


def test_the_held_out_half_is_never_read():
    class Forbidden:
        """Readable once, when the data set checks its first sample; never again."""

        closed = False

        def __len__(self):
            return 20

        def __getitem__(self, index):
            assert not self.closed, "the held-out half was read"
            return TEST[index], TEST[index] @ WEIGHTS

    class Training(Forbidden):
        def __getitem__(self, index):
            return TRAIN[index], TRAIN[index] @ WEIGHTS

    held = Forbidden()
    data = StreamedDataset(Training(), held, task="regression")
    held.closed = True
    splits = []
    choose_layers({"only": data}, lambda split: splits.append(split) or explained(split), folds=4)
    assert [(s.size("train"), s.size("test"), s.held_out) for s in splits] == [
        (15, 5, "validation")
    ]


def test_every_layer_is_scored_on_the_same_samples():
    seen = []
    choose_layers(LAYERS, lambda split: seen.append(split.test_targets) or 0.0)
    assert all(targets.equal(seen[0]) for targets in seen)
    assert not any((row == TEST @ WEIGHTS).all(1).any() for row in seen[0])


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match=r"number of layers, 3, .* Got 4 and \[0\]"):
        choose_layers(LAYERS, explained, count=4)
    with pytest.raises(ValueError, match=r"Got 1 and \[\]"):
        choose_layers(LAYERS, explained, held=())
    with pytest.raises(ValueError, match=r"finite number. Got nan for the layer 'early'"):
        choose_layers(LAYERS, lambda split: float("nan"))
    fewer = LAYERS["late"].subset(torch.arange(30))
    with pytest.raises(ValueError, match=r"same training samples. Got early: 40, late: 30"):
        choose_layers({"early": LAYERS["early"], "late": fewer}, explained)
