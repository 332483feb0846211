"""Anderson acceleration of Euler steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import (
    State,
    flatten_samples,
    map_state,
    tensors_of,
    unflatten_samples,
)
from graphcolumns.nn.dynamics.methods.method import Memory, settled_step


@dataclass(frozen=True)
class Anderson:
    r"""Anderson acceleration: the combination of the last steps with the smallest residual.

    With residuals :math:`r_l = g(u_l) - u_l` of the Euler step g,

    .. math::
        u_{k+1} = \sum_l \alpha_l \, (u_l + \text{mixing} \, r_l), \qquad
        \alpha = \arg\min_{\sum_l \alpha_l = 1}
            \lVert \textstyle\sum_l \alpha_l r_l \rVert^2 + \rho \lVert \alpha \rVert^2.

    The regularisation :math:`\rho` is relative to the mean square of the residuals, so that a
    singular system has a solution; where it still has none that is finite, the plain step is made.

    Args:
        dt: Time step of the Euler step (default: 90 % of the limit of the circuit).
        depth: Number of last steps that are combined.
        mixing: Share of the residual that is added.
        regularisation: Size of the penalty on the coefficients, relative to the residuals.
        allow_unstable: Whether a time step beyond the limit is allowed.

    Raises:
        ValueError: A depth below 1, a mixing outside (0, 1], a negative regularisation.

    Source: Walker & Ni, Anderson acceleration for fixed-point iterations, SIAM Journal on Numerical
    Analysis 2011, https://doi.org/10.1137/10078356X.
    """

    dt: float | None = None
    depth: int = 5
    mixing: float = 1.0
    regularisation: float = 1e-10
    allow_unstable: bool = False

    def __post_init__(self) -> None:
        if self.depth < 1 or not 0 < self.mixing <= 1 or not self.regularisation >= 0:
            raise ValueError(
                "depth must be 1 or more, mixing in (0, 1], regularisation 0 or more. Got "
                f"depth={self.depth!r}, mixing={self.mixing!r}, "
                f"regularisation={self.regularisation!r}."
            )

    def ready(self, circuit: Circuit, drive: Drive) -> Anderson:
        """The method with its time step.

        Raises:
            ValueError: A step that is not positive or not below the limit.
        """
        return replace(self, dt=settled_step(self.dt, circuit, drive, self.allow_unstable))

    def memory(self, state: State, batch_dim: int) -> Memory:
        """The last states, then the residuals of each of them; none at the start."""
        return ()

    def advance(
        self, circuit: Circuit, state: State, drive: Drive, memory: Memory, iteration: int
    ) -> tuple[State, Memory]:
        """One accelerated step."""
        assert self.dt is not None
        parts, dim = len(tensors_of(state)), circuit.batch_dim
        residual = map_state(lambda g, u: g - u, circuit.step(state, drive, self.dt), state)
        half = len(memory) // 2
        states = (memory[:half] + tensors_of(state))[-self.depth * parts :]
        residuals = (memory[half:] + tensors_of(residual))[-self.depth * parts :]
        u, r = _history(states, parts, dim), _history(residuals, parts, dim)
        mixed = ((u + self.mixing * r) * _coefficients(r, self.regularisation)[..., None]).sum(1)
        plain = u[:, -1] + self.mixing * r[:, -1]
        best = torch.where(mixed.isfinite().all(1, keepdim=True), mixed, plain)
        # A combination of states within bounds may lie beyond them.
        return circuit.constrained(unflatten_samples(best, state, dim)), states + residuals


def _history(tensors: Memory, parts: int, dim: int) -> Tensor:
    """Flattened states, ``[B, l, n]``."""
    return torch.stack(
        [flatten_samples(tensors[i : i + parts], dim) for i in range(0, len(tensors), parts)], 1
    )


def _coefficients(residuals: Tensor, regularisation: float) -> Tensor:
    """The coefficients of every sample, ``[B, l]``."""
    gram = residuals @ residuals.mT
    mean = gram.diagonal(dim1=1, dim2=2).mean(1)
    # A sample that has converged exactly has residuals of zero: any coefficients will do.
    scale = torch.where(mean > 0, mean, torch.ones_like(mean))
    eye = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    gram = gram / scale[:, None, None] + max(regularisation, torch.finfo(gram.dtype).eps) * eye
    solution, _ = torch.linalg.solve_ex(gram, torch.ones_like(gram[..., :1]))
    weights = solution.squeeze(-1)
    return weights / weights.sum(1, keepdim=True)
