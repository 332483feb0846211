"""Gradients of the fixed point itself, by the implicit function theorem."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.iterate import (
    Arrival,
    DivergenceError,
    InitialValueProblem,
    Stop,
    iterate,
)
from graphcolumns.nn.dynamics.core.states import (
    State,
    map_state,
    norm_of,
    tensors_of,
    with_tensors,
)
from graphcolumns.nn.dynamics.gradients.unrolled import step_of
from graphcolumns.nn.dynamics.methods.anderson import Anderson
from graphcolumns.nn.dynamics.methods.method import Method


class GradientWarning(UserWarning):
    """A gradient is not as exact as it was required to be."""


@dataclass(frozen=True)
class Implicit:
    r"""The gradient of a fixed point, in memory that does not depend on the number of steps.

    At a fixed point :math:`f(u^*, \theta) = 0`, a gradient v of the state becomes

    .. math::
        \frac{dL}{d\theta} = g^\top \frac{\partial f}{\partial \theta},
        \qquad J^\top g = -v, \quad J = \frac{\partial f}{\partial u}(u^*),

    and g is the fixed point of the adjoint circuit :math:`\dot g = v + J^\top g`, which is stable
    where the circuit is. The start has no gradient: the fixed point does not depend on it.

    Args:
        tolerance: Size of :math:`v + J^\top g` relative to that of v at which g has arrived.
        max_steps: Most iterations of the adjoint circuit. Where it has not arrived by then, or
            the fixed point itself has not been reached, a :class:`GradientWarning` is given.
        method: How g advances (default: Anderson acceleration at the time step of the solution).

    Raises:
        ValueError: When solving, a circuit that does not settle.

    Source: Bai, Kolter & Koltun, Deep equilibrium models, NeurIPS 2019,
    https://arxiv.org/abs/1909.01377.
    """

    tolerance: float = 1e-6
    max_steps: int = 2_000
    method: Method | None = None

    def run(self, problem: InitialValueProblem) -> Arrival:
        """Runs the circuit without gradient, then makes its end differentiable."""
        circuit, state, drive, method, stop, _ = problem
        given = (*tensors_of(state), *drive.samples, *drive.shared)
        if torch.is_grad_enabled() and any(t.requires_grad for t in given):
            _require_rest(circuit)
        with torch.no_grad():
            arrival = iterate(problem)
        if not torch.is_grad_enabled():
            return arrival
        point = map_state(lambda u: u.detach().requires_grad_(), arrival.state)
        rate = circuit.flow(point, drive)
        if not any(du.requires_grad for du in _beyond(rate, point)):
            return arrival
        _require_rest(circuit)
        if bool((arrival.distance > stop.tolerance).any()):
            _warn(f"the fixed point of {type(circuit).__name__}", "max_steps or tolerance of solve")
        how = self.method
        if how is None:
            how = Anderson(dt=step_of(None, method, circuit, drive), allow_unstable=True)
        adjoint = _Adjoint(circuit, point, rate)
        solve_adjoint = _AdjointSolver(adjoint, how, self)
        parts = _Equilibrium.apply(solve_adjoint, *tensors_of(point), *tensors_of(rate))
        return replace(arrival, state=with_tensors(arrival.state, parts))


def _require_rest(circuit: Circuit) -> None:
    """Raises ValueError for a circuit whose end has no implicit gradient."""
    if circuit.settles:
        return
    raise ValueError(
        "an implicit gradient needs a fixed point where the flow has a derivative. Got "
        f"{type(circuit).__name__}, which has none; pass gradient=Unrolled()."
    )


def _beyond(rate: State, point: State) -> tuple[Tensor, ...]:
    """Flows through which a gradient arrives at something besides the state itself."""
    own = {id(u) for u in tensors_of(point)}
    return tuple(du for du in tensors_of(rate) if _has_other_leaf(du.grad_fn, own))


def _has_other_leaf(node: Any, own: set[int]) -> bool:
    """Whether the graph of autograd below a node has a leaf that is not of the state."""
    pending, seen = [node], set()
    while pending:
        current = pending.pop()
        if current is None or current in seen:
            continue
        seen.add(current)
        variable = getattr(current, "variable", None)
        if variable is not None and id(variable) not in own:
            return True
        pending.extend(below for below, _ in current.next_functions)
    return False


class _Adjoint(Circuit):
    """The circuit of gradients around a fixed point: g' = v + J^T g."""

    def __init__(self, circuit: Circuit, point: State, rate: State) -> None:
        self.batch_dim, self.point, self.rate = circuit.batch_dim, point, rate

    def drive(self, inputs: tuple[Tensor, ...]) -> Drive:
        return Drive(inputs)

    def initial(self, drive: Drive) -> State:
        return map_state(torch.zeros_like, drive.samples)

    def flow(self, state: State, drive: Drive) -> State:
        products = torch.autograd.grad(
            tensors_of(self.rate),
            tensors_of(self.point),
            tensors_of(state),
            retain_graph=True,
            materialize_grads=True,
        )
        return tuple(v + p for v, p in zip(drive.samples, products, strict=True))


@dataclass(frozen=True)
class _AdjointSolver:
    adjoint: _Adjoint
    method: Method
    options: Implicit

    def __call__(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        drive = self.adjoint.drive(gradients)
        ready = self.method.ready(self.adjoint, drive)
        options = self.options
        stop = Stop(_unsolved, options.tolerance, options.max_steps, 5)
        start = self.adjoint.initial(drive)
        try:
            arrival = iterate(
                InitialValueProblem(self.adjoint, start, drive, ready, stop), leave=False
            )
        except DivergenceError as error:
            raise DivergenceError(
                "the adjoint circuit must converge where the circuit does. Got one that diverges: "
                "the state is not at a stable fixed point; solve to a smaller tolerance, or pass "
                "gradient=Unrolled()."
            ) from error
        if bool((arrival.distance > options.tolerance).any()):
            _warn("the adjoint circuit", "max_steps or tolerance of Implicit")
        return tensors_of(arrival.state)


def _unsolved(adjoint: Circuit, state: State, drive: Drive) -> Tensor:
    """Size of v + J^T g relative to v, ``[B]``, less what rounding leaves of a large g.

    Not relative to g: where J is singular, g grows without end and its relative change vanishes.
    For the same reason, rounding is never taken to be more than 1/1000 of v.
    """
    dim = adjoint.batch_dim
    rest, given = norm_of(adjoint.flow(state, drive), dim), norm_of(drive.samples, dim)
    kind = torch.finfo(given.dtype)
    given = given.clamp(min=kind.tiny**0.5)
    rounding = (16 * kind.eps * norm_of(state, dim) / given).clamp(max=1e-3)
    return (rest / given - rounding).clamp(min=0)


class _Equilibrium(torch.autograd.Function):
    """The state at the fixed point, whose gradient goes to the flow as -J^-T v."""

    @staticmethod
    def forward(ctx: Any, solver: _AdjointSolver, *tensors: Tensor) -> tuple[Tensor, ...]:
        half = len(tensors) // 2
        ctx.solver = solver
        ctx.half = half
        return tuple(u.detach().clone() for u in tensors[:half])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return (None, *(None,) * ctx.half, *ctx.solver(gradients))


def _warn(what: str, remedy: str) -> None:
    warnings.warn(
        f"an implicit gradient is exact at convergence only. Got {what} not converged; raise "
        f"{remedy}.",
        GradientWarning,
        stacklevel=2,
    )
