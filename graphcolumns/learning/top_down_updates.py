"""What top-down weights of their own learn, beside the weights of the bottom-up pass."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from graphcolumns.nn.top_down import Population, TopDownNetwork, WeightedTopDownLayer


def own_weights(network: TopDownNetwork) -> Iterator[tuple[WeightedTopDownLayer, nn.Parameter]]:
    """All layers with top-down weights of their own, and these weights."""
    for layer in network.layers:
        if isinstance(layer, WeightedTopDownLayer) and layer.top_down_weight is not None:
            yield layer, layer.top_down_weight


def mirror(network: TopDownNetwork, noise: float = 0.0, noise_per: str = "update") -> None:
    r"""Gives top-down weights of their own the gradients of the bottom-up weights.

    .. math::
        \Delta \hat W = (1 + \sigma \xi) \, \Delta W, \qquad \xi \sim \mathcal N(0, 1)

    Args:
        network: Network whose bottom-up weights have gradients.
        noise: Standard deviation :math:`\sigma` of the factor.
        noise_per: ``"update"``: one factor per layer and update; ``"weight"``: one per weight.
    """
    for layer, own in own_weights(network):
        if own.requires_grad:
            _mirror(layer, own, noise, noise_per)


def _mirror(layer: WeightedTopDownLayer, own: nn.Parameter, noise: float, noise_per: str) -> None:
    gradient = layer.weight.grad
    if gradient is not None and noise:
        like = gradient if noise_per == "weight" else gradient.new_empty(())
        gradient = gradient * torch.randn_like(like).mul_(noise).add_(1)
    own.grad = None if gradient is None else gradient.clone()


@torch.no_grad()
def mirror_weights(network: TopDownNetwork, samples: int, rate: float, decay: float) -> None:
    r"""Gives top-down weights of their own the gradients of a weight mirror.

    The populations at the lower ends of all layers fire at random, and drive those above them.
    Top-down weights learn from what fires together, and decay:

    .. math::
        -\Delta \hat W = \rho \, \frac{1}{S} \sum_s (W \xi_s) \, \xi_s^\top - \lambda \hat W,
        \qquad \xi \sim \mathcal N(0, 1)

    In the mean over noise the first part is :math:`\rho W`, so they come to rest at
    :math:`W \rho / \lambda`. Targets respond linearly, before their activation and without bias.
    The mean goes over all pairs that share a weight, such as the pixels of a convolution. The
    frozen coefficients of attention add a positive factor per source. Gains of norms are no
    connections: they get the same updates as in the bottom-up pass.

    Args:
        network: Network.
        samples: Number :math:`S` of samples of noise.
        rate: Rate :math:`\rho` of learning from correlations.
        decay: Decay :math:`\lambda`.

    Source: Akrout et al., Deep Learning without Weight Transport, NeurIPS 2019,
    https://arxiv.org/abs/1904.05391.
    """
    sources: dict[nn.Module, Population] = {}
    for source, _, projected in network.projections:
        sources.setdefault(projected, network.populations[source])
    for layer, own in own_weights(network):
        if not own.requires_grad:
            continue
        if not _connects(layer):
            _mirror(layer, own, 0.0, "update")
            continue
        # Of torch's own generator, which the training loop seeds in every step.
        noise = torch.randn(sources[layer].batched(samples), dtype=own.dtype, device=own.device)
        response = layer.linear(noise, layer.weight)
        count = layer.products(torch.ones_like(noise), torch.ones_like(response))
        # Weights at a border that no window sees have no pairs, and their products are 0.
        correlation = layer.products(noise, response) / count.clamp(min=1)
        own.grad = decay * own.detach() - rate * correlation


def decay_weights(network: TopDownNetwork, decay: float, top_down: bool) -> None:
    r"""Adds :math:`\lambda W` to the gradients of weights, the decay of Kolen & Pollack.

    With plain gradient descent at the rate :math:`\eta` every weight shrinks by the factor
    :math:`1 - \eta \lambda` per step, and so does the difference of two that learn the same.

    Args:
        network: Network whose weights have gradients; those that have none do not decay.
        decay: Decay :math:`\lambda`.
        top_down: Whether top-down weights of their own decay too.

    Source: Kolen & Pollack, Backpropagation without Weight Transport, ICNN 1994,
    https://doi.org/10.1109/ICNN.1994.374486.
    """
    layers = [
        layer
        for layer in network.layers
        if isinstance(layer, WeightedTopDownLayer) and _connects(layer)
    ]
    weights = [layer.weight for layer in layers]
    weights += [own for layer in layers if top_down and (own := layer.top_down_weight) is not None]
    # A weight that several layers share decays once.
    for weight in dict.fromkeys(weights):
        if weight.grad is not None:
            weight.grad = weight.grad + decay * weight.detach()


def _connects(layer: WeightedTopDownLayer) -> bool:
    """Whether weights are those of connections, not the gains of a norm."""
    return "weight" not in getattr(layer, "no_weight_decay", ())


def redraw_magnitudes(network: TopDownNetwork) -> None:
    """Draws the magnitudes of all layers with ``feedback="sign_redrawn"`` anew."""
    for layer in network.layers:
        if isinstance(layer, WeightedTopDownLayer) and layer.feedback == "sign_redrawn":
            layer.redraw_magnitudes()
