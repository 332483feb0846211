import pytest
import torch
from torch.nn import functional

from graphcolumns.data import Dataset, StreamedDataset
from graphcolumns.training import evaluate
from tests.training.support.tiny import Tiny, task, tiny


def test_scores_are_those_of_the_whole_half_at_once():
    model, data = tiny(), task()
    scores = evaluate(model, data, "test", batch_size=7)
    logits = model.eval()(data.test_inputs).prediction
    expected = functional.cross_entropy(logits, data.test_targets).item()
    assert scores["loss"] == pytest.approx(expected, rel=1e-5)
    assert scores["accuracy"] == (logits.argmax(1) == data.test_targets).double().mean().item()


def test_scores_of_a_binary_task():
    base = task()
    bits = [(inputs.flatten(1)[:, :3] > 0.5).long() for inputs in
            (base.train_inputs, base.test_inputs)]  # fmt: skip
    data = Dataset(base.train_inputs, bits[0], base.test_inputs, bits[1], 3, "binary")
    model = tiny().eval()
    scores = evaluate(model, data, "test", batch_size=7)
    logits = model(data.test_inputs).prediction
    expected = functional.binary_cross_entropy_with_logits(logits, bits[1].float()).item()
    assert scores["loss"] == pytest.approx(expected, rel=1e-5)
    assert scores["accuracy"] == ((logits > 0) == (bits[1] == 1)).double().mean().item()


def test_a_prediction_for_some_of_the_samples_is_refused():
    class Half(Tiny):
        def forward(self, inputs):
            output = super().forward(inputs)
            return output._replace(prediction=output.prediction[::2])

    base = task()
    pairs = [list(zip(*half, strict=True)) for half in (
        (base.train_inputs, base.train_targets), (base.test_inputs, base.test_targets)
    )]  # fmt: skip
    for data in (base, StreamedDataset(*pairs, 3)):
        with pytest.raises(ValueError, match=r"one row per sample, .* B = 7\. Got \[4, 3\]"):
            evaluate(Half(), data, "test", batch_size=7)


def test_it_leaves_the_mode_and_the_random_state_alone():
    model = tiny().train()
    before = torch.get_rng_state()
    evaluate(model, task(), "train")
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)


def test_an_unknown_half_is_an_error():
    with pytest.raises(ValueError, match=r"half must be 'train' or 'test'\. Got 'validation'"):
        evaluate(tiny(), task(), "validation")
