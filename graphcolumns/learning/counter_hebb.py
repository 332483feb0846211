"""Gradients by Counter-Hebbian learning: an error pass along the top-down stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.amp import GradScaler

from graphcolumns.learning.backprop import Terms
from graphcolumns.learning.prediction_error import error_of
from graphcolumns.learning.top_down_options import (
    NoisePer,
    TopDownOptions,
    TopDownUpdate,
    check_model,
)
from graphcolumns.learning.top_down_updates import (
    decay_weights,
    mirror,
    mirror_weights,
    redraw_magnitudes,
)
from graphcolumns.nn.batches import Inputs, device_of, require_samples, split_evenly
from graphcolumns.nn.top_down import SubNetworkNeurons, TopDownNetwork


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

    def neurons(self, inputs: Inputs) -> Mapping[str, Tensor]:
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
    noise_per: NoisePer = "update",
    decay: float = 0.0,
    mirror_rate: float = 1.0,
    mirror_decay: float = 1.0,
    mirror_samples: int | None = None,
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
    difference of the two stays as it is, and shrinks with weight decay (Kolen & Pollack). Gradients
    must be empty before, as in ``train``: batches are divided by ``parts``, not by several calls.

    Args:
        model: Model with a network, see :class:`CounterHebbianModel`, such as
            ``graphcolumns.models.bottom_up_top_down.BottomUpTopDown``.
        batch: Inputs ``[B, ...]`` or a mapping of such tensors, and targets ``[B, ...]``.
        terms: Weight and term by name. Those with a weight may depend on the prediction only.
        scaler: Scaler of the loss, disabled.
        parts: Number of parts that the batch goes through the model in.
        amp: None: the passes are not run in half precision.
        top_down: What own top-down weights learn: ``"mirrored"``, from the same products;
            ``"fixed"``, nothing (feedback alignment); ``"weight_mirror"``, from noise that is sent
            through the weights, see ``mirror_weights``; ``"direct"``, nothing, as the error goes
            from the prediction to every population past them
            (:class:`~graphcolumns.nn.top_down.DirectFeedback`).
        noise: Standard deviation of a factor of mean 1 on mirrored products.
        noise_per: ``"update"``: one factor per layer and update, as in the source; ``"weight"``:
            one per weight.
        decay: Number times the weight that is added to the gradient of weights and, where they
            are mirrored, of own top-down weights. The weight decay of an optimizer such as SGD or
            AdamW does the same; Adam and others rescale what is added here.
        mirror_rate: Rate at which a weight mirror learns from correlations.
        mirror_decay: Decay of its top-down weights.
        mirror_samples: Number of samples of noise (default: as many as the batch has).

    Returns:
        The value of every term, ``[len(terms)]``, detached.

    Raises:
        TypeError: The model has no network with a top-down pass.
        ValueError: Options out of range or that do not go together, layers without the top-down
            weights that ``top_down`` or ``noise`` require, a model without direct feedback, a term
            that does not depend on the prediction alone, or ``amp``.

    Source: Abel & Ullman, Biologically-Motivated Learning Model for Instructed Visual Processing,
    2023, https://arxiv.org/abs/2306.02415; mirrored updates and weight mirrors: Akrout et al., Deep
    Learning without Weight Transport, NeurIPS 2019, https://arxiv.org/abs/1904.05391; fixed
    weights: Lillicrap et al., Nature Communications 2016, https://doi.org/10.1038/ncomms13276.
    """
    options = TopDownOptions(
        top_down, noise, noise_per, decay, mirror_rate, mirror_decay, mirror_samples
    )
    check_model(model, options, amp)
    inputs, targets = batch
    samples = require_samples(inputs)
    redraw_magnitudes(model.network)
    values = torch.zeros(len(terms), device=device_of(inputs))
    for x, y in zip(split_evenly(inputs, parts), targets.tensor_split(parts), strict=True):
        share = len(y) / samples
        neurons = model.neurons(x)
        each, error = error_of(model, neurons, x, y, terms)
        values += each * share
        counters = _error_pass(model, neurons, error * share, top_down)
        accumulate_products(model.network, neurons, counters)
    _learn_top_down(model.network, options, samples)
    return values


def accumulate_products(
    network: TopDownNetwork, neurons: Mapping[str, Tensor], counters: Mapping[str, Tensor]
) -> None:
    """Adds the Counter-Hebbian gradient of every parameter to its ``.grad``."""
    if isinstance(neurons, SubNetworkNeurons) and isinstance(counters, SubNetworkNeurons):
        neurons.accumulate(counters)
        return
    for source, target, layer in network.projections:
        if source in neurons and target in counters and target in neurons:
            for parameter, gradient in layer.counter_hebb(neurons[source], counters[target]):
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def _error_pass(
    model: Any, neurons: Mapping[str, Tensor], error: Tensor, top_down: str
) -> Mapping[str, Tensor]:
    if model.network.populations[model.prediction].activation == "relu":
        # The error is taken by the prediction; a silent neuron has no counter neuron.
        error = error * (neurons[model.prediction] > 0)
    tops = {model.prediction: error}
    if top_down == "direct":
        # Populations without gates, such as sums, still get what those above them send down.
        tops |= model.direct_feedback(error, neurons)
    counters: Mapping[str, Tensor] = model.network.top_down(tops, neurons, until=(model.input,))
    return counters


def _learn_top_down(network: TopDownNetwork, options: TopDownOptions, samples: int) -> None:
    if options.top_down == "mirrored":
        mirror(network, options.noise, options.noise_per)
    elif options.top_down == "weight_mirror":
        count = options.mirror_samples or samples
        mirror_weights(network, count, options.mirror_rate, options.mirror_decay)
    if options.decay:
        decay_weights(network, options.decay, top_down=options.top_down == "mirrored")
