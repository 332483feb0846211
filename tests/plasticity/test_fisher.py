"""Curvature under the model's own predictions: every class by hand, and drawn without bias."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from graphcolumns.plasticity.probe.evidence import Probe
from graphcolumns.plasticity.probe.fisher import answers_of, fisher
from graphcolumns.plasticity.probe.trace import trace
from graphcolumns.training.terms import per_sample
from tests.models.support.variants import make
from tests.plasticity.support.learners import LOSSES, SHEET, learner, rows


@pytest.fixture
def model():
    return make().double()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(3, 1, 4, 4, dtype=torch.float64)


PAIRS = torch.cartesian_prod(torch.arange(4), torch.arange(32)).T


def cross_entropy(output, labels: Tensor) -> Tensor:
    return F.cross_entropy(output.prediction, labels, reduction="none")


def test_every_class_weighted_by_its_probability(model, images):
    expected = torch.zeros(2, PAIRS.shape[1], dtype=torch.float64)
    for image in images.split(1):
        p = model.eval()(image).prediction.softmax(-1).detach()[0]
        for label in range(5):
            got = trace(model, image, torch.tensor([label]), cross_entropy, *PAIRS)
            squares = torch.stack([got.deletion_squares, got.insertion_squares])
            expected += p[label] * squares
    got = fisher(model, images, *PAIRS, slice_size=2)
    assert got.samples == 3
    torch.testing.assert_close(got.deletion_squares, expected[0])
    torch.testing.assert_close(got.insertion_squares, expected[1])


def test_draws_are_without_bias(model, images):
    """Also where the model is nearly sure: the case that plain sampling misses."""
    with torch.no_grad():
        for parameter in model.readout.parameters():
            parameter.mul_(20.0)
    exact = fisher(model, images, *PAIRS).insertion_squares.sum()
    drawn = fisher(model, images, *PAIRS, draws=60).insertion_squares.sum()
    assert float(drawn) == pytest.approx(float(exact), rel=0.15)


def test_draws_do_not_depend_on_slices(model, images):
    one = fisher(model, images, *PAIRS, draws=2, seed=3, slice_size=1)
    all_at_once = fisher(model, images, *PAIRS, draws=2, seed=3)
    torch.testing.assert_close(one.deletion_squares, all_at_once.deletion_squares)
    other = fisher(model, images, *PAIRS, draws=2, seed=3, update=1)
    assert not torch.allclose(one.insertion_squares, other.insertion_squares)


def test_a_model_that_is_sure_stays_finite(model, images):
    with torch.no_grad():
        for parameter in model.readout.parameters():
            parameter.mul_(1e4)
    assert fisher(model, images, *PAIRS, draws=2).insertion_squares.isfinite().all()
    assert fisher(model, images, *PAIRS).insertion_squares.isfinite().all()


LABELS = {
    "classes": ("classification", torch.tensor([0, 1, 2]), "classes"),
    "bits": ("multi_label", torch.tensor([[0.0, 1, 1, 0]] * 3), "bits"),
    "responses that happen to be 0 and 1": ("regression", torch.tensor([[0.0, 1, 1, 0]] * 3), None),
    "binary images": ("reconstruction", torch.tensor([[0.0, 1, 1, 0]] * 3), None),
}


@pytest.mark.parametrize("case", LABELS)
def test_the_task_says_what_its_answers_are(case):
    """Labels that look alike are not: only a classifier predicts classes or bits."""
    task, labels, expected = LABELS[case]
    losses = per_sample(task)
    assert answers_of(losses, labels) == expected
    probe = Probe(learner(), SHEET, rows().train_inputs[:3], labels, losses, seed=3, update=2)
    place = slice(0, 64)
    got = probe.fisher(place).deletion_squares
    empirical = probe.scores.at(place).deletion_squares
    assert torch.equal(got, empirical) is (expected is None)


def test_losses_that_do_not_say_it():
    def losses(output, labels):
        return output.prediction.square().mean(1)

    assert answers_of(losses, torch.tensor([0, 3])) == "classes"
    assert answers_of(losses, torch.tensor([0.5, 3.0])) is None
    assert answers_of(losses, torch.tensor([[0, 1], [1, 1]])) is None
    losses.answers = "bits"
    assert answers_of(losses, torch.tensor([[0, 1], [1, 1]])) == "bits"
    losses.answers = "words"
    with pytest.raises(ValueError, match=r"'classes', 'bits' or None. Got 'words'"):
        answers_of(losses, torch.tensor([0, 3]))


def test_what_it_does_not_take(model, images):
    with pytest.raises(ValueError, match="draws must be at least 1"):
        fisher(model, images, *PAIRS, draws=0)
    with pytest.raises(ValueError, match="at least one sample"):
        fisher(model, images[:0], *PAIRS)


@pytest.mark.parametrize("memory", ["store", "recompute"])
def test_asked_for_first_it_brings_the_scores_along(memory):
    """One forward pass for both gives what two give, bit for bit, over slices and in any order."""
    model = learner(cost={"memory": memory})
    inputs, labels = rows().train_inputs[:10], rows().train_targets[:10]
    probe, other = (
        Probe(model, SHEET, inputs, labels, LOSSES, slice_size=4, seed=3, update=2)
        for _ in range(2)
    )
    for look in (probe, other):
        look.candidates(torch.tensor([9, 0, 3]), torch.tensor([0, 15, 12]))
    curvature, seen = probe.fisher(slice(0, 64)), probe.scores  # together
    apart, alone = other.scores, other.fisher(slice(0, 64))  # one after the other
    for name in ("mass", "deletion", "insertion", "insertion_squares"):
        assert torch.equal(getattr(seen, name), getattr(apart, name))
    for name in ("deletion_squares", "insertion_squares"):
        assert torch.equal(getattr(curvature, name), getattr(alone, name))
    ends = probe.targets[:64], probe.sources[:64]
    direct = fisher(model, inputs, *ends, draws=1, seed=3, update=2, slice_size=4)
    torch.testing.assert_close(curvature.deletion_squares, direct.deletion_squares)
    assert not torch.equal(curvature.deletion_squares, seen.deletion_squares[:64])
