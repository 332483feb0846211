"""k winners among n, by one inhibitory unit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import State
from graphcolumns.nn.dynamics.projection.variational_inequality import check_finite_inputs


@dataclass(frozen=True)
class KWinners(Circuit):
    r"""The k largest of n inputs: a winner-take-all circuit with one inhibitory unit y.

    .. math::
        x_i = \min(\max((v_i - y) / m, 0), 1), \qquad \dot y = \sum_i x_i - k

    x solves the quadratic program

    .. math::
        \max_x \; v^\top x - \tfrac{m}{2} \lVert x \rVert^2 \quad \text{for} \quad
        \sum_i x_i = k, \; 0 \le x_i \le 1,

    whose multiplier is y. Where the k-th and the next input differ by the margin m or more, it is
    also the solution of the linear program, m = 0: 1 for winners and 0 for others. Where they are
    closer, the places are shared. Euler steps descend the dual for :math:`dt < 2 m / n`.

    Args:
        winners: Number of winners k.
        margin: Difference m that is resolved, above 0, in units of the input; a smaller one
            needs more steps.

    Shapes:
        - inputs: ``[B, n]``, with n above k
        - state: ``[B, 1]``
        - output: ``[B, n]``

    Raises:
        ValueError: Fewer than one winner or a margin that is not positive; when solving, inputs
            that are not finite, or no more inputs than winners.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import KWinners, solve
        >>> solve(KWinners(2), torch.tensor([[0.3, 0.9, 0.1, 0.7]])).output
        tensor([[0., 1., 0., 1.]])

    Source: Hu & Wang, An improved dual neural network for solving a class of quadratic programming
    problems and its k-winners-take-all application, IEEE Transactions on Neural Networks 2008,
    https://doi.org/10.1109/TNN.2008.2003287.
    """

    winners: int
    margin: float = 0.1

    def __post_init__(self) -> None:
        check_counts(winners=self.winners)
        if not 0 < self.margin < float("inf"):
            raise ValueError(f"margin must be positive. Got {self.margin!r}.")

    def drive(self, inputs: Tensor) -> Drive:
        """The inputs, checked."""
        if inputs.dim() != 2 or inputs.shape[1] <= self.winners:
            raise ValueError(
                f"inputs must be [B, n] with n above winners={self.winners}. Got "
                f"{list(inputs.shape)}."
            )
        check_finite_inputs(inputs)
        return Drive((inputs,))

    def initial(self, drive: Drive) -> Tensor:
        """The mean of the inputs."""
        return drive.samples[0].mean(1, keepdim=True)

    def output(self, state: State, drive: Drive) -> Tensor:
        """Activities between 0 and 1, ``[B, n]``."""
        assert isinstance(state, Tensor)
        return ((drive.samples[0] - state) / self.margin).clamp(0, 1)

    def flow(self, state: State, drive: Drive) -> Tensor:
        """Activity beyond that of k winners."""
        return self.output(state, drive).sum(1, keepdim=True) - self.winners

    def energy(self, state: State, drive: Drive) -> Tensor:
        """The dual function, ``[B]``, whose slope is the flow with the sign reversed."""
        assert isinstance(state, Tensor)
        above = torch.relu(drive.samples[0] - state)
        area = torch.where(
            above < self.margin, above.square() / (2 * self.margin), above - self.margin / 2
        )
        return self.winners * state[:, 0] + area.sum(1)

    def step_limit(self, drive: Drive) -> float:
        """Twice the margin over the number of inputs."""
        return 2 * self.margin / drive.samples[0].shape[1]
