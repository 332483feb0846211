import pytest
import torch
from torch.nn import functional

from graphcolumns.train import evaluate
from tests.train.tiny import task, tiny


def test_scores_are_those_of_the_whole_half_at_once():
    model, data = tiny(), task()
    scores = evaluate(model, data, "test", batch_size=7)
    logits = model.eval()(data.test_inputs).logits
    expected = functional.cross_entropy(logits, data.test_labels).item()
    assert scores["loss"] == pytest.approx(expected, rel=1e-5)
    assert scores["accuracy"] == (logits.argmax(1) == data.test_labels).double().mean().item()


def test_it_leaves_the_mode_and_the_random_state_alone():
    model = tiny().train()
    before = torch.get_rng_state()
    evaluate(model, task(), "train")
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)


def test_an_unknown_half_is_an_error():
    with pytest.raises(ValueError, match=r"half must be 'train' or 'test'\. Got 'validation'"):
        evaluate(tiny(), task(), "validation")
