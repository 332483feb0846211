import pytest
import torch
from torch.amp import GradScaler

from graphcolumns.data.losses import cross_entropy
from graphcolumns.training import TERMS
from graphcolumns.training.optim import adamw
from graphcolumns.training.step import train_step
from tests.training.support.tiny import task, tiny


def step(model, **changes):
    data = task()
    terms = {
        "task": (1.0, lambda _, output, targets: cross_entropy(output.prediction, targets)),
        "activity": (2, TERMS["activity"]),
    }
    optimizer = adamw(model, lr=0.1, weight_decay=0.0, betas=(0.9, 0.95))
    scaler = changes.pop("scaler", GradScaler("cpu", enabled=False))
    inputs = changes.pop("inputs", data.train_inputs[:10])
    return train_step(
        model, (inputs, data.train_targets[:10]), terms, optimizer, scaler, step=7, **changes
    )


def test_values_add_up():
    values = step(tiny(dropout=0))
    assert list(values) == ["loss", "task", "activity", "gradient_norm"]
    assert values["loss"] == pytest.approx(values["task"] + 2 * values["activity"])


@pytest.mark.parametrize("parts", [2, 3, 10])
def test_parts_give_the_gradient_of_the_whole_batch(parts):
    whole, split = tiny(dropout=0), tiny(dropout=0)
    expected, values = step(whole), step(split, parts=parts)
    assert values == pytest.approx(expected, rel=1e-5)
    for a, b in zip(whole.parameters(), split.parameters(), strict=True):
        if a.grad is not None:
            torch.testing.assert_close(b.grad, a.grad, rtol=1e-4, atol=1e-7)


def test_clipping_limits_the_gradient_and_logs_what_it_was():
    model = tiny(dropout=0)
    values = step(model, clip=1e-3)
    gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    assert torch.cat(gradients).norm().item() == pytest.approx(1e-3, rel=1e-3)
    assert values["gradient_norm"] > 1e-2


@pytest.mark.parametrize("amp", ["bfloat16", "float16"])
def test_lower_precision_is_near(amp):
    scaler = GradScaler("cpu", enabled=amp == "float16")
    expected, values = step(tiny(dropout=0)), step(tiny(dropout=0), amp=amp, scaler=scaler)
    assert values == pytest.approx(expected, rel=3e-2)
    assert values != expected


def test_an_infinite_gradient_is_an_error_and_changes_no_weight():
    model = tiny(dropout=0)
    before = model.readout.weight.detach().clone()
    model.edge.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(FloatingPointError, match=r"At step 7 got loss=.*gradient_norm=(inf|nan)"):
        step(model)
    assert torch.equal(model.readout.weight, before)


def test_float16_skips_a_step_that_overflows():
    model = tiny(dropout=0)
    before = model.readout.weight.detach().clone()
    model.edge.register_hook(lambda gradient: gradient * float("inf"))
    scaler = GradScaler("cpu", enabled=True)
    scale = scaler.get_scale()
    step(model, amp="float16", scaler=scaler)
    assert torch.equal(model.readout.weight, before)
    assert scaler.get_scale() < scale
