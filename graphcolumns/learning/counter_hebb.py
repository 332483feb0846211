"""Gradients by Counter-Hebbian learning: an error pass along the top-down stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Tensor
from torch.amp import GradScaler

from graphcolumns.learning.backprop import Terms
from graphcolumns.nn.batches import Inputs, device_of, num_samples, split_evenly
from graphcolumns.nn.checks import check_choice
from graphcolumns.nn.top_down import TopDownNetwork, WeightedTopDownLayer

TopDownUpdate = Literal["mirrored", "fixed"]


class CounterHebbianModel(Protocol):
    """What this rule requires of a model, beside the contract of all models.

    Attributes:
        network: Populations and projections.
        prediction: Name of the population where the error enters.
        input: Name of the population that is seen.
    """

    network: TopDownNetwork
    prediction: str
    input: str

    def neurons(self, inputs: Inputs) -> dict[str, Tensor]:
        """Bottom-up neurons of all populations."""

    def output(self, neurons: Mapping[str, Tensor], inputs: Inputs) -> Any:
        """The output that neurons make."""


@torch.no_grad()
def counter_hebb(
    model: Any,
    batch: tuple[Inputs, Tensor],
    terms: Terms,
    *,
    scaler: GradScaler,
    parts: int = 1,
    amp: str | None = None,
    top_down: TopDownUpdate = "mirrored",
    noise: float = 0.0,
) -> Tensor:
    r"""Fills ``.grad`` with products of bottom-up neurons and their counter neurons.

    The gradient of the loss by the prediction enters the top-down stream, which carries it down
    along its own weights, linearly, without biases, gated by the bottom-up neurons. Each weight
    then sees a neuron before it and a counter neuron behind it:

    .. math::
        \bar h_s = 1[h_s > 0] \sum_{s \to t} \hat W_{ts}^\top \bar h_t, \qquad
        \Delta W_{ts} = \sum_b \bar h_t h_s^\top

    With tied weights this is backpropagation, exactly, for layers without batch statistics. With
    weights of their own, top-down weights get the same gradient (``"mirrored"``), so that the
    difference of the two stays as it is, and shrinks with weight decay (Kolen & Pollack).

    Args:
        model: Model with a network, see :class:`CounterHebbianModel`, such as
            ``graphcolumns.models.bottom_up_top_down.BottomUpTopDown``.
        batch: Inputs ``[B, ...]`` or a mapping of such tensors, and targets ``[B, ...]``.
        terms: Weight and term by name. They may depend on the prediction only.
        scaler: Scaler of the loss, disabled.
        parts: Number of parts that the batch goes through the model in.
        amp: None: the passes are not run in half precision.
        top_down: What own top-down weights learn: ``"mirrored"``, from the same products;
            ``"fixed"``, nothing (feedback alignment).
        noise: Standard deviation of a factor of mean 1 on each mirrored product.

    Returns:
        The value of every term, ``[len(terms)]``, detached.

    Raises:
        TypeError: The model has no network with a top-down pass.
        ValueError: Options out of range, a term that does not depend on the prediction alone, or
            ``amp``.

    Source: Abel & Ullman, Biologically-Motivated Learning Model for Instructed Visual Processing,
    2023, https://arxiv.org/abs/2306.02415; mirrored updates: Akrout et al., Deep Learning without
    Weight Transport, NeurIPS 2019, https://arxiv.org/abs/1904.05391; fixed weights: Lillicrap et
    al., Nature Communications 2016, https://doi.org/10.1038/ncomms13276.
    """
    _check(model, top_down, noise, amp)
    inputs, targets = batch
    values = torch.zeros(len(terms), device=device_of(inputs))
    for x, y in zip(split_evenly(inputs, parts), targets.tensor_split(parts), strict=True):
        share = len(y) / num_samples(inputs)
        neurons = model.neurons(x)
        each, error = error_of(model, neurons, x, y, terms)
        values += each * share
        counters = model.network.top_down(
            {model.prediction: error * share}, neurons, until=(model.input,)
        )
        accumulate_products(model.network, neurons, counters)
    if top_down == "mirrored":
        mirror(model.network, noise)
    return values


def error_of(
    model: Any, neurons: Mapping[str, Tensor], inputs: Inputs, targets: Tensor, terms: Terms
) -> tuple[Tensor, Tensor]:
    """The value of every term, and the gradient of their weighted sum by the prediction.

    Args:
        model: Model.
        neurons: Bottom-up neurons of all populations.
        inputs: Inputs of the model.
        targets: Targets.
        terms: Weight and term by name.
    """
    with torch.enable_grad():
        top = neurons[model.prediction].detach().requires_grad_()
        output = model.output({**neurons, model.prediction: top}, inputs)
        each = torch.stack([term(model, output, targets) for _, term in terms.values()])
        weights = torch.tensor([float(w) for w, _ in terms.values()]).to(each)
        (error,) = torch.autograd.grad(weights @ each, top)
    return each.detach().float(), error


def accumulate_products(
    network: TopDownNetwork, neurons: Mapping[str, Tensor], counters: Mapping[str, Tensor]
) -> None:
    """Adds the Counter-Hebbian gradient of every parameter to its ``.grad``."""
    for source, target, layer in network.projections:
        if source in neurons and target in counters and target in neurons:
            for parameter, gradient in layer.counter_hebb(neurons[source], counters[target]):
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def mirror(network: TopDownNetwork, noise: float = 0.0) -> None:
    """Gives top-down weights of their own the gradients of the bottom-up weights.

    Args:
        network: Network whose bottom-up weights have gradients.
        noise: Standard deviation of a factor of mean 1 on each of them.
    """
    for layer in network.layers:
        if isinstance(layer, WeightedTopDownLayer) and layer.top_down_weight is not None:
            gradient = layer.weight.grad
            if gradient is not None and noise:
                gradient = gradient * torch.randn_like(gradient).mul_(noise).add_(1)
            layer.top_down_weight.grad = None if gradient is None else gradient.clone()


def _check(model: Any, top_down: str, noise: float, amp: str | None) -> None:
    check_choice("top_down", top_down, get_args(TopDownUpdate))
    if not isinstance(getattr(model, "network", None), TopDownNetwork):
        raise TypeError(
            "counter_hebb trains models with a network that has a top-down pass. Got "
            f"{type(model).__name__}; take models.bottom_up_top_down.BottomUpTopDown, or "
            "learn=backprop."
        )
    if amp is not None:
        raise ValueError(f"the passes are not run in half precision. Got amp={amp!r}; pass None.")
    if not noise >= 0:
        raise ValueError(f"noise must be 0 or more. Got {noise!r}.")
