r"""How far codes are from the optimum, from Gram quantities alone.

With b the correlations of the input x and the atoms, G the Gram matrix and e half the energy of the
input, every quantity of the LASSO is a product of known vectors:
:math:`\lVert x - \Phi^\top a \rVert^2 = 2 e - 2 a^\top b + a^\top G a` and
:math:`\Phi (x - \Phi^\top a) = b - G a`. So the input itself is not needed.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.states import as_rows


class GramQuantities(NamedTuple):
    """What energy, optimality conditions and duality gap of codes are computed from.

    Attributes:
        codes: Codes a, ``[B, n]``.
        correlations: Correlations b of input and atoms, ``[B, n]``.
        gram_product: G a, ``[B, n]``.
        half_energy: Half the squared norm of the input, ``[B]``.
    """

    codes: Tensor
    correlations: Tensor
    gram_product: Tensor
    half_energy: Tensor

    @classmethod
    def of(
        cls, codes: Tensor, correlations: Tensor, product: Tensor, half_energy: Tensor, dim: int
    ) -> GramQuantities:
        """Takes tensors with samples along ``dim``."""
        a, b, ga = (as_rows(t, dim) for t in (codes, correlations, product))
        return cls(a, b, ga, half_energy.flatten())

    @property
    def pull(self) -> Tensor:
        """Correlations of the residual and the atoms, ``[B, n]``."""
        return self.correlations - self.gram_product

    @property
    def squared_error(self) -> Tensor:
        """Squared norm of the residual, ``[B]``."""
        cross = (self.codes * (2 * self.correlations - self.gram_product)).sum(1)
        return (2 * self.half_energy - cross).clamp(min=0)


def lasso_objective(q: GramQuantities, weight: float | Tensor) -> Tensor:
    r""":math:`\frac12 \lVert x - \Phi^\top a \rVert^2 + \sum_i \lambda_i |a_i|`, ``[B]``."""
    return q.squared_error / 2 + (weight * q.codes.abs()).sum(1)


def counting_objective(q: GramQuantities, weight: float | Tensor) -> Tensor:
    r""":math:`\frac12 \lVert x - \Phi^\top a \rVert^2 + \frac{\lambda^2}{2} \lVert a \rVert_0`."""
    active = (q.codes != 0).to(q.codes.dtype)
    return q.squared_error / 2 + (weight * weight / 2 * active).sum(1)


def lasso_violation(q: GramQuantities, weight: float | Tensor, nonnegative: bool) -> Tensor:
    r"""Largest violation of the Karush-Kuhn-Tucker conditions, ``[B]``.

    With r the residual, :math:`\phi_j^\top r = \lambda \, \text{sign}(a_j)` where a code is active;
    elsewhere :math:`|\phi_j^\top r| \le \lambda`, or :math:`\phi_j^\top r \le \lambda` for
    non-negative codes.
    """
    pull = q.pull
    size = pull if nonnegative else pull.abs()
    silent = (size - weight).clamp(min=0)
    active = (pull - weight * q.codes.sign()).abs()
    return torch.where(q.codes == 0, silent, active).amax(1)


def counting_violation(q: GramQuantities, weight: float | Tensor, nonnegative: bool) -> Tensor:
    r"""Largest violation of stationarity under the hard threshold, ``[B]``.

    :math:`\phi_j^\top r = 0` where a code is active, so that it is a least-squares fit, and
    :math:`|\phi_j^\top r| \le \lambda` elsewhere, so that no single code can be added at a profit.
    """
    pull = q.pull
    size = pull if nonnegative else pull.abs()
    silent = (size - weight).clamp(min=0)
    return torch.where(q.codes == 0, silent, pull.abs()).amax(1)


def relative_gap(q: GramQuantities, weight: float, nonnegative: bool) -> Tensor:
    r"""Duality gap of the LASSO over its objective, ``[B]``, between 0 and 1.

    The residual r, scaled by s until no atom correlates with it by more than :math:`\lambda`, is
    feasible in the dual, whose value :math:`s \, x^\top r - \frac{s^2}{2} \lVert r \rVert^2` bounds
    the optimum from below. The best such s is taken.
    """
    error = q.squared_error
    tiny = torch.finfo(error.dtype).tiny
    # x.r, which is exact where the codes are zero.
    along = 2 * q.half_energy - (q.codes * q.correlations).sum(1)
    size = q.pull if nonnegative else q.pull.abs()
    largest = weight / size.amax(1).clamp(min=tiny**0.5)
    floor = torch.finfo(error.dtype).eps * q.half_energy + tiny**0.5
    scale = torch.minimum(along / error.clamp(min=floor), largest).clamp(min=0)
    dual = scale * along - scale.square() / 2 * error
    primal = lasso_objective(q, weight)
    return ((primal - dual) / primal.clamp(min=tiny)).clamp(min=0)
