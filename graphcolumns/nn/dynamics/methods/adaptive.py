"""Steps in time whose size follows an estimate of the error."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive, limit_of
from graphcolumns.nn.dynamics.core.states import (
    State,
    count_samples,
    expand_samples,
    map_state,
    norm_of,
    tensors_of,
)
from graphcolumns.nn.dynamics.methods.method import Memory, settled_step


@dataclass(frozen=True)
class Adaptive:
    r"""Heun steps, each sample with a size of its own.

    The difference of a Heun and an Euler step estimates the error. A step whose error is above
    ``tolerance`` (relative to the state) is not made, and the next one is smaller; the size changes
    with the square root of tolerance over error, by a factor between 1/5 and 2.

    Args:
        dt: First time step (default: 90 % of the limit of the circuit).
        tolerance: Largest error of a step, relative to the norm of the state plus 1.
        largest: Largest time step (default: 90 % of the limit of the circuit, so that a fixed point
            is reached; 10 times the first where no limit is proven).

    Raises:
        ValueError: When solving, see :meth:`ready`.

    Source: Hairer, Norsett & Wanner, Solving Ordinary Differential Equations I, Springer 1993,
    section II.4, https://doi.org/10.1007/978-3-540-78862-1.
    """

    dt: float | None = None
    tolerance: float = 1e-3
    largest: float | None = None

    def ready(self, circuit: Circuit, drive: Drive) -> Adaptive:
        """The method with its first and largest steps.

        Raises:
            ValueError: A step or a tolerance that is not positive.
        """
        dt = settled_step(self.dt, circuit, drive, unstable=True)
        limit, largest = limit_of(circuit, drive), self.largest
        if largest is None:
            largest = 10 * dt if limit is None else max(dt, 0.9 * limit)
        if not self.tolerance > 0 or not largest >= dt:
            raise ValueError(
                "tolerance must be positive and largest at least dt. Got "
                f"tolerance={self.tolerance!r}, largest={largest!r}, dt={dt!r}."
            )
        return replace(self, dt=dt, largest=largest)

    def memory(self, state: State, batch_dim: int) -> Memory:
        """The next time step of every sample, in a shape with samples along ``batch_dim``."""
        assert self.dt is not None
        like = tensors_of(state)[0]
        dt = like.new_full((count_samples(state, batch_dim),), self.dt)
        return (dt.reshape((1,) * batch_dim + (-1,)),)

    def advance(
        self, circuit: Circuit, state: State, drive: Drive, memory: Memory, iteration: int
    ) -> tuple[State, Memory]:
        """One step of every sample, made where its error allows."""
        assert self.largest is not None
        dim, dt = circuit.batch_dim, memory[0].flatten()
        first = circuit.flow(state, drive)
        second = circuit.flow(circuit.constrained(_plus(state, dt, first, dim)), drive)
        mean = map_state(lambda a, b: (a + b) / 2, first, second)
        error = dt * norm_of(map_state(lambda a, b: (a - b) / 2, first, second), dim)
        ratio = self.tolerance * (1 + norm_of(state, dim)) / error.clamp(min=1e-30)
        made = torch.where(ratio >= 1, dt, torch.zeros_like(dt))
        factor = (0.9 * ratio.sqrt()).clamp(0.2, 2.0)
        after = (dt * factor).clamp(max=self.largest).detach()
        end = circuit.constrained(_plus(state, made, mean, dim))
        return end, (after.reshape(memory[0].shape),)


def _plus(state: State, dt: Tensor, rate: State, dim: int) -> State:
    return map_state(lambda u, du: u + expand_samples(dt, u, dim) * du, state, rate)
