"""What winner-take-all circuits share: excitatory units, inhibitory units, their equations."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from graphcolumns.nn.checks import has_values
from graphcolumns.nn.dynamics.core.arguments import require_positive
from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import State
from graphcolumns.nn.dynamics.winner_take_all.regime import (
    Regime,
    regime_of,
    step_limit_of,
    warn_of,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class InhibitoryCircuit(Circuit):
    r"""Excitatory units x that drive inhibitory units y and are inhibited by them.

    .. math::
        \dot x &= -G x + f(I + \alpha x - P y - T) \\
        \dot y &= -G y + f(Q x - T_N), \qquad f(v) = \max(v, 0)

    Circuits of this kind differ in which units an inhibitory unit reaches, Q and P.
    The state is the pair (x, y), and the output is x.

    Args:
        alpha: Self-excitation :math:`\alpha`, 0 or more.
        threshold: Threshold T of excitatory units, in units of the input.
        inhibitory_threshold: Threshold :math:`T_N` of inhibitory units.
        leak: Leak G, above 0.
        sequential: Whether excitatory units see the new state of inhibitory units in a step
            (Gauss-Seidel) instead of the old one (Jacobi). Fixed points are the same; the largest
            stable step is larger.

    Raises:
        ValueError: A negative or infinite number, or a leak that is not positive.
    """

    alpha: float = 0.5
    threshold: float = 0.0
    inhibitory_threshold: float = 0.0
    leak: float = 1.0
    sequential: bool = False

    def __post_init__(self) -> None:
        thresholds = {
            "threshold": self.threshold,
            "inhibitory_threshold": self.inhibitory_threshold,
        }
        check_nonnegative(alpha=self.alpha, **thresholds)
        require_positive(leak=self.leak)

    @property
    def excitation(self) -> float:
        """Excitation of a unit by itself, and by all units that have no inhibition in common."""
        return self.alpha

    @abstractmethod
    def excite(self, x: Tensor, drive: Drive) -> Tensor:
        """Input of inhibitory units from excitatory ones, Q x."""

    @abstractmethod
    def inhibit(self, y: Tensor, drive: Drive) -> Tensor:
        """Inhibition of excitatory units, P y."""

    @abstractmethod
    def loop(self, drive: Drive) -> tuple[float, float]:
        r"""Strengths of the inhibitory loop: of the weakest unit alone, and of all units together.

        The first is :math:`\beta` of the regime; the second is the largest squared singular value
        of the coupling, or a bound of it, which limits time steps.
        """

    def drive(self, inputs: Tensor) -> Drive:
        """The inputs, checked.

        Raises:
            ValueError: Inputs of another shape, or that are not finite.
            TypeError: Inputs that are not floating.
        """
        self.check_inputs(inputs)
        drive = self.ready(inputs)
        alpha, beta = self.excitation / self.leak, self.loop(drive)[0] / self.leak**2
        warn_of(regime_of(alpha, beta), type(self).__name__, alpha, beta)
        return drive

    def ready(self, inputs: Tensor) -> Drive:
        """The drive of checked inputs."""
        return Drive((inputs,))

    def check_inputs(self, inputs: Tensor) -> None:
        """Raises ValueError or TypeError for inputs that do not fit."""
        check_signal(inputs)

    def regime(self, drive: Drive) -> Regime:
        """What the circuit does with its parameters."""
        return regime_of(self.excitation / self.leak, self.loop(drive)[0] / self.leak**2)

    def initial(self, drive: Drive) -> State:
        """Zero."""
        x = torch.zeros_like(drive.samples[0])
        return x, torch.zeros_like(self.excite(x, drive))

    def flow(self, state: State, drive: Drive) -> State:
        """Rates of change of excitatory and of inhibitory units."""
        x, y = state
        return self.excitatory_flow(x, y, drive), self.inhibitory_flow(x, y, drive)

    def step(self, state: State, drive: Drive, dt: float) -> State:
        """One Euler step of both kinds of units, at once or inhibitory units first."""
        x, y = state
        new = y + dt * self.inhibitory_flow(x, y, drive)
        return x + dt * self.excitatory_flow(x, new if self.sequential else y, drive), new

    def excitatory_flow(self, x: Tensor, y: Tensor, drive: Drive) -> Tensor:
        """Rate of change of excitatory units."""
        total = drive.samples[0] + self.alpha * x - self.inhibit(y, drive) - self.threshold
        return torch.relu(total) - self.leak * x

    def inhibitory_flow(self, x: Tensor, y: Tensor, drive: Drive) -> Tensor:
        """Rate of change of inhibitory units."""
        return torch.relu(self.excite(x, drive) - self.inhibitory_threshold) - self.leak * y

    def step_limit(self, drive: Drive) -> float | None:
        r"""Limit of stable steps at the fixed points, or None where the regime has none.

        With Jacobi steps :math:`(2 - \alpha) / (1 - \alpha + \sigma^2)`, where
        :math:`\sigma^2` is the strength of the inhibitory loop with all units active; at most 2.
        """
        if self.regime(drive) in (Regime.LIMIT_CYCLE, Regime.UNBOUNDED):
            return None
        alpha, strength = self.alpha / self.leak, self.loop(drive)[1] / self.leak**2
        return step_limit_of(alpha, strength, self.sequential) / self.leak


def check_signal(inputs: Tensor, shape: str = "[B, ...]", dims: int | None = None) -> None:
    """Raises for inputs of another number of dimensions, not floating or not finite."""
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        got = inputs.dtype if isinstance(inputs, Tensor) else type(inputs).__name__
        raise TypeError(f"inputs must be a floating tensor. Expected {shape}. Got {got}.")
    if inputs.dim() != dims if dims is not None else inputs.dim() < 2:
        raise ValueError(f"inputs must be {shape}. Got {list(inputs.shape)}.")
    if has_values(inputs) and not bool(inputs.isfinite().all()):
        count = int((~inputs.isfinite()).sum())
        raise ValueError(f"inputs must be finite. Got {count} that are NaN or infinite.")


def check_nonnegative(**values: float) -> None:
    """Raises ValueError for a number below 0 or not finite."""
    for name, value in values.items():
        if not (value >= 0 and isfinite(value)):
            raise ValueError(f"{name} must be 0 or more and finite. Got {value!r}.")
