"""What a circuit is: a state, its rate of change, and what is known about it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.states import (
    State,
    flatten_samples,
    map_state,
    norm_of,
    tensors_of,
)


class Drive(NamedTuple):
    """All that a step reads besides the state; computed once per input.

    Gradients reach parameters through these tensors, so whatever is learned stands here.

    Attributes:
        samples: Tensors with one entry per sample, along the ``batch_dim`` of the circuit.
        shared: Tensors that hold for all samples, such as lateral weights.
    """

    samples: tuple[Tensor, ...]
    shared: tuple[Tensor, ...] = ()


class Circuit(ABC):
    r"""A dynamical system :math:`\dot u = f(u, \text{drive})`, one for each sample of a batch.

    A circuit of your own has :meth:`drive`, :meth:`initial` and :meth:`flow`; the rest is optional.
    All of them are pure functions: they change neither the circuit nor their arguments.
    :func:`~graphcolumns.nn.dynamics.solve` runs any circuit to a fixed point, and
    :func:`~graphcolumns.nn.dynamics.follow` lets it follow inputs that change.

    Attributes:
        batch_dim: Dimension of samples in the tensors of the state and in ``Drive.samples``: 0, or
            1 for circuits whose states are ``[N, B, C]``, columns first.
        settles: Whether it comes to rest at fixed points where its flow has a derivative, which an
            implicit gradient needs. A circuit that follows a problem that changes has none.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import Circuit, Drive, solve
        >>> class Leak(Circuit):
        ...     def drive(self, inputs):
        ...         return Drive((inputs,))
        ...
        ...     def initial(self, drive):
        ...         return torch.zeros_like(drive.samples[0])
        ...
        ...     def flow(self, state, drive):
        ...         return drive.samples[0] - state
        ...
        ...     def step_limit(self, drive):
        ...         return 2.0
        >>> solve(Leak(), torch.ones(1, 2)).output.round(decimals=3)
        tensor([[1., 1.]])
    """

    batch_dim: int = 0
    settles: bool = True

    @abstractmethod
    def drive(self, inputs: Any) -> Drive:
        """Computes once what every step reads, and checks the inputs."""

    @abstractmethod
    def initial(self, drive: Drive) -> State:
        """The state before the first step: a tensor, or a tuple of tensors."""

    @abstractmethod
    def flow(self, state: State, drive: Drive) -> State:
        """The rate of change of the state, in units of state per unit of time."""

    def step(self, state: State, drive: Drive, dt: float) -> State:
        r"""One Euler step, :math:`u + dt \, f(u)`, unless the circuit has a step of its own."""
        return map_state(lambda u, du: u + dt * du, state, self.flow(state, drive))

    def constrained(self, state: State) -> State:
        """The nearest state within the bounds of the circuit; the state itself where it has none.

        A step of the circuit's own keeps to them; methods that step along the flow call this.
        """
        return state

    def output(self, state: State, drive: Drive) -> Tensor:
        """What is read from the circuit; the first tensor of the state unless it says otherwise."""
        return tensors_of(state)[0]

    def step_limit(self, drive: Drive) -> float | None:
        """The time step below which Euler steps are stable, or None where no limit is proven."""
        return None

    def energy(self, state: State, drive: Drive) -> Tensor | None:
        """The function ``[B]`` that the dynamics descend, or None where there is none."""
        return None

    def gap(self, state: State, drive: Drive) -> Tensor | None:
        """An upper bound of the relative distance to the optimum, ``[B]``, or None."""
        return None

    def residual(self, state: State, drive: Drive) -> Tensor:
        r"""Distance from the fixed point, ``[B]``: :math:`\lVert f(u) \rVert_\infty` by default."""
        rates = flatten_samples(self.flow(state, drive), self.batch_dim)
        return torch.linalg.vector_norm(rates, ord=float("inf"), dim=1)


@torch.no_grad()
def limit_of(circuit: Circuit, drive: Drive) -> float | None:
    """The step limit of a circuit, computed without a gradient."""
    return circuit.step_limit(drive)


def relative_change(circuit: Circuit, state: State, drive: Drive) -> Tensor:
    r"""Size of the rate of change over that of the state, ``[B]``, per unit of time.

    .. math::
        \lVert f(u) \rVert_2 / \max(\lVert u \rVert_2, \epsilon)
    """
    rate = norm_of(circuit.flow(state, drive), circuit.batch_dim)
    size = norm_of(state, circuit.batch_dim)
    return rate / size.clamp(min=torch.finfo(size.dtype).tiny ** 0.5)


# How far from the end a state is, `[B]`.
Measure = Callable[[Circuit, State, Drive], Tensor]
