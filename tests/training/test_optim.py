from copy import deepcopy

import pytest
import torch
from torch import nn

from graphcolumns import Geometry, connect
from graphcolumns.models.columnformer import sheet
from graphcolumns.training.optim import (
    adamw,
    learning_rate,
    parameters_without_decay,
    set_learning_rate,
)
from tests.training.support.tiny import tiny


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
    class Marked(nn.Module):
        no_weight_decay = ("code",)

        def __init__(self):
            super().__init__()
            self.code = nn.Parameter(torch.ones(3, 3))
            self.bias = nn.Parameter(torch.ones(3))
            self.weight = nn.Parameter(torch.ones(3, 3))

    model = deepcopy(nn.Sequential(Marked()))
    assert parameters_without_decay(model) == {model[0].code, model[0].bias}


def test_biases_norms_and_codes_of_a_sheet_do_not_decay():
    geometry = Geometry(torch.rand(9, 2))
    graph = connect.nearest(geometry, 3)
    model = sheet(geometry, graph, image_size=3, in_channels=1, num_classes=2, channels=4)
    kept = parameters_without_decay(model)
    decaying = {name for name, p in model.named_parameters() if p not in kept}
    linears = ("attention.query", "attention.key", "attention.value", "attention.out")
    column = {f"columns.0.{name}.weight" for name in (*linears, "hidden", "out")}
    assert decaying == column | {"embed.linear.weight", "readout.linear.weight"}


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
