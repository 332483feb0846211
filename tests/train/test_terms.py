import pytest
import torch
from torch import nn

from graphcolumns.train import TERMS, losses
from graphcolumns.train.terms import EACH, TASKS
from tests.train.tiny import Output, tiny


def test_each_term_is_its_loss():
    model = tiny().eval()
    output = model(torch.rand(2, 1, 3, 3))
    expected = {
        "wiring": losses.wiring(output.cost),
        "activity": losses.activity_sparsity(output.state),
        "smoothness": losses.feature_smoothness(output.state, model.graph),
        "variation": losses.total_variation(model.mixture(), model.graph),
    }
    values = {name: term(model, output, torch.zeros(2)) for name, term in TERMS.items()}
    assert values == expected


LABELS = {
    "classification": torch.tensor([2, 0, 3, 3, 1]),
    "denoising": torch.arange(20.0).reshape(5, 1, 2, 2).cos(),
    "binary": torch.arange(20).reshape(5, 4) % 3 // 2,
}


@pytest.mark.parametrize("task", list(TASKS))
def test_the_losses_of_samples_are_those_of_batches_of_one(task):
    assert set(EACH) == set(TASKS) == set(LABELS)
    logits, labels = torch.arange(20.0).reshape(5, 4).sin(), LABELS[task]
    each = EACH[task](logits, labels)
    alone = [TASKS[task](logits[b : b + 1], labels[b : b + 1]) for b in range(5)]
    torch.testing.assert_close(each, torch.stack(alone))
    torch.testing.assert_close(each.mean(), TASKS[task](logits, labels))


def test_a_term_that_a_model_cannot_give_says_what_to_do():
    output = Output(torch.zeros(1, 2), torch.zeros(1, 1, 1), cost=None)
    with pytest.raises(
        ValueError, match=r"'wiring' cannot be computed: Linear has no cost: .*wiring='distance'"
    ):
        TERMS["wiring"](nn.Linear(1, 1), output, torch.zeros(1))
    with pytest.raises(ValueError, match=r"'variation' cannot be computed: .*weights='mixture'"):
        TERMS["variation"](nn.Linear(1, 1), output, torch.zeros(1))
