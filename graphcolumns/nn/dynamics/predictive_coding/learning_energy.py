"""From errors to the gradients of weights, each from the two layers that it joins."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Drive
from graphcolumns.nn.dynamics.predictive_coding.network import PredictiveCoding, Values


def local_energy(network: PredictiveCoding, values: Values, errors: Values, drive: Drive) -> Tensor:
    r"""A number whose gradients are those of the local rule of predictive coding.

    .. math::
        \frac{\partial F}{\partial W_{kl}} = -\delta_l \frac{\partial f_{kl}(x_k)}{\partial W_{kl}}

    with precision-weighted errors :math:`\delta` of the target and values x of the source. No
    gradient passes through a layer: both are taken as constants.

    Args:
        network: Network.
        values: Values of all layers, see ``PredictiveCoding.values``.
        errors: Precision-weighted errors of predicted layers; those left out do not learn.
        drive: Drive with the weights.
    """
    total = drive.samples[0].new_zeros(())
    for connection, tensors in network.weighted(drive):
        if connection.target in errors:
            source = values[connection.source].detach()
            prediction = connection.predict(source, tensors)
            total = total - torch.sum(errors[connection.target].detach() * prediction)
    return total
