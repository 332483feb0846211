"""Liquid time-constant networks: inputs change how fast units follow them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.arguments import require_finite, require_positive, require_shape
from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import State


@dataclass(frozen=True, eq=False)
class LiquidNetwork(Circuit):
    r"""A recurrent network whose conductances set both its drive and its time constants.

    .. math::
        \dot u = -\Big(\frac1\tau + f\Big) u + f \odot A, \qquad
        f = \sigma(W_r u + W_x x + b)

    The effective time constant is :math:`\tau / (1 + \tau f)`. A step is semi-implicit ("fused"),

    .. math::
        u \leftarrow \frac{u + dt \, f \odot A}{1 + dt \, (1/\tau + f)},

    and keeps every unit between 0 and its reversal potential A for any time step, if it starts
    there. It is of first order in dt, and its fixed points are those of the flow. ``Euler(dt)``
    takes it, and needs ``dt``: there is no limit to derive one from.

    Args:
        recurrent: Weights :math:`W_r` among units, ``[n, n]``.
        weight: Weights :math:`W_x` of the inputs, ``[n, m]``.
        bias: Bias b, ``[n]``.
        reversal: Reversal potentials A, ``[n]``.
        time_constant: Time constants :math:`\tau` at rest, positive, ``[n]``, in units of time.

    Shapes:
        - inputs: ``[B, m]``
        - state, output: ``[B, n]``

    Raises:
        ValueError: Shapes that do not fit, NaN, or time constants that are not positive.
        TypeError: Tensors that are not floating.

    Source: Hasani, Lechner, Amini, Rus & Grosu, Liquid time-constant networks, AAAI 2021,
    https://arxiv.org/abs/2006.04439.
    """

    recurrent: Tensor
    weight: Tensor
    bias: Tensor
    reversal: Tensor
    time_constant: Tensor

    def __post_init__(self) -> None:
        require_shape("weight", self.weight, ("n", "m"))
        n = len(self.weight)
        require_shape("recurrent", self.recurrent, (n, n))
        for name in ("bias", "reversal", "time_constant"):
            require_shape(name, getattr(self, name), (n,))
        for name in ("recurrent", "weight", "bias", "reversal"):
            require_finite(name, getattr(self, name))
        require_positive(time_constant=self.time_constant)

    def drive(self, inputs: Tensor) -> Drive:
        """What the inputs add to the conductances, and all that is shared."""
        require_shape("inputs", inputs, ("B", self.weight.shape[1]))
        require_finite("inputs", inputs)
        driven = inputs @ self.weight.T + self.bias
        return Drive((driven,), (self.recurrent, self.reversal, 1 / self.time_constant))

    def initial(self, drive: Drive) -> Tensor:
        """Zero."""
        return torch.zeros_like(drive.samples[0])

    def conductance(self, state: State, drive: Drive) -> Tensor:
        """The conductance f of every unit, between 0 and 1, ``[B, n]``."""
        assert isinstance(state, Tensor)
        return torch.sigmoid(state @ drive.shared[0].T + drive.samples[0])

    def flow(self, state: State, drive: Drive) -> Tensor:
        """Leak, and pull towards the reversal potential."""
        assert isinstance(state, Tensor)
        _, reversal, leak = drive.shared
        f = self.conductance(state, drive)
        return f * reversal - (leak + f) * state

    def step(self, state: State, drive: Drive, dt: float) -> Tensor:
        """One semi-implicit step."""
        assert isinstance(state, Tensor)
        _, reversal, leak = drive.shared
        f = self.conductance(state, drive)
        return (state + dt * f * reversal) / (1 + dt * (leak + f))
