"""Predictive coding with predictions held at the feed-forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import State, tensors_of
from graphcolumns.nn.dynamics.predictive_coding.network import PredictiveCoding


@dataclass(frozen=True, eq=False)
class FixedPrediction(Circuit):
    r"""Errors relax while predictions keep their first values: the result is backpropagation.

    .. math::
        \dot \delta_l = -\delta_l + \sum_{l \to m} J_{lm}(\hat x_l)^\top \delta_m

    with Jacobians J at the feed-forward pass. The errors of clamped layers are those of the pass.
    At the fixed point, :math:`\delta_l` is the negative gradient of the cost of the output by layer
    l, to the last bit that arithmetic allows; with a time step of 1 it is reached in as many steps
    as there are layers. No energy is descended.

    Args:
        network: A network without cycles among its free layers.

    Raises:
        ValueError: Free layers in a cycle, or without a prediction, or with shrinkage or a bound.

    Source: Whittington & Bogacz, An approximation of the error backpropagation algorithm in a
    predictive coding network, Neural Computation 2017, https://doi.org/10.1162/NECO_a_00949;
    Millidge, Tschantz & Buckley, Predictive coding approximates backprop along arbitrary
    computation graphs, Neural Computation 2022, https://arxiv.org/abs/2006.04182.
    """

    network: PredictiveCoding

    def __post_init__(self) -> None:
        network = self.network
        if network.order is None:
            raise ValueError(
                "fixed predictions need a feed-forward pass. Got free layers in a cycle; unroll it."
            )
        for name in network.free:
            if name not in network.predicted or network.layers[name].proximal:
                raise ValueError(
                    "fixed predictions need free layers that are predicted, without shrinkage. Got "
                    f"{name!r}; solve the network itself."
                )
        object.__setattr__(self, "batch_dim", network.batch_dim)

    def drive(self, inputs: Any) -> Drive:
        """Values and errors of the feed-forward pass, and the weights."""
        given = self.network.drive(inputs)
        values = self.network.values(self.network.initial(given), given)
        errors = self.network.errors(values, given)
        kept = [errors[name] for name in self.network.clamped if name in errors]
        return Drive((*values.values(), *kept), given.shared)

    def initial(self, drive: Drive) -> State:
        """Zero: at the feed-forward pass only outputs have errors."""
        return tuple(torch.zeros_like(x) for x in self._values(drive, self.network.free))

    def flow(self, state: State, drive: Drive) -> State:
        """Errors that arrive, minus those that are there."""
        network = self.network
        values = dict(zip(network.layers, drive.samples, strict=False))
        errors = self.errors(state, drive)
        rates = {name: -errors[name] for name in network.free}
        for connection, tensors in network.weighted(drive):
            if (name := connection.source) in rates:
                delta = errors[connection.target]
                rates[name] = rates[name] + connection.pullback(values[name], delta, tensors)
        return tuple(rates[name] for name in network.free)

    def errors(self, state: State, drive: Drive) -> dict[str, Tensor]:
        """Errors of all predicted layers."""
        network = self.network
        outputs = [name for name in network.clamped if name in network.predicted]
        kept = drive.samples[len(network.layers) :]
        free = zip(network.free, tensors_of(state), strict=True)
        return dict(free) | dict(zip(outputs, kept, strict=True))

    def step_limit(self, drive: Drive) -> float:
        """2: without cycles the matrix of the flow is triangular, with -1 on its diagonal."""
        return 2.0

    def _values(self, drive: Drive, names: tuple[str, ...]) -> list[Tensor]:
        values = dict(zip(self.network.layers, drive.samples, strict=False))
        return [values[name] for name in names]
