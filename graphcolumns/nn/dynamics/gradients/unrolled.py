"""Gradients through the iterations themselves: through all of them, or through the last."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive, limit_of
from graphcolumns.nn.dynamics.core.iterate import Arrival, InitialValueProblem, iterate
from graphcolumns.nn.dynamics.core.states import map_state
from graphcolumns.nn.dynamics.methods.method import Method


@dataclass(frozen=True)
class Unrolled:
    """Backpropagation through every iteration: exact; memory grows with the number of them."""

    def run(self, problem: InitialValueProblem) -> Arrival:
        """Runs the circuit with every iteration in the graph of autograd."""
        return iterate(problem)


@dataclass(frozen=True)
class Truncated:
    r"""Backpropagation through the last iterations alone; with one step, the one-step gradient.

    With k steps of a map whose Jacobian J contracts, the gradient misses terms of size
    :math:`\lVert J \rVert^k`. The last steps are Euler steps of the circuit.

    Args:
        steps: Number of last iterations that are differentiated; they come on top of ``max_steps``.
        dt: Time step of these iterations (default: 90 % of the limit of the circuit, or that of the
            method where no limit is proven). A small one makes the gradient small.

    Raises:
        ValueError: Fewer than one step.

    Source: Bolte, Pauwels & Vaiter, One-step differentiation of iterative algorithms, NeurIPS 2023,
    https://arxiv.org/abs/2305.13768.
    """

    steps: int = 1
    dt: float | None = None

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be 1 or more. Got {self.steps!r}.")

    def run(self, problem: InitialValueProblem) -> Arrival:
        """Runs the circuit without gradient, then a few steps with it."""
        with torch.no_grad():
            arrival = iterate(problem)
        if not torch.is_grad_enabled():
            return arrival
        circuit, drive, method = problem.circuit, problem.drive, problem.method
        dt = self.dt
        if dt is None and (limit := limit_of(circuit, drive)) is not None:
            dt = 0.9 * limit
        dt = step_of(dt, method, circuit, drive)
        end = map_state(lambda u: u.detach(), arrival.state)
        for _ in range(self.steps):
            end = circuit.step(end, drive, dt)
        return replace(arrival, state=end)


def step_of(dt: float | None, method: Method, circuit: Circuit, drive: Drive) -> float:
    """A time step for steps after the end: given, or the method's own, or 90 % of the limit.

    Raises:
        ValueError: There is none of them.
    """
    dt = getattr(method, "dt", None) if dt is None else dt
    if dt is not None:
        return float(dt)
    limit = limit_of(circuit, drive)
    if limit is None:
        raise ValueError(
            f"{type(circuit).__name__} has no proven step limit and {type(method).__name__} no "
            "time step. Got dt=None for the gradient; pass one."
        )
    return 0.9 * limit
