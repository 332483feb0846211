"""How far a learning rule is from backpropagation, layer by layer."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from graphcolumns.learning.backprop import Terms, backprop
from graphcolumns.learning.counter_hebb import counter_hebb
from graphcolumns.nn.batches import Inputs, device_of
from graphcolumns.nn.top_down import TopDownLayer, WeightedTopDownLayer
from graphcolumns.nn.unchanged import unchanged

# Parameters that say nothing about the direction in which a layer learns.
ASIDE = ("bias", "top_down_weight")


class LayerAngles(NamedTuple):
    """Angles of one layer, in degrees.

    Attributes:
        gradient: Angle between the gradient of the rule and that of backpropagation.
        weights: Angle between bottom-up weights and those of the top-down pass, NaN for layers
            without weights of that kind.
    """

    gradient: float
    weights: float


def layer_angles(
    model: Any, batch: tuple[Inputs, Tensor], terms: Terms, learn: Any = counter_hebb
) -> dict[str, LayerAngles]:
    r"""The angle between a learning rule and backpropagation, and between both kinds of weights.

    .. math::
        \angle(u, v) = 2 \arctan \frac{|\hat u - \hat v|}{|\hat u + \hat v|}, \qquad
        \hat u = u / |u|

    It is 0 where the rule goes down the gradient, 90 degrees where it has nothing to do with it.
    Below 90 degrees a small step of the layer lowers the loss. Weights are compared as vectors,
    biases are left out. Gradients and buffers of the model, and the state of torch's generators,
    stay as they are.

    Args:
        model: Model with a network, see ``counter_hebb``.
        batch: Inputs ``[B, ...]`` or a mapping of such tensors, and targets ``[B, ...]``.
        terms: Weight and term by name.
        learn: Learning rule, such as ``functools.partial(counter_hebb, top_down="fixed")``.

    Returns:
        Angles by layer, named by the first projection that it serves, ``"source -> target"``, in
        the order of the projections. Layers that learn nothing are left out; the angle of a
        gradient that is 0 is NaN.

    Source: Akrout et al., Deep Learning without Weight Transport, NeurIPS 2019,
    https://arxiv.org/abs/1904.05391, whose figures show both angles.
    """
    device = device_of(batch[0])
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        exact = _gradients(model, batch, terms, backprop)
        found = _gradients(model, batch, terms, learn)
    names: dict[TopDownLayer, str] = {}
    for source, target, layer in model.network.projections:
        names.setdefault(layer, f"{source} -> {target}")
    angles = {}
    for layer, name in names.items():
        learned = [p for n, p in layer.named_parameters() if n.split(".")[-1] not in ASIDE]
        learned = [p for p in learned if p in exact or p in found]
        if learned:
            mine, theirs = (_joined(learned, gradients) for gradients in (found, exact))
            angles[name] = LayerAngles(angle(mine, theirs), _weights(layer))
    return angles


def angle(first: Tensor, second: Tensor) -> float:
    """The angle between two tensors of one shape, as vectors, in degrees; NaN if one is 0."""
    u, v = (t.detach().flatten().double() for t in (first, second))
    u, v = u / u.norm(), v / v.norm()
    # Exact near 0 as well, where the arc cosine loses half of the digits.
    return math.degrees(2 * torch.atan2((u - v).norm(), (u + v).norm()).item())


def _weights(layer: TopDownLayer) -> float:
    if not isinstance(layer, WeightedTopDownLayer):
        return math.nan
    return angle(layer.weight, layer.feedback_weight)


def _gradients(
    model: nn.Module, batch: tuple[Inputs, Tensor], terms: Terms, learn: Any
) -> dict[nn.Parameter, Tensor]:
    """What a rule would fill in, by parameter; what is there stays."""
    with unchanged(model):
        learn(model, batch, terms, scaler=GradScaler(enabled=False))
        return {p: p.grad for p in model.parameters() if p.grad is not None}


def _joined(parameters: list[nn.Parameter], gradients: dict[nn.Parameter, Tensor]) -> Tensor:
    parts = [gradients.get(p, torch.zeros_like(p)).flatten() for p in parameters]
    return torch.cat(parts)
