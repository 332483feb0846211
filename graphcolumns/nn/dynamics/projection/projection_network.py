"""The projection network of a matrix: quadratic programs and linear variational inequalities."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import State
from graphcolumns.nn.dynamics.projection.convex_sets import ConvexSet
from graphcolumns.nn.dynamics.projection.variational_inequality import (
    VariationalInequality,
    check_finite_inputs,
    check_scale,
    contraction_limit,
)


@dataclass(frozen=True, eq=False)
class ProjectionNetwork(Circuit):
    r"""Solves quadratic programs and linear variational inequalities.

    .. math::
        \dot x = P(x - \alpha (M x + q)) - x

    with the projection P onto a convex set X. With a symmetric M, the fixed points are the minima
    of :math:`\frac12 x^\top M x + q^\top x` on X; with any M they are the :math:`x^* \in X` with
    :math:`(M x^* + q)^\top (x - x^*) \ge 0` for all x in X. M = 0 gives a linear program.

    Euler steps are proven to converge in two cases, with L the largest singular value of M:

    - M symmetric with eigenvalues of 0 or more, :math:`\alpha L < 2`: the projected step is
      averaged with the constant :math:`2 / (4 - \alpha L)`, so :math:`dt < 2 - \alpha L / 2`.
    - M strongly monotone, the eigenvalues of :math:`(M + M^\top) / 2` being :math:`\mu > 0` or
      more, and :math:`\alpha < 2 \mu / L^2`: it contracts by
      :math:`\rho = (1 - 2 \alpha \mu + \alpha^2 L^2)^{1/2}`, so :math:`dt < 2 / (1 + \rho)`.

    Args:
        matrix: Matrix M, ``[n, n]``: symmetric without negative eigenvalues, or strongly monotone.
        feasible: Set X, such as :class:`Box`, :class:`Simplex`, :class:`Ball`, :class:`HalfSpace`.
        scale: Factor :math:`\alpha`, above 0 (default: :math:`1 / L` for a symmetric M, otherwise
            :math:`\mu / L^2`).

    Shapes:
        - inputs: linear terms q, ``[B, n]``
        - state, output: ``[B, n]``

    Raises:
        ValueError: A factor that is not positive; when solving, a matrix that is not square, not
            finite or not monotone, inputs or a set of another size, or inputs that are not finite.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import Box, ProjectionNetwork, solve
        >>> program = ProjectionNetwork(torch.tensor([[2.0, 1.0], [1.0, 2.0]]), Box(0.0, 1.0))
        >>> solve(program, torch.tensor([[-1.0, 1.0]])).output.round(decimals=3)
        tensor([[0.5000, 0.0000]])

    Source: Xia, Leung & Wang, A projection neural network and its application to constrained
    optimization problems, IEEE Transactions on Circuits and Systems I 2002,
    https://doi.org/10.1109/81.995659; averaged steps: Combettes & Yamada, Compositions and convex
    combinations of averaged nonexpansive operators, Journal of Mathematical Analysis and
    Applications 2015, https://doi.org/10.1016/j.jmaa.2014.11.044.
    """

    matrix: Tensor
    feasible: ConvexSet
    scale: float | None = None

    def __post_init__(self) -> None:
        check_scale(self.scale)

    def drive(self, inputs: Tensor) -> Drive:
        """Linear terms, the matrix and the factor; checks that the matrix is monotone."""
        return self._drive(inputs, self.matrix)

    def _drive(self, linear: Tensor, matrix: Tensor) -> Drive:
        _check_matrix(matrix)
        self.feasible.check(len(matrix))
        if linear.dim() != 2 or linear.shape[1] != len(matrix):
            raise ValueError(
                f"inputs must be linear terms. Expected [B, {len(matrix)}]. Got "
                f"{list(linear.shape)}."
            )
        check_finite_inputs(linear)
        modulus, bound, symmetric = _constants(matrix)
        if self.scale is not None:
            factor = self.scale
        elif symmetric:
            factor = 1 / bound if bound > 0 else 1.0
        else:
            factor = modulus / bound**2
        return Drive((linear,), (matrix, linear.new_tensor(factor)))

    def initial(self, drive: Drive) -> Tensor:
        """The point of the set that is nearest to zero."""
        return self.feasible.project(torch.zeros_like(drive.samples[0]))

    def inequality(self, drive: Drive) -> VariationalInequality:
        """The same problem with the map spelled out."""
        matrix, factor = drive.shared
        return VariationalInequality(
            lambda x, linear: x @ matrix.T + linear, self.feasible, len(matrix), float(factor)
        )

    def flow(self, state: State, drive: Drive) -> Tensor:
        """From the state to its projected step."""
        assert isinstance(state, Tensor)
        matrix, factor = drive.shared
        rate = state @ matrix.T + drive.samples[0]
        return self.feasible.project(state - factor * rate) - state

    def residual(self, state: State, drive: Drive) -> Tensor:
        r"""The natural residual :math:`\lVert x - P(x - M x - q) \rVert_\infty`, ``[B]``.

        On a box it is the largest violation of the Karush-Kuhn-Tucker conditions.
        """
        return self.inequality(drive).residual(state, drive)

    def energy(self, state: State, drive: Drive) -> Tensor:
        """The regularised gap, ``[B]``, see :meth:`VariationalInequality.energy`."""
        return self.inequality(drive).energy(state, drive)

    def step_limit(self, drive: Drive) -> float | None:
        """The limit of the theorem that applies, or None where none does."""
        matrix, factor = drive.shared
        modulus, bound, symmetric = _constants(matrix)
        step = float(factor)
        if symmetric:
            return 2 - step * bound / 2 if step * bound < 2 else None
        return contraction_limit(step, modulus, bound)


def _check_matrix(matrix: Tensor) -> None:
    if matrix.dim() != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
        raise ValueError(f"matrix must be square, [n, n]. Got {list(matrix.shape)}.")
    if not bool(matrix.isfinite().all()):
        raise ValueError("matrix must be finite. Got nan or inf.")


@torch.no_grad()
def _constants(matrix: Tensor) -> tuple[float, float, bool]:
    """Modulus of monotonicity, largest singular value, and whether the matrix is symmetric.

    Raises:
        ValueError: Nothing is proven for the matrix.
    """
    bound = float(torch.linalg.matrix_norm(matrix, 2))
    rounding = len(matrix) * torch.finfo(matrix.dtype).eps * bound
    symmetric = bool(((matrix - matrix.T).abs() <= rounding).all())
    modulus = float(torch.linalg.eigvalsh((matrix + matrix.T) / 2)[0])
    if modulus < -rounding or (not symmetric and modulus <= rounding):
        kind = "not monotone" if modulus < -rounding else "monotone, but not strongly"
        raise ValueError(
            "matrix must be symmetric without negative eigenvalues, or strongly monotone: "
            "(M + M^T)/2 with eigenvalues above 0. Got one that is "
            f"{kind}: its smallest eigenvalue is {modulus:.3g}."
        )
    return modulus, bound, symmetric
