"""Associative memory by softmax: the modern Hopfield network."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.arguments import require_finite, require_positive, require_shape
from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import State


@dataclass(frozen=True, eq=False)
class ModernHopfield(Circuit):
    r"""Retrieval of stored patterns, of which one step is softmax attention.

    .. math::
        \dot u = X^\top \mathrm{softmax}(\beta X u) - u, \qquad
        E = -\frac1\beta \log \sum_\mu e^{\beta x_\mu^\top u} + \frac12 u^\top u
            + \frac1\beta \log M + \frac12 \max_\mu \lVert x_\mu \rVert^2

    ``Euler(1.0)`` is the update rule of the source: the state is a query, the patterns are keys and
    values. The flow is the negative gradient of E, whose curvature is at most 1, so that every step
    below 2 descends.

    Args:
        patterns: Stored patterns X, ``[M, n]``.
        beta: Inverse temperature :math:`\beta`; large values retrieve single patterns, small ones
            averages of similar patterns.
        values: What is read in place of a pattern, ``[M, v]``, or None for the state itself.

    Shapes:
        - inputs: cues ``[B, n]``, where the state starts
        - state: ``[B, n]``
        - output: ``[B, n]``, or ``[B, v]`` with values

    Raises:
        ValueError: Shapes that do not fit, no pattern, NaN, or a beta that is not positive.
        TypeError: Tensors that are not floating.

    Source: Ramsauer et al., Hopfield networks is all you need, ICLR 2021,
    https://arxiv.org/abs/2008.02217.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import Euler, ModernHopfield, solve
        >>> patterns = torch.tensor([[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]])
        >>> cue = torch.tensor([[0.9, 0.8, 0.0, -0.2]])
        >>> memory = ModernHopfield(patterns, beta=4.0)
        >>> solve(memory, cue, method=Euler(1.0)).output.round(decimals=2)
        tensor([[ 1.,  1., -1., -1.]])
    """

    patterns: Tensor
    beta: float = 1.0
    values: Tensor | None = None

    def __post_init__(self) -> None:
        require_shape("patterns", self.patterns, ("M", "n"))
        count = len(self.patterns)
        if not count:
            raise ValueError("patterns must have one row or more. Got none.")
        require_finite("patterns", self.patterns)
        require_positive(beta=self.beta)
        if self.values is not None:
            require_shape("values", self.values, (count, "v"))
            require_finite("values", self.values)

    def drive(self, inputs: Tensor) -> Drive:
        """Cues, patterns and values."""
        require_shape("inputs", inputs, ("B", self.patterns.shape[1]))
        require_finite("inputs", inputs)
        values = () if self.values is None else (self.values,)
        return Drive((inputs,), (self.patterns, *values))

    def initial(self, drive: Drive) -> Tensor:
        """The cues."""
        return drive.samples[0]

    def flow(self, state: State, drive: Drive) -> Tensor:
        """What attention retrieves, less the state."""
        assert isinstance(state, Tensor)
        return self.attention(state, drive) @ drive.shared[0] - state

    def attention(self, state: State, drive: Drive) -> Tensor:
        """The attention map of a state: the weight of every pattern, ``[B, M]``."""
        return torch.softmax(self.beta * self._overlaps(state, drive), 1)

    def output(self, state: State, drive: Drive) -> Tensor:
        """The state, or the values that it attends to."""
        assert isinstance(state, Tensor)
        return state if self.values is None else self.attention(state, drive) @ drive.shared[1]

    def energy(self, state: State, drive: Drive) -> Tensor:
        """The energy, ``[B]``, never negative."""
        assert isinstance(state, Tensor)
        patterns = drive.shared[0]
        attraction = torch.logsumexp(self.beta * self._overlaps(state, drive), 1) / self.beta
        largest = patterns.square().sum(1).max() / 2
        return state.square().sum(1) / 2 - attraction + log(len(patterns)) / self.beta + largest

    def step_limit(self, drive: Drive) -> float:
        """2, whatever the patterns."""
        return 2.0

    def _overlaps(self, state: State, drive: Drive) -> Tensor:
        assert isinstance(state, Tensor)
        return state @ drive.shared[0].T
