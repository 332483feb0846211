"""Linear systems that change in time, and what circuits that solve them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import State

# A function from times `[B]` to one matrix or vector per time.
OfTime = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class TimeVarying(Circuit):
    r"""What the circuits that solve :math:`A(t) X(t) = B(t)` have in common.

    The time is a part of the state, with :math:`\dot t = 1`, so that every method integrates it.

    Args:
        matrix: Function from times ``[B]`` to matrices A, ``[B, n, n]``.
        target: Function from times ``[B]`` to right-hand sides, ``[B, n]`` or ``[B, n, k]``
            (default: the identity, so that the solution is the inverse of A).
        gain: Rate :math:`\gamma` at which errors shrink, above 0, per unit of time.

    Raises:
        ValueError: A gain that is not positive; when solving, times, matrices or right-hand sides
            of the wrong shape or not finite.
        TypeError: Times that are not a floating-point tensor.
    """

    matrix: OfTime
    target: OfTime | None = None
    gain: float = 1.0

    # The solution moves, so there is no fixed point.
    settles = False

    def __post_init__(self) -> None:
        if not 0 < self.gain < float("inf"):
            raise ValueError(f"gain must be positive and finite. Got {self.gain!r}.")

    def drive(self, inputs: Tensor) -> Drive:
        """Times of the start, ``[B]``, checked together with the systems at these times."""
        _check_times(inputs)
        a = self.matrix(inputs)
        if a.dim() != 3 or a.shape[0] != len(inputs) or a.shape[1] != a.shape[2]:
            raise ValueError(
                "matrix must return one square matrix per time. Expected "
                f"[{len(inputs)}, n, n]. Got {list(a.shape)}."
            )
        b = self.right_side(inputs)
        if b.dim() not in (2, 3) or b.shape[:2] != a.shape[:2]:
            raise ValueError(
                "target must return one right-hand side per time. Expected "
                f"{list(a.shape[:2])} or [{a.shape[0]}, {a.shape[1]}, k]. Got {list(b.shape)}."
            )
        for name, values in (("matrix", a), ("target", b)):
            if not bool(values.isfinite().all()):
                raise ValueError(f"{name} must be finite at the start. Got nan or inf.")
        return Drive((inputs,))

    def initial(self, drive: Drive) -> State:
        """Zeros, and the time of the start."""
        times = drive.samples[0]
        return (torch.zeros_like(self.right_side(times)), times)

    def right_side(self, times: Tensor) -> Tensor:
        """Right-hand sides B, ``[B, n]`` or ``[B, n, k]``."""
        if self.target is not None:
            return self.target(times)
        a = self.matrix(times)
        return torch.eye(a.shape[-1], dtype=a.dtype, device=a.device).expand_as(a)

    def error(self, state: State) -> Tensor:
        """The error :math:`E = A(t) X - B(t)`, in the shape of X."""
        x, times = state
        return times_matrix(self.matrix(times), x) - self.right_side(times)

    def residual(self, state: State, drive: Drive) -> Tensor:
        r"""Size of the error, :math:`\lVert A(t) X - B(t) \rVert_F`, ``[B]``."""
        return self.error(state).flatten(1).norm(dim=1)


def times_matrix(matrix: Tensor, x: Tensor) -> Tensor:
    """Matrices ``[B, n, n]`` times vectors ``[B, n]`` or matrices ``[B, n, k]``."""
    return matrix @ x if x.dim() == 3 else (matrix @ x[..., None])[..., 0]


def _check_times(times: Tensor) -> None:
    if not isinstance(times, Tensor) or not times.is_floating_point():
        got = times.dtype if isinstance(times, Tensor) else type(times).__name__
        raise TypeError(f"inputs must be times of the start, a floating-point tensor. Got {got}.")
    if times.dim() != 1 or not bool(times.isfinite().all()):
        raise ValueError(
            f"inputs must be finite times, one per sample, [B]. Got shape {list(times.shape)}"
            + (" with nan or inf." if times.dim() == 1 else ".")
        )
