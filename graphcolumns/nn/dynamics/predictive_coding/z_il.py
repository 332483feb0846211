"""Errors read at the moment at which each layer's error is that of backpropagation."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Drive
from graphcolumns.nn.dynamics.predictive_coding.network import PredictiveCoding


def z_il(network: PredictiveCoding, drive: Drive) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    r"""Values and errors of zero-divergence inference learning, which equal backpropagation.

    From the feed-forward pass, with time steps of 1, the error of the output reaches one more layer
    with every step. A layer that is d connections away from the output is read after d steps,
    before anything below it has moved: its error is then :math:`J^\top` times that of the layer
    above. As many steps as layers are made.

    Args:
        network: A network in the state form, whose free layers are all predicted, have precision 1,
            and reach clamped layers on paths of one length only.
        drive: Drive of the samples.

    Returns:
        Values of the feed-forward pass, and precision-weighted errors, both by layer.

    Raises:
        ValueError: A network for which the timing is not exact.

    Source: Song, Lukasiewicz, Xu & Bogacz, Can the brain do backpropagation? Exact implementation
    of backpropagation in predictive coding networks, NeurIPS 2020,
    https://arxiv.org/abs/2103.03725.
    """
    distances = _distances(network)
    state = network.initial(drive)
    start = network.values(state, drive)
    errors: dict[str, Tensor] = {}
    for step in range(max(distances.values()) + 1):
        now = network.errors(network.values(state, drive), drive)
        errors |= {name: now[name] for name, away in distances.items() if away == step}
        state = network.step(state, drive, 1.0)
    return start, errors


def _distances(network: PredictiveCoding) -> Mapping[str, int]:
    """Connections between every predicted layer and a clamped one that depends on it."""
    if network.form != "state" or network.order is None:
        raise ValueError(
            "the timing is exact in the state form, without cycles. Got "
            f"form={network.form!r}{'' if network.order else ' and a cycle'}."
        )
    distances = {name: 0 for name in network.clamped if name in network.predicted}
    for name in reversed([n for n in network.order if n in network.free]):
        layer, links = network.layers[name], [c for c in network.connections if c.source == name]
        away = {distances[c.target] + 1 for c in links}
        even = bool((torch.as_tensor(layer.precision) == 1).all())
        plain = name in network.predicted and not layer.proximal and even
        if len(away) != 1 or not plain:
            raise ValueError(
                "the timing is exact for layers that are predicted, of precision 1, without "
                "shrinkage, and as far from clamped layers on all paths. Got layer "
                f"{name!r}; use FixedPrediction."
            )
        distances[name] = away.pop()
    return distances
