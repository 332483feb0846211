"""Gates that one stream sets for the other."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.nn.top_down.network import TopDownNetwork
from graphcolumns.nn.top_down.passes import Neurons


def gates_of(network: TopDownNetwork, counters: Neurons) -> dict[str, Tensor]:
    r"""The gates that top-down neurons set: open (1) where the counter neuron is active.

    .. math::
        \mathrm{GaLU}(h, \bar h) = h \cdot 1[\bar h > 0]

    Args:
        network: Network; only populations with ReLU have gates.
        counters: Top-down neurons after an instruction pass.

    Returns:
        0 or 1 for every neuron, in the dtype of the neurons, by population in the order that was
        given; NaN where the counter neuron is.
    """
    return {
        name: _opened(counters[name])
        for name, population in network.populations.items()
        if name in counters and population.activation == "relu"
    }


def _opened(counter: Tensor) -> Tensor:
    # A gate of NaN is neither: closed, it would hide weights or instructions that are none.
    return (counter > 0).to(counter.dtype).masked_fill_(counter.isnan(), torch.nan)
