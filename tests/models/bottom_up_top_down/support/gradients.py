"""Gradients of a model by two rules, and how far they are apart."""

import math

import torch
from torch.amp import GradScaler
from torch.nn import functional as F

from graphcolumns.learning import backprop, counter_hebb

SCALER = GradScaler(enabled=False)


def _bits(prediction, labels):
    return (labels[:, None] >= torch.arange(prediction.shape[1])).to(prediction)


LOSSES = {
    "cross-entropy": F.cross_entropy,
    "bits": lambda p, y: F.binary_cross_entropy_with_logits(p, _bits(p, y)),
    "squares": lambda p, y: F.mse_loss(p, F.one_hot(y, p.shape[1]).to(p)),
}


def terms_of(*names):
    """Loss terms, the first with weight 1, others with weights that float32 rounds."""
    return {
        name: (
            1.0 + 0.3 * at,
            lambda model, output, y, loss=LOSSES[name]: loss(output.prediction, y),
        )
        for at, name in enumerate(names)
    }


def gradients(model, rule, batch, losses=("cross-entropy",), **options):
    """The gradients of all parameters that a rule gives one, by name."""
    model.zero_grad()
    rule(model, batch, terms_of(*losses), scaler=SCALER, **options)
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def both(model, batch, losses=("cross-entropy",), **options):
    """Gradients by backpropagation, and by Counter-Hebbian learning."""
    expected = gradients(model, backprop, batch, losses)
    return expected, gradients(model, counter_hebb, batch, losses, **options)


def relative_error(expected, found):
    """The largest distance of two gradients of a parameter, relative to their size."""
    assert found.keys() == expected.keys()
    whole = math.sqrt(sum(float(g.square().sum()) for g in expected.values()))
    # Gradients of single parameters may cancel: those count relative to a part of all.
    return max(
        (
            float((found[name] - gradient).norm())
            / max(float(gradient.norm()), 1e-3 * whole, 1e-30)
            for name, gradient in expected.items()
        ),
        default=0.0,
    )


def angle(expected, found):
    """The angle between two gradients, in degrees."""
    cosine = torch.cosine_similarity(expected.flatten(), found.flatten(), 0)
    return math.degrees(math.acos(float(cosine.clamp(-1, 1))))
