"""Errors that reach every population directly, by random matrices."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from graphcolumns.nn.top_down.network import TopDownNetwork
from graphcolumns.nn.top_down.passes import Neurons


class DirectFeedback(nn.Module):
    r"""Carries the error of the prediction to every population with gates, past all others.

    .. math::
        \bar h_p = 1[h_p > 0] \, B_p^\top \, \bar h_{\mathrm{prediction}}, \qquad
        B_p \sim \mathcal N(0, 2 / n_p)

    with a matrix :math:`B_p` for every population below the prediction, of :math:`n_p` neurons.
    Matrices are drawn once and never learn. They are buffers, so that a state dict holds them.

    Args:
        network: Populations.
        prediction: Name of the population where the error enters.

    Attributes:
        populations: Names of the populations that an error reaches, in the order of the network.

    Shapes:
        - error: ``[B, K]``, or ``[K, B, C]`` of columns
        - counter neurons: in the shapes of their populations

    Raises:
        ValueError: No population has gates and a way to the prediction.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.top_down import DirectFeedback, Population, Projection
        >>> from graphcolumns.nn.top_down import TopDownLinear, TopDownNetwork
        >>> ends = {"input": Population(4, "identity"), "prediction": Population(2, "identity")}
        >>> layers = [TopDownLinear(4, 8), TopDownLinear(8, 2)]
        >>> network = TopDownNetwork(
        ...     {**ends, "hidden": Population(8)},
        ...     [
        ...         Projection("input", "hidden", layers[0]),
        ...         Projection("hidden", "prediction", layers[1]),
        ...     ],
        ... )
        >>> direct = DirectFeedback(network)
        >>> neurons = network.bottom_up({"input": torch.ones(3, 4)})
        >>> direct(torch.ones(3, 2), neurons)["hidden"].shape
        torch.Size([3, 8])

    Source: Nøkland, Direct Feedback Alignment Provides Learning in Deep Neural Networks, NeurIPS
    2016, https://arxiv.org/abs/1609.01596.
    """

    def __init__(self, network: TopDownNetwork, prediction: str = "prediction") -> None:
        super().__init__()
        top = network.populations[prediction]
        below = _below(network, prediction)
        kinds = {name: network.populations[name] for name in network.order if name in below}
        self._kinds = {n: p for n, p in kinds.items() if p.activation == "relu"}
        self._batch_dim = top.batch_dim
        self.populations = tuple(self._kinds)
        if not self._kinds:
            raise ValueError(
                f"an error of {prediction!r} must reach populations with gates. Got none below it; "
                "give the network a hidden population with activation='relu'."
            )
        for place, population in enumerate(self._kinds.values()):
            units = math.prod(population.sizes)
            matrix = torch.randn(math.prod(top.sizes), units) * (2 / units) ** 0.5
            self.register_buffer(f"matrix{place}", matrix)

    def forward(self, error: Tensor, neurons: Neurons) -> dict[str, Tensor]:
        """The counter neurons of all populations that an error reaches.

        Args:
            error: Gradient of the loss by the prediction.
            neurons: Bottom-up neurons of all populations, which gate their counter neurons.
        """
        flat = error.movedim(self._batch_dim, 0).flatten(1)
        counters = {}
        for place, (name, population) in enumerate(self._kinds.items()):
            values = (flat @ self.get_buffer(f"matrix{place}")).reshape(-1, *population.sizes)
            counters[name] = values.movedim(0, population.batch_dim) * (neurons[name] > 0)
        return counters


def _below(network: TopDownNetwork, prediction: str) -> set[str]:
    """The populations from which there is a way to the prediction."""
    found = {prediction}
    for name in reversed(network.order):
        if any(p.source == name and p.target in found for p in network.projections):
            found.add(name)
    return found - {prediction}
