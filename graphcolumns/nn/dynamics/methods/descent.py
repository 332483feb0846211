"""Steps that are shortened until the energy does not increase."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import (
    State,
    count_samples,
    expand_samples,
    map_state,
    tensors_of,
)
from graphcolumns.nn.dynamics.methods.method import Memory, settled_step


@dataclass(frozen=True)
class Descent:
    r"""Steps :math:`u + dt \, f(u)`, each sample with a size of its own, halved until they descend.

    A step is made where the energy does not increase, :math:`E(u + dt \, f(u)) \le E(u)`, after at
    most ``halvings`` halvings; otherwise the sample stays where it is. The next step starts from
    twice the last size. It needs no step limit, and finds longer steps than a limit that holds for
    every state.

    Args:
        dt: First time step, and the largest (default: 90 % of the limit of the circuit).
        halvings: Most halvings of a step.

    Raises:
        ValueError: A step that is not positive, fewer than one halving; when solving, a circuit
            without energy.

    Source: Armijo, Minimization of functions having Lipschitz continuous first partial derivatives,
    Pacific Journal of Mathematics 1966, https://doi.org/10.2140/pjm.1966.16.1.
    """

    dt: float | None = None
    halvings: int = 30

    def __post_init__(self) -> None:
        check_counts(halvings=self.halvings)

    def ready(self, circuit: Circuit, drive: Drive) -> Descent:
        """The method with its first step.

        Raises:
            ValueError: A step that is not positive, or a circuit without energy.
        """
        with torch.no_grad():
            if circuit.energy(circuit.initial(drive), drive) is None:
                raise ValueError(
                    f"Descent needs an energy. Got {type(circuit).__name__}, which has none; pass "
                    "method=Euler()."
                )
        return replace(self, dt=settled_step(self.dt, circuit, drive, unstable=True))

    def memory(self, state: State, batch_dim: int) -> Memory:
        """The first time step of every sample, in a shape with samples along ``batch_dim``."""
        assert self.dt is not None
        like = tensors_of(state)[0]
        dt = like.new_full((count_samples(state, batch_dim),), self.dt)
        return (dt.reshape((1,) * batch_dim + (-1,)),)

    def advance(
        self, circuit: Circuit, state: State, drive: Drive, memory: Memory, iteration: int
    ) -> tuple[State, Memory]:
        """One step of every sample for which one descends."""
        assert self.dt is not None
        rate = circuit.flow(state, drive)
        dt = self._descending(circuit, state, rate, drive, memory[0].flatten())
        after = torch.where(dt > 0, 2 * dt, memory[0].flatten()).clamp(max=self.dt)
        return _moved(circuit, state, dt, rate), (after.reshape(memory[0].shape),)

    @torch.no_grad()
    def _descending(
        self, circuit: Circuit, state: State, rate: State, drive: Drive, dt: Tensor
    ) -> Tensor:
        """A time step per sample, ``[B]``; 0 where none was found."""
        before = _energy(circuit, state, drive)
        for _ in range(self.halvings + 1):
            trial = _moved(circuit, state, dt, rate)
            descends = _energy(circuit, trial, drive) <= before
            if bool(descends.all()):
                return dt
            dt = torch.where(descends, dt, dt / 2)
        return torch.where(descends, dt, torch.zeros_like(dt))


def _energy(circuit: Circuit, state: State, drive: Drive) -> Tensor:
    energy = circuit.energy(state, drive)
    assert energy is not None
    return energy


def _moved(circuit: Circuit, state: State, dt: Tensor, rate: State) -> State:
    dim = circuit.batch_dim
    moved = map_state(lambda u, du: u + expand_samples(dt, u, dim) * du, state, rate)
    return circuit.constrained(moved)
