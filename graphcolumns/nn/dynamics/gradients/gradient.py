"""What a gradient is: how a circuit is run so that backward passes through it."""

from __future__ import annotations

from typing import Protocol

from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.iterate import Arrival, Stop
from graphcolumns.nn.dynamics.core.states import State
from graphcolumns.nn.dynamics.methods.method import Method


class Gradient(Protocol):
    """How gradients of a fixed point are computed; a frozen value."""

    def run(
        self,
        circuit: Circuit,
        state: State,
        drive: Drive,
        method: Method,
        stop: Stop,
        record: int | None,
    ) -> Arrival:
        """Runs the circuit; the state that it returns has the gradient."""
