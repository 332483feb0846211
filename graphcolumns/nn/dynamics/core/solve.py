"""From a circuit and its input to the fixed point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive, Measure, relative_change
from graphcolumns.nn.dynamics.core.full_precision import full_precision
from graphcolumns.nn.dynamics.core.iterate import InitialValueProblem, Stop
from graphcolumns.nn.dynamics.core.states import State, tensors_of
from graphcolumns.nn.dynamics.gradients.gradient import Gradient
from graphcolumns.nn.dynamics.gradients.implicit import Implicit
from graphcolumns.nn.dynamics.methods.euler import Euler
from graphcolumns.nn.dynamics.methods.method import Method

# A state to start from, or a function of inputs and drive that returns one.
Start = State | Callable[[Any, Drive], State] | None


@dataclass(frozen=True)
class Solution:
    """Where a circuit has arrived.

    Attributes:
        output: What is read from the circuit, such as codes.
        state: State at the end.
        drive: Drive of all samples.
        iterations: Iterations that each sample took, int64 ``[B]``.
        distance: Distance that each sample stopped at, ``[B]``, in the measure of ``stop``.
        converged: Whether that is within the tolerance, bool ``[B]``.
        trajectory: States along the way, each ``[T, ...]``, if they were recorded.
        energy: Energy at the end, ``[B]``, or None for a circuit without one.
    """

    output: Tensor
    state: State
    drive: Drive
    iterations: Tensor
    distance: Tensor
    converged: Tensor
    trajectory: State | None = None
    energy: Tensor | None = None


@full_precision()
def solve(
    circuit: Circuit,
    inputs: Any,
    *,
    method: Method | None = None,
    stop: str | Measure = "residual",
    tolerance: float = 1e-4,
    max_steps: int = 10_000,
    every: int = 10,
    start: Start = None,
    gradient: Gradient | None = None,
    record: int | None = None,
) -> Solution:
    """Runs a circuit until it is at a fixed point, each sample of the batch for itself.

    Autocast is off inside: a state that is rounded in every step does not come to rest.

    A sample that has arrived leaves the batch and costs nothing more. Its iterations do not depend
    on the other samples, and the rule that stops it not on the number of samples.

    Args:
        circuit: The system.
        inputs: Inputs of a batch, as ``circuit.drive`` takes them.
        method: How the state advances (default: ``Euler()``, at 90 % of the largest stable step).
        stop: Distance that is measured: ``"residual"`` (of the circuit, such as the largest
            violation of the optimality conditions), ``"change"`` (rate of change relative to the
            state), ``"gap"`` (relative duality gap), or a function of circuit, state and drive that
            returns ``[B]``.
        tolerance: Distance at which a sample has arrived. With ``"residual"`` it is absolute, in
            the units of the residual, which are those of the inputs for most circuits: scale it
            with data whose values are far from 1. ``"change"`` and ``"gap"`` are relative.
        max_steps: Most iterations. Samples that have not arrived by then have ``converged=False``.
        every: Iterations between two measurements.
        start: State at the start, such as that of the last input (a warm start), or a function of
            inputs and drive that returns one (a primed start); default: ``circuit.initial``.
        gradient: How gradients are computed, ``Implicit()`` by default, ``Unrolled()``,
            ``Truncated(steps)`` or ``Reversible(steps)``. None is prepared where nothing requires
            a gradient.
        record: Iterations between two states of the trajectory; then no sample leaves early.

    Raises:
        DivergenceError: The state grew beyond bounds; the message has the largest stable step.
        TypeError: A start of another dtype.
        ValueError: A tolerance, number or start that does not fit, an unknown measure, a time step
            that is not stable, or a gradient that cannot be had with these arguments.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import LCA, solve
        >>> dictionary = torch.eye(3)
        >>> solve(LCA(dictionary, threshold=0.5), torch.tensor([[2.0, 0.1, -1.0]])).output
        tensor([[ 1.5000,  0.0000, -0.5000]])
    """
    check_counts(max_steps=max_steps, every=every, **({} if record is None else {"record": record}))
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be 0 or more. Got {tolerance!r}.")
    drive = circuit.drive(inputs)
    state = starting_state(circuit, inputs, drive, start)
    ready = (Euler() if method is None else method).ready(circuit, drive)
    measure = _measure(stop, circuit, state, drive)
    rule = Stop(measure, tolerance, max_steps, every)
    how = Implicit() if gradient is None else gradient
    arrival = how.run(InitialValueProblem(circuit, state, drive, ready, rule, record))
    return Solution(
        circuit.output(arrival.state, drive),
        arrival.state,
        drive,
        arrival.iterations,
        arrival.distance,
        arrival.distance <= tolerance,
        arrival.trajectory,
        circuit.energy(arrival.state, drive),
    )


def starting_state(
    circuit: Circuit,
    inputs: Any,
    drive: Drive,
    start: Start,
) -> State:
    """The state given, or computed, or the circuit's own.

    Raises:
        ValueError: A start of other shapes.
        TypeError: A start of another dtype.
    """
    usual = circuit.initial(drive)
    if start is None:
        return usual
    state = start(inputs, drive) if callable(start) else start
    shapes = [tuple(u.shape) for u in tensors_of(state)]
    expected = [tuple(u.shape) for u in tensors_of(usual)]
    if shapes != expected:
        raise ValueError(
            f"start must have the shapes of the circuit's state. Expected {expected}. Got {shapes}."
        )
    dtypes = [u.dtype for u in tensors_of(state)]
    wanted = [u.dtype for u in tensors_of(usual)]
    if dtypes != wanted:
        raise TypeError(
            f"start must have the dtypes of the circuit's state. Expected {wanted}. Got {dtypes}; "
            "convert it with to()."
        )
    return state


def _measure(stop: str | Measure, circuit: Circuit, state: State, drive: Drive) -> Measure:
    if callable(stop):
        return stop
    measures: dict[str, Measure] = {
        "residual": lambda c, s, d: c.residual(s, d),
        "change": relative_change,
        "gap": lambda c, s, d: _gap(c, s, d),
    }
    if stop not in measures:
        raise ValueError(f"stop must be one of {', '.join(measures)} or a function. Got {stop!r}.")
    if stop == "gap":
        with torch.no_grad():
            _gap(circuit, state, drive)
    return measures[stop]


def _gap(circuit: Circuit, state: State, drive: Drive) -> Tensor:
    gap = circuit.gap(state, drive)
    if gap is None:
        raise ValueError(
            f'{type(circuit).__name__} has no duality gap. Got stop="gap"; pass stop="residual" or '
            '"change".'
        )
    return gap
