"""The loop: advance until every sample has arrived."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive, Measure, limit_of
from graphcolumns.nn.dynamics.core.states import (
    State,
    count_samples,
    map_state,
    norm_of,
    samples_at,
    tensors_of,
    with_tensors,
)
from graphcolumns.nn.dynamics.methods.method import Memory, Method

# A state that has grown by this factor over its start and its drive has diverged.
DIVERGED = 1e8


class DivergenceError(FloatingPointError):
    """A circuit's state has grown beyond all bounds, or is not finite."""


@dataclass(frozen=True)
class Stop:
    """When to stop.

    Attributes:
        measure: Function of circuit, state and drive that returns a distance ``[B]``.
        tolerance: Distance at or below which a sample has arrived.
        max_steps: Number of iterations after which the loop ends in any case.
        every: Number of iterations between two measurements.
    """

    measure: Measure
    tolerance: float
    max_steps: int
    every: int


@dataclass
class Arrival:
    """Where the samples of a batch have arrived.

    Attributes:
        state: State after the last iteration of every sample.
        iterations: Iterations that every sample took, int64 ``[B]``.
        distance: Measured distance at the end, ``[B]``.
        trajectory: States along the way, or None; see ``record``.
    """

    state: State
    iterations: Tensor
    distance: Tensor
    trajectory: State | None = None


class InitialValueProblem(NamedTuple):
    """What is solved, from where, how, and until when.

    Attributes:
        circuit: The system.
        state: State at the start.
        drive: Drive of all samples.
        method: Method that is ready, see ``Method.ready``.
        stop: When to stop.
        record: Iterations between two states of the trajectory, the first state included; None
            for no trajectory.
    """

    circuit: Circuit
    state: State
    drive: Drive
    method: Method
    stop: Stop
    record: int | None = None


def iterate(problem: InitialValueProblem, *, leave: bool = True) -> Arrival:
    """Advances until every sample has arrived, or for ``max_steps`` iterations.

    Args:
        problem: What is solved.
        leave: Whether samples that have arrived leave the batch, so that they cost nothing more.

    Raises:
        DivergenceError: A state is not finite or has grown by 1e8.
    """
    circuit, state, drive, method, stop, record = problem
    loop = _Loop(circuit, state, drive, method, stop, leave and record is None)
    frames = [state]
    for iteration in range(stop.max_steps):
        loop.advance(iteration)
        count = iteration + 1
        if record is not None and count % record == 0:
            frames.append(loop.state)
        if count % stop.every == 0 or count == stop.max_steps:
            loop.measure(count)
            if loop.finished:
                break
    arrival = loop.arrival()
    if record is not None:
        arrival.trajectory = map_state(lambda *u: torch.stack(u), *frames)
    return arrival


@torch.no_grad()
def growth_bound(state: State, drive: Drive, dim: int) -> Tensor:
    """Norm at which a sample has diverged, ``[B]``, from its start and its drive."""
    size = norm_of(state, dim)
    return DIVERGED * (1 + (size + norm_of(drive.samples, dim) if drive.samples else size))


@torch.no_grad()
def require_bounded(
    circuit: Circuit, state: State, drive: Drive, method: Method, bound: Tensor
) -> None:
    """Raises DivergenceError for a state that is not finite or larger than its bound ``[B]``."""
    # One transfer from the device says whether anything is wrong.
    if bool((norm_of(state, circuit.batch_dim) <= bound).all()):
        return
    limit, dt = limit_of(circuit, drive), getattr(method, "dt", None)
    name, used = type(circuit).__name__, "" if dt is None else f" with dt={dt:.6g}"
    if limit is None or not isfinite(limit):
        remedy = "Pass a smaller dt, or check the weights; this circuit has no proven limit."
    elif dt is not None and dt < limit:
        remedy = (
            f"The step is below the limit of the circuit, dt < {limit:.6g}: its weights are not "
            "stable, or its inputs not finite."
        )
    else:
        remedy = (
            f"Euler steps are stable for dt < {limit:.6g} (2/lambda_max of a symmetric circuit); "
            "pass a smaller one."
        )
    raise DivergenceError(
        f"the state of a circuit must stay finite. Got {name} diverging{used}. {remedy}"
    )


@dataclass
class _Loop:
    """State kept while a batch shrinks."""

    circuit: Circuit
    state: State
    drive: Drive
    method: Method
    stop: Stop
    leave: bool
    finished: bool = False
    memory: Memory = ()
    # Of every group of samples that has left: index, state, iterations, distance.
    left: list[tuple[Tensor, State, Tensor, Tensor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        dim = self.circuit.batch_dim
        self.memory = self.method.memory(self.state, dim)
        count = count_samples(self.state, dim)
        self.index = torch.arange(count, device=tensors_of(self.state)[0].device)
        self.bound = growth_bound(self.state, self.drive, dim)
        self.iterations = torch.zeros_like(self.index)
        self.distance = torch.full_like(self.bound, float("inf"))
        if count == 0:
            self.finished = True

    def advance(self, iteration: int) -> None:
        self.state, self.memory = self.method.advance(
            self.circuit, self.state, self.drive, self.memory, iteration
        )

    @torch.no_grad()
    def _distances(self) -> Tensor:
        distance = self.stop.measure(self.circuit, self.state, self.drive)
        # A distance that is not a number shows what the size of the state need not.
        bound = torch.where(distance.isnan(), distance, self.bound)
        require_bounded(self.circuit, self.state, self.drive, self.method, bound)
        return distance

    def measure(self, count: int) -> None:
        distance = self._distances()
        arrived = distance <= self.stop.tolerance
        first = arrived & (self.distance > self.stop.tolerance)
        running = ~arrived if not self.leave else torch.ones_like(arrived)
        self.iterations = torch.where(first | running, count, self.iterations)
        self.distance = distance
        self.finished = bool(arrived.all())
        if self.leave and not self.finished and bool(arrived.any()):
            self._part(arrived)

    def _part(self, arrived: Tensor) -> None:
        """Sets aside the samples that have arrived and goes on with the others."""
        dim = self.circuit.batch_dim
        gone, rest = arrived.nonzero().flatten(), (~arrived).nonzero().flatten()
        self._set_aside(gone)
        self.state = samples_at(self.state, rest, dim)
        self.memory = tuple(m.index_select(dim, rest) for m in self.memory)
        samples = tuple(s.index_select(dim, rest) for s in self.drive.samples)
        self.drive = self.drive._replace(samples=samples)
        self.index, self.bound = self.index[rest], self.bound[rest]
        self.iterations, self.distance = self.iterations[rest], self.distance[rest]

    def _set_aside(self, gone: Tensor) -> None:
        state = samples_at(self.state, gone, self.circuit.batch_dim)
        self.left.append((self.index[gone], state, self.iterations[gone], self.distance[gone]))

    def arrival(self) -> Arrival:
        """All samples together again, in their order."""
        if not self.left:
            return Arrival(self.state, self.iterations, self.distance)
        self._set_aside(torch.arange(len(self.index), device=self.index.device))
        index, states, iterations, distance = zip(*self.left, strict=True)
        dim, order = self.circuit.batch_dim, torch.cat(index).argsort()
        joined = [torch.cat(t, dim) for t in zip(*map(tensors_of, states), strict=True)]
        state = with_tensors(states[0], [u.index_select(dim, order) for u in joined])
        return Arrival(state, torch.cat(iterations)[order], torch.cat(distance)[order])
