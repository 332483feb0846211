"""What a method is: how a state advances by one iteration."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive, limit_of
from graphcolumns.nn.dynamics.core.states import State

# What a method keeps between iterations: tensors with samples along the dimension of the circuit.
Memory = tuple[Tensor, ...]


class Method(Protocol):
    """How a state advances by one iteration; a frozen value.

    ``ready`` returns the method with its step size settled for one drive and refuses one that is
    not stable; ``memory`` is what it keeps at the start; ``advance`` makes one iteration, counted
    from 0.
    """

    def ready(self, circuit: Circuit, drive: Drive) -> Method:
        """The method with all its numbers settled.

        Raises:
            ValueError: A time step at or above the limit of the circuit, or none where the circuit
                has no limit to take it from.
        """

    def memory(self, state: State, batch_dim: int) -> Memory:
        """What the method keeps, before the first iteration."""

    def advance(
        self, circuit: Circuit, state: State, drive: Drive, memory: Memory, iteration: int
    ) -> tuple[State, Memory]:
        """The state and the memory after one more iteration."""


def settled_step(dt: float | None, circuit: Circuit, drive: Drive, unstable: bool) -> float:
    """A time step: the one given, or 90 % of the limit of the circuit.

    Raises:
        ValueError: It is not positive, is at or above the limit, or cannot be derived.
    """
    if dt is not None and not dt > 0:
        raise ValueError(f"dt must be positive. Got {dt!r}.")
    limit = limit_of(circuit, drive) if dt is None or not unstable else None
    name = type(circuit).__name__
    if dt is None:
        if limit is None:
            raise ValueError(f"{name} has no proven step limit. Got dt=None; pass a time step.")
        return 0.9 * limit
    if limit is not None and dt >= limit:
        raise ValueError(
            f"dt must be below the limit of {name}, beyond which Euler steps need not converge. "
            f"Expected dt < {limit:.6g}. Got {dt:.6g}; pass dt=None for 90 % of the limit, or "
            "allow_unstable=True to try."
        )
    return float(dt)
