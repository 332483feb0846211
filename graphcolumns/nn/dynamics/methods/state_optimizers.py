"""Optimizers of the state: they take the flow of a circuit for the negative gradient."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import State, tensors_of, with_tensors
from graphcolumns.nn.dynamics.methods.method import Memory


@dataclass(frozen=True)
class Momentum:
    r"""Heavy-ball steps; with ``beta=0``, gradient descent (SGD).

    .. math::
        m \leftarrow \beta m + f(u), \qquad u \leftarrow u + \eta_k m

    Args:
        rate: Step size :math:`\eta`.
        beta: Share of the last step that is kept.
        decay: Share of the step size lost in every iteration,
            :math:`\eta_k = \eta (1 - \text{decay})^k`.

    Raises:
        ValueError: A rate that is not positive, or another number outside [0, 1).

    Source: Polyak, Some methods of speeding up the convergence of iteration methods, USSR
    Computational Mathematics and Mathematical Physics 1964,
    https://doi.org/10.1016/0041-5553(64)90137-5.
    """

    rate: float = 0.1
    beta: float = 0.9
    decay: float = 0.0

    def __post_init__(self) -> None:
        _check(self.rate, beta=self.beta, decay=self.decay)

    def ready(self, circuit: Circuit, drive: Drive) -> Momentum:
        """The method as it is."""
        return self

    def memory(self, state: State, batch_dim: int) -> Memory:
        """The running sum of flows, per tensor."""
        return _zeros(state)

    def advance(
        self, circuit: Circuit, state: State, drive: Drive, memory: Memory, iteration: int
    ) -> tuple[State, Memory]:
        """One step."""
        flows = tensors_of(circuit.flow(state, drive))
        memory = tuple(self.beta * m + du for m, du in zip(memory, flows, strict=True))
        return _stepped(circuit, state, memory, self.rate * (1 - self.decay) ** iteration), memory


@dataclass(frozen=True)
class RMSProp:
    r"""Steps divided by the running root mean square of the flow, without bias of the start.

    .. math::
        v \leftarrow \beta v + (1 - \beta) f^2, \qquad
        u \leftarrow u + \eta_k f / (\sqrt{v / (1 - \beta^k)} + \epsilon)

    Args:
        rate: Step size :math:`\eta`.
        beta: Memory of the mean square.
        epsilon: Number that keeps small flows from being enlarged.
        decay: Share of the step size lost in every iteration.

    Raises:
        ValueError: A rate or epsilon that is not positive, or another number outside [0, 1).

    Source: Tieleman & Hinton, Neural Networks for Machine Learning, lecture 6.5, 2012,
    https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf.
    """

    rate: float = 0.01
    beta: float = 0.9
    epsilon: float = 1e-8
    decay: float = 0.0

    def __post_init__(self) -> None:
        _check(self.rate, self.epsilon, beta=self.beta, decay=self.decay)

    def ready(self, circuit: Circuit, drive: Drive) -> RMSProp:
        """The method as it is."""
        return self

    def memory(self, state: State, batch_dim: int) -> Memory:
        """The mean square of flows, per tensor."""
        return _zeros(state)

    def advance(
        self, circuit: Circuit, state: State, drive: Drive, memory: Memory, iteration: int
    ) -> tuple[State, Memory]:
        """One step."""
        flows = tensors_of(circuit.flow(state, drive))
        memory = _averages(memory, [du.square() for du in flows], self.beta)
        unbiased = 1 - self.beta ** (iteration + 1)
        scaled = _scaled(flows, memory, unbiased, self.epsilon)
        return _stepped(circuit, state, scaled, self.rate * (1 - self.decay) ** iteration), memory


@dataclass(frozen=True)
class Adam:
    r"""Adam on the state, with the bias of both averages corrected.

    .. math::
        m \leftarrow \beta_1 m + (1 - \beta_1) f, \quad v \leftarrow \beta_2 v + (1 - \beta_2) f^2,
        \quad u \leftarrow u
        + \eta_k \frac{m / (1 - \beta_1^k)}{\sqrt{v / (1 - \beta_2^k)} + \epsilon}

    At a constant step size it need not settle: near a fixed point its steps keep the size of
    :math:`\eta`. With ``decay`` they shrink, and so does the distance.

    Args:
        rate: Step size :math:`\eta`.
        betas: Memories of the two averages.
        epsilon: Number that keeps small flows from being enlarged.
        decay: Share of the step size lost in every iteration,
            :math:`\eta_k = \eta (1 - \text{decay})^k`.

    Raises:
        ValueError: A rate or epsilon that is not positive, or another number outside [0, 1).

    Source: Kingma & Ba, Adam: a method for stochastic optimization, ICLR 2015,
    https://arxiv.org/abs/1412.6980.
    """

    rate: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    decay: float = 0.0

    def __post_init__(self) -> None:
        first, second = self.betas
        _check(self.rate, self.epsilon, beta1=first, beta2=second, decay=self.decay)

    def ready(self, circuit: Circuit, drive: Drive) -> Adam:
        """The method as it is."""
        return self

    def memory(self, state: State, batch_dim: int) -> Memory:
        """The two averages: of flows, then of their squares."""
        return _zeros(state) + _zeros(state)

    def advance(
        self, circuit: Circuit, state: State, drive: Drive, memory: Memory, iteration: int
    ) -> tuple[State, Memory]:
        """One step."""
        flows = tensors_of(circuit.flow(state, drive))
        first, second = self.betas
        mean = _averages(memory[: len(flows)], flows, first)
        square = _averages(memory[len(flows) :], [du.square() for du in flows], second)
        unbiased = [m / (1 - first ** (iteration + 1)) for m in mean]
        scaled = _scaled(unbiased, square, 1 - second ** (iteration + 1), self.epsilon)
        return _stepped(
            circuit, state, scaled, self.rate * (1 - self.decay) ** iteration
        ), mean + square


def _zeros(state: State) -> Memory:
    return tuple(torch.zeros_like(u) for u in tensors_of(state))


def _averages(memory: Memory, values: list[Tensor] | tuple[Tensor, ...], beta: float) -> Memory:
    return tuple(beta * m + (1 - beta) * x for m, x in zip(memory, values, strict=True))


def _scaled(
    flows: list[Tensor] | tuple[Tensor, ...], squares: Memory, unbiased: float, epsilon: float
) -> list[Tensor]:
    pairs = zip(flows, squares, strict=True)
    return [du / ((v / unbiased).sqrt() + epsilon) for du, v in pairs]


def _stepped(circuit: Circuit, state: State, steps: list[Tensor] | Memory, rate: float) -> State:
    moves = zip(tensors_of(state), steps, strict=True)
    return circuit.constrained(with_tensors(state, [u + rate * step for u, step in moves]))


def _check(*positive: float, **shares: float) -> None:
    for value in positive:
        if not value > 0:
            raise ValueError(f"rate and epsilon must be positive. Got {value!r}.")
    for name, value in shares.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} must be in [0, 1). Got {value!r}.")
