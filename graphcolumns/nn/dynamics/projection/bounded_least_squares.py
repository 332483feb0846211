"""Least squares with bounds, such as non-negative least squares."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Drive
from graphcolumns.nn.dynamics.projection.convex_sets import Box, ConvexSet
from graphcolumns.nn.dynamics.projection.projection_network import ProjectionNetwork

NONNEGATIVE = Box(0.0)


@dataclass(frozen=True, eq=False)
class BoundedLeastSquares(ProjectionNetwork):
    r"""Least squares on a convex set, non-negative by default.

    .. math::
        \min_{x \in X} \tfrac12 \lVert A x - b \rVert^2, \qquad
        \dot x = P(x - \alpha A^\top (A x - b)) - x

    Args:
        matrix: Design A, ``[m, n]``.
        feasible: Set X (default: the non-negative vectors).
        scale: Factor :math:`\alpha` (default: 1 over the largest eigenvalue of
            :math:`A^\top A`).

    Shapes:
        - inputs: right-hand sides b, ``[B, m]``
        - state, output: ``[B, n]``

    Raises:
        ValueError: As :class:`ProjectionNetwork`.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import BoundedLeastSquares, solve
        >>> fit = BoundedLeastSquares(torch.eye(2))
        >>> solve(fit, torch.tensor([[2.0, -1.0]])).output.round(decimals=3)
        tensor([[2., 0.]])
    """

    feasible: ConvexSet = NONNEGATIVE

    def drive(self, inputs: Tensor) -> Drive:
        """Linear terms and the matrix of the normal equations."""
        if inputs.dim() != 2 or self.matrix.dim() != 2 or inputs.shape[1] != len(self.matrix):
            raise ValueError(
                "inputs must have one value per row of the matrix. Expected [B, m] for [m, n]. Got "
                f"{list(inputs.shape)} for {list(self.matrix.shape)}."
            )
        return self._drive(-inputs @ self.matrix, self.matrix.T @ self.matrix)
