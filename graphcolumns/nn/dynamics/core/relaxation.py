"""How a circuit arrives at its fixed point: energy, residual and output along the way."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.dynamics.core.circuit import Circuit
from graphcolumns.nn.dynamics.core.solve import Start, solve
from graphcolumns.nn.dynamics.core.states import tensors_of, with_tensors
from graphcolumns.nn.dynamics.methods.method import Method


class Relaxation(NamedTuple):
    """What was seen of a circuit on its way to a fixed point.

    Attributes:
        steps: Number of iterations before each frame, int64 ``[T]``, from 0.
        energy: Energy at each frame, ``[T, B]``, or None for a circuit without one.
        residual: Distance from the fixed point at each frame, ``[T, B]``.
        output: Output at each frame, ``[T, ...]``. A model returns states of columns here,
            ``[T, N, B, C]``, for a report to play.
    """

    steps: Tensor
    energy: Tensor | None
    residual: Tensor
    output: Tensor


@torch.no_grad()
def relaxation(
    circuit: Circuit,
    inputs: Any,
    *,
    method: Method | None = None,
    start: Start = None,
    frames: int = 25,
    every: int = 4,
) -> Relaxation:
    """Runs a circuit and notes energy, residual and output at regular intervals.

    Args:
        circuit: The system.
        inputs: Inputs of a batch, as ``circuit.drive`` takes them.
        method: How the state advances (default: ``Euler()``).
        start: State at the start, as in :func:`~graphcolumns.nn.dynamics.solve`.
        frames: Number of frames, the start not counted; fewer if all samples come to rest exactly.
        every: Iterations between two frames.

    Raises:
        ValueError: A number below 1, or what ``solve`` refuses.
        DivergenceError: The state grew beyond bounds.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import LCA, relaxation
        >>> seen = relaxation(LCA(torch.eye(2), threshold=0.5), torch.ones(1, 2), frames=3)
        >>> seen.steps.tolist(), bool((seen.energy.diff(dim=0) <= 0).all())
        ([0, 4, 8, 12], True)
    """
    check_counts(frames=frames, every=every)
    found = solve(
        circuit, inputs, method=method, start=start,
        tolerance=0.0, max_steps=frames * every, every=every, record=every,
    )  # fmt: skip
    assert found.trajectory is not None
    path = [
        with_tensors(found.state, parts)
        for parts in zip(*map(torch.unbind, tensors_of(found.trajectory)), strict=True)
    ]
    energies = [circuit.energy(state, found.drive) for state in path]
    seen = [energy for energy in energies if energy is not None]
    return Relaxation(
        torch.arange(len(path)) * every,
        torch.stack(seen) if len(seen) == len(path) else None,
        torch.stack([circuit.residual(state, found.drive) for state in path]),
        torch.stack([circuit.output(state, found.drive) for state in path]),
    )
