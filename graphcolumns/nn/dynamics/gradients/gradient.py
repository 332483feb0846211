"""What a gradient is: how a circuit is run so that backward passes through it."""

from __future__ import annotations

from typing import Protocol

from graphcolumns.nn.dynamics.core.iterate import Arrival, InitialValueProblem


class Gradient(Protocol):
    """How gradients of a fixed point are computed; a frozen value."""

    def run(self, problem: InitialValueProblem) -> Arrival:
        """Runs the circuit; the state that it returns has the gradient."""
