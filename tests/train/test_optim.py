import pytest
import torch
from torch import nn

from graphcolumns.train.optim import adamw, decays, learning_rate, set_learning_rate
from tests.train.tiny import tiny


def test_learning_rate_by_hand():
    # 2 of 10 steps rise from 10 % to 100 %, then half a cosine over 7 steps ends at 10 %.
    rates = [learning_rate(step, 10, lr=1.0, warmup=0.2, min_lr=0.1) for step in range(10)]
    assert rates[:3] == pytest.approx([0.1, 0.55, 1.0])
    assert rates[-1] == pytest.approx(0.1)
    assert rates[2:] == sorted(rates[2:], reverse=True)
    middle = learning_rate(6, 11, lr=1.0, warmup=0.2, min_lr=0.1)
    assert middle == pytest.approx(0.55)


@pytest.mark.parametrize("warmup", [0.0, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_learning_rate_stays_within_its_bounds(warmup, steps):
    rates = [learning_rate(step, steps, lr=2.0, warmup=warmup, min_lr=0.1) for step in range(steps)]
    assert all(0.2 <= rate <= 2.0 for rate in rates)


def test_what_decays():
    marked = nn.Parameter(torch.ones(3, 3))
    marked.no_weight_decay = True
    assert not decays(marked)
    assert not decays(nn.Parameter(torch.ones(3)))
    assert decays(nn.Parameter(torch.ones(3, 3)))


def test_groups_and_decay():
    model = tiny()
    model.gain.requires_grad = False
    optimizer = adamw(model, lr=0.1, weight_decay=0.5, betas=(0.9, 0.95))
    decayed, others = optimizer.param_groups
    assert [id(p) for p in decayed["params"]] == [id(model.readout.weight)]
    assert decayed["weight_decay"] == 0.5
    assert {id(p) for p in others["params"]} >= {id(model.bias), id(model.edge)}
    assert others["weight_decay"] == 0
    before, bias = model.readout.weight.clone(), model.bias.clone()
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    torch.testing.assert_close(model.readout.weight, before * (1 - 0.1 * 0.5))
    assert torch.equal(model.bias, bias)


def test_set_learning_rate():
    optimizer = adamw(tiny(), lr=0.1, weight_decay=0.5, betas=(0.9, 0.95))
    set_learning_rate(optimizer, 0.3)
    assert [group["lr"] for group in optimizer.param_groups] == [0.3, 0.3]
