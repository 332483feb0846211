"""The gradient network, which lags behind a problem that moves."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from graphcolumns.nn.dynamics.core.circuit import Drive
from graphcolumns.nn.dynamics.core.states import State
from graphcolumns.nn.dynamics.zeroing.time_varying import TimeVarying, times_matrix


@dataclass(frozen=True, eq=False)
class GradientNetwork(TimeVarying):
    r"""Follows the solution of :math:`A(t) X(t) = B(t)` by gradient descent, and lags behind it.

    .. math::
        \dot X = -\gamma A(t)^\top (A(t) X - B(t)), \qquad \dot t = 1

    It descends :math:`\frac12 \lVert A X - B \rVert_F^2` as if A and B stood still: the baseline of
    :class:`ZeroingNetwork`. For the inverse of a rotation by t in the plane an error of
    :math:`\sqrt 2 / \sqrt{1 + \gamma^2}` remains.

    Args:
        matrix: Function from times ``[B]`` to matrices A, ``[B, n, n]``.
        target: Function from times ``[B]`` to right-hand sides, ``[B, n]`` or ``[B, n, k]``
            (default: the identity, so that the solution is the inverse of A).
        gain: Rate :math:`\gamma`, above 0, per unit of time.

    Shapes:
        - inputs: times of the start, ``[B]``
        - state: X, ``[B, n]`` or ``[B, n, k]``, and the time, ``[B]``
        - output: X

    Raises:
        ValueError: A gain that is not positive; when solving, times, matrices or right-hand sides
            of the wrong shape or not finite.
        TypeError: Times that are not a floating-point tensor.

    Source: Zhang, Chen & Tan, Performance analysis of gradient neural network exploited for online
    time-varying matrix inversion, IEEE Transactions on Automatic Control 2009,
    https://doi.org/10.1109/TAC.2009.2023779.
    """

    def flow(self, state: State, drive: Drive) -> State:
        """Rates of X and of the time."""
        _, times = state
        rate = -self.gain * times_matrix(self.matrix(times).mT, self.error(state))
        return (rate, torch.ones_like(times))

    def energy(self, state: State, drive: Drive) -> torch.Tensor:
        """Half the squared error, ``[B]``; it descends where A and B stand still."""
        return self.residual(state, drive).square() / 2
