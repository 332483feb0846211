"""The zeroing network, whose error vanishes at a given rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Drive
from graphcolumns.nn.dynamics.core.states import State
from graphcolumns.nn.dynamics.zeroing.time_varying import OfTime, TimeVarying, times_matrix


@dataclass(frozen=True, eq=False)
class ZeroingNetwork(TimeVarying):
    r"""Follows the solution of :math:`A(t) X(t) = B(t)` without a lag (Zhang neural network).

    The error :math:`E = A X - B` is made to shrink, :math:`\dot E = -\gamma \Phi(E)`, so

    .. math::
        A \dot X = \dot B - \dot A X - \gamma \Phi(A X - B), \qquad \dot t = 1.

    With the linear activation :math:`E(t) = E(0) e^{-\gamma t}` exactly; with
    :class:`SignBiPower` it is zero after a finite time. Euler steps of size dt leave an error of
    order :math:`dt^2`. There is no fixed point: run it for a time with
    :func:`~graphcolumns.nn.dynamics.follow`, or with :func:`~graphcolumns.nn.dynamics.solve` until
    the error is within the tolerance. A gradient needs ``Unrolled()`` or ``Truncated()``. No step
    limit is proven, so pass a time step well below :math:`2 / \gamma`.

    Args:
        matrix: Function from times ``[B]`` to invertible matrices A, ``[B, n, n]``.
        target: Function from times ``[B]`` to right-hand sides, ``[B, n]`` or ``[B, n, k]``
            (default: the identity, so that the solution is the inverse of A).
        gain: Rate :math:`\gamma` at which the error shrinks, above 0, per unit of time.
        activation: Odd, increasing function of every error (default: linear).
        matrix_rate: Derivative of ``matrix`` (default: by forward-mode differentiation, where
            sample b of the matrix must depend on time b alone).
        target_rate: Derivative of ``target`` (default: likewise).

    Shapes:
        - inputs: times of the start, ``[B]``
        - state: X, ``[B, n]`` or ``[B, n, k]``, and the time, ``[B]``
        - output: X

    Raises:
        ValueError: A gain that is not positive; when solving, times, matrices or right-hand sides
            of the wrong shape or not finite, or a matrix that is singular at some time.
        TypeError: Times that are not a floating-point tensor.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import Heun, ZeroingNetwork, follow
        >>> def rotation(t):
        ...     rows = [torch.stack([t.sin(), t.cos()], -1), torch.stack([-t.cos(), t.sin()], -1)]
        ...     return torch.stack(rows, -2)
        >>> start = torch.zeros(1, dtype=torch.float64)
        >>> network = ZeroingNetwork(rotation, gain=10.0)
        >>> outputs, (x, t) = follow(network, [start] * 2, method=Heun(0.01), steps=100)
        >>> (rotation(t) @ x - torch.eye(2)).abs().max() < 1e-4
        tensor(True)

    Source: Zhang & Ge, Design and analysis of a general recurrent neural network model for
    time-varying matrix inversion, IEEE Transactions on Neural Networks 2005,
    https://doi.org/10.1109/TNN.2005.857946.
    """

    activation: Callable[[Tensor], Tensor] | None = None
    matrix_rate: OfTime | None = None
    target_rate: OfTime | None = None

    def flow(self, state: State, drive: Drive) -> State:
        """Rates of X and of the time."""
        x, times = state
        a, a_rate = with_rate(self.matrix, self.matrix_rate, times)
        if self.target is None:
            b, b_rate = self.right_side(times), torch.zeros_like(x)
        else:
            b, b_rate = with_rate(self.target, self.target_rate, times)
        error = times_matrix(a, x) - b
        driven = error if self.activation is None else self.activation(error)
        rate = b_rate - times_matrix(a_rate, x) - self.gain * driven
        return (_solved(a, rate, times), torch.ones_like(times))


def with_rate(function: OfTime, rate: OfTime | None, times: Tensor) -> tuple[Tensor, Tensor]:
    """A function of time and its derivative at the same times."""
    if rate is not None:
        return function(times), rate(times)
    value, tangent, *_ = torch.func.jvp(function, (times,), (torch.ones_like(times),))
    return value, tangent


def _solved(a: Tensor, right: Tensor, times: Tensor) -> Tensor:
    """The solution of ``a @ x = right``."""
    as_matrix = right if right.dim() == 3 else right[..., None]
    x, info = torch.linalg.solve_ex(a, as_matrix)
    if bool((info > 0).any()):
        raise ValueError(
            "matrix must be invertible at all times. Got a singular matrix at t = "
            f"{float(times[info > 0][0]):.6g}."
        )
    return x.reshape(right.shape)
