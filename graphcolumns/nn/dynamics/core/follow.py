"""A circuit that follows an input that changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.dynamics.core.circuit import Circuit
from graphcolumns.nn.dynamics.core.full_precision import full_precision
from graphcolumns.nn.dynamics.core.iterate import growth_bound, require_bounded
from graphcolumns.nn.dynamics.core.solve import starting_state
from graphcolumns.nn.dynamics.core.states import State
from graphcolumns.nn.dynamics.methods.euler import Euler
from graphcolumns.nn.dynamics.methods.method import Method


@full_precision()
def follow(
    circuit: Circuit,
    frames: Iterable[Any],
    *,
    method: Method | None = None,
    steps: int = 1,
    state: State | None = None,
) -> tuple[Tensor, State]:
    """Runs a circuit on a sequence of inputs, each from where the last one left it.

    With ``Euler(dt, time_constants=(1, 5, 20))`` the tensors of the state, such as the layers of a
    network, follow at different speeds. Gradients pass through all steps.

    Args:
        circuit: The system.
        frames: Inputs, one after another; ``[T, B, ...]`` for tensors.
        method: How the state advances (default: ``Euler()``).
        steps: Iterations for every frame.
        state: State at the start (default: ``circuit.initial`` of the first frame).

    Returns:
        Outputs after every frame, ``[T, ...]``, and the last state, where a later call goes on.

    Raises:
        DivergenceError: The state grew beyond bounds within a frame.
        TypeError: A state of another dtype.
        ValueError: No frame, fewer than one step, frames of different sizes, a state that does not
            fit, or a time step that is not stable.
    """
    check_counts(steps=steps)
    outputs = []
    for frame in frames:
        drive = circuit.drive(frame)
        ready = (Euler() if method is None else method).ready(circuit, drive)
        state = starting_state(circuit, frame, drive, state)
        memory = ready.memory(state, circuit.batch_dim)
        bound = growth_bound(state, drive, circuit.batch_dim)
        for iteration in range(steps):
            state, memory = ready.advance(circuit, state, drive, memory, iteration)
        require_bounded(circuit, state, drive, ready, bound)
        outputs.append(circuit.output(state, drive))
    if not outputs or state is None:
        raise ValueError("frames must have one input or more. Got none.")
    return torch.stack(outputs), state
