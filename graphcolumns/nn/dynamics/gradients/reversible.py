"""Gradients through every step, in constant memory: the steps are run backwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.iterate import Arrival, DivergenceError, InitialValueProblem
from graphcolumns.nn.dynamics.core.states import (
    State,
    count_samples,
    map_state,
    norm_of,
    tensors_of,
    with_tensors,
)
from graphcolumns.nn.dynamics.gradients.unrolled import step_of


@dataclass(frozen=True)
class Reversible:
    r"""Exact gradients of a fixed number of coupled steps, which the backward pass runs in reverse.

    Two copies of the state advance in turn, each by a step g of the other,

    .. math::
        y_{k+1} = (1 - \beta) y_k + \beta g(z_k), \qquad
        z_{k+1} = (1 - \beta) z_k + \beta g(y_{k+1}),

    and both lines can be solved for what was before. Memory does not grow with the number of steps.
    On the way back, rounding errors grow by up to
    :math:`((1 + \beta)/(1 - \beta))^2` per step, so that
    few can be undone: about 16 at :math:`\beta = 0.7` in float64. The start is compared with
    what comes out, and steps that cannot be undone to ``tolerance`` are an error.

    Args:
        steps: Number of coupled steps; each evaluates the circuit twice. ``max_steps`` of ``solve``
            is not used, nor is its method but for the time step.
        beta: Share of the other copy in each step.
        tolerance: Largest relative difference between the start and the start that comes out of the
            backward pass.

    Raises:
        ValueError: Fewer than one step, or beta outside (0, 1); when solving, a recorded
            trajectory, or a circuit that reads tensors with gradients besides its drive.

    Source: McCallum, Arora & Foster, Reversible deep equilibrium models, 2025,
    https://arxiv.org/abs/2509.12917.
    """

    steps: int = 16
    beta: float = 0.7
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 < self.beta < 1:
            raise ValueError(
                f"steps must be 1 or more and beta in (0, 1). Got steps={self.steps!r}, "
                f"beta={self.beta!r}."
            )

    def run(self, problem: InitialValueProblem) -> Arrival:
        """Runs the coupled steps."""
        circuit, state, drive, method, stop, record = problem
        if record is not None:
            raise ValueError(
                "Reversible() keeps no states on the way. Got record="
                f"{record}; pass gradient=Unrolled()."
            )
        _require_no_others(circuit, state, drive)
        dt = step_of(None, method, circuit, drive)
        coupled = _Coupled(circuit, state, drive, dt, self)
        parts = _Reversed.apply(coupled, *tensors_of(state), *drive.samples, *drive.shared)
        end = with_tensors(state, parts)
        with torch.no_grad():
            distance = stop.measure(circuit, map_state(lambda u: u.detach(), end), drive)
        if not bool(distance.isfinite().all()):
            raise DivergenceError(
                f"the state of a circuit must stay finite. Got {type(circuit).__name__} diverging "
                f"with dt={dt:.6g}; pass a smaller dt."
            )
        count = count_samples(end, circuit.batch_dim)
        iterations = torch.full((count,), self.steps, device=distance.device)
        return Arrival(end, iterations, distance)


def _require_no_others(circuit: Circuit, state: State, drive: Drive) -> None:
    """Raises ValueError where a step reads tensors with gradients besides its drive."""
    if not torch.is_grad_enabled():
        return
    bare = Drive(*(tuple(t.detach() for t in part) for part in drive))
    flow = circuit.flow(map_state(lambda u: u.detach(), state), bare)
    if any(du.requires_grad for du in tensors_of(flow)):
        raise ValueError(
            "Reversible() differentiates what a circuit reads from its drive. Got "
            f"{type(circuit).__name__}, which reads other tensors that require gradients; pass "
            "them in Drive.shared, or pass gradient=Implicit()."
        )


@dataclass(frozen=True)
class _Coupled:
    """The coupled steps, there and back."""

    circuit: Circuit
    state: State
    drive: Drive
    dt: float
    options: Reversible

    def pack(self, tensors: tuple[Tensor, ...]) -> tuple[State, Drive]:
        """State and drive, from one list of tensors."""
        parts, samples = len(tensors_of(self.state)), len(self.drive.samples)
        state = with_tensors(self.state, tensors[:parts])
        return state, Drive(tensors[parts : parts + samples], tensors[parts + samples :])

    def mix(self, old: State, other: State, drive: Drive) -> State:
        beta = self.options.beta
        stepped = self.circuit.step(other, drive, self.dt)
        return map_state(lambda u, g: (1 - beta) * u + beta * g, old, stepped)

    def unmix(self, new: State, stepped: State) -> State:
        beta = self.options.beta
        return map_state(lambda u, g: (u - beta * g) / (1 - beta), new, stepped)


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, coupled: _Coupled, *tensors: Tensor) -> tuple[Tensor, ...]:
        y, drive = coupled.pack(tensors)
        z = y
        for _ in range(coupled.options.steps):
            y = coupled.mix(y, z, drive)
            z = coupled.mix(z, y, drive)
        ctx.coupled = coupled
        ctx.count = len(tensors_of(y))
        ctx.save_for_backward(*tensors, *tensors_of(y), *tensors_of(z))
        return tuple(u.clone() for u in tensors_of(z))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        coupled, count = ctx.coupled, ctx.count
        saved = ctx.saved_tensors
        tensors, y, z = saved[: -2 * count], saved[-2 * count : -count], saved[-count:]
        start, _ = coupled.pack(tensors)
        y, z = with_tensors(start, y), with_tensors(start, z)
        learned = tuple(t.detach() for t in tensors[count:])
        sums = [torch.zeros_like(t) for t in learned]
        dz = with_tensors(start, gradients)
        dy = map_state(torch.zeros_like, dz)
        for _ in range(coupled.options.steps):
            # Undo z first: it was the last to move; its step was taken at the new y.
            z, dz, dy = _undo(coupled, z, y, dz, dy, learned, sums)
            y, dy, dz = _undo(coupled, y, z, dy, dz, learned, sums)
        _check_start(coupled, start, y)
        # Both copies began at the same state.
        first = tensors_of(map_state(torch.add, dy, dz))
        return (None, *first, *sums)


def _undo(
    coupled: _Coupled,
    new: State,
    other: State,
    d_new: State,
    d_other: State,
    learned: tuple[Tensor, ...],
    sums: list[Tensor],
) -> tuple[State, State, State]:
    """One line of the coupled steps in reverse: the state before, and both gradients before."""
    beta, count = coupled.options.beta, len(tensors_of(other))
    with torch.enable_grad():
        leaves = [u.detach().requires_grad_() for u in (*tensors_of(other), *learned)]
        at, drive = coupled.pack(
            (*tensors_of(with_tensors(other, leaves[:count])), *leaves[count:])
        )
        stepped = coupled.circuit.step(at, drive, coupled.dt)
    gradients = torch.autograd.grad(
        tensors_of(stepped),
        leaves,
        [beta * g for g in tensors_of(d_new)],
        allow_unused=True,
        materialize_grads=True,
    )
    for total, gradient in zip(sums, gradients[count:], strict=True):
        total += gradient
    before = coupled.unmix(new, map_state(lambda u: u.detach(), stepped))
    d_before = map_state(lambda g: (1 - beta) * g, d_new)
    moved = map_state(torch.add, d_other, with_tensors(d_other, gradients[:count]))
    return before, d_before, moved


def _check_start(coupled: _Coupled, start: State, back: State) -> None:
    dim, tolerance = coupled.circuit.batch_dim, coupled.options.tolerance
    error = norm_of(map_state(torch.sub, start, back), dim)
    scale = 1 + norm_of(start, dim)
    if bool((~(error <= tolerance * scale)).any()):
        raise FloatingPointError(
            f"coupled steps must be undone to {tolerance:g}. Got a start that is off by "
            f"{float((error / scale).max()):.2g} after {coupled.options.steps} steps at beta="
            f"{coupled.options.beta:g}; pass fewer steps, a smaller beta, float64, or "
            "gradient=Implicit()."
        )
