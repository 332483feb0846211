"""The locally competitive algorithm with a dense dictionary."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Drive
from graphcolumns.nn.dynamics.methods.euler import Euler
from graphcolumns.nn.dynamics.sparse_coding.checks import (
    check_atoms,
    check_signals,
    check_threshold,
)
from graphcolumns.nn.dynamics.sparse_coding.sparse_circuit import SparseCircuit, half_energy

# Time step for a hard threshold, at which nearly all states converge.
SMALL = 0.5


@dataclass(frozen=True, eq=False)
class LCA(SparseCircuit):
    r"""Sparse codes by lateral inhibition: the locally competitive algorithm.

    .. math::
        \dot u = \Phi x - u - (\Phi \Phi^\top - I) a, \qquad a = T_\lambda(u)

    Atoms are the rows of the dictionary :math:`\Phi`. With the soft threshold, the fixed points are
    the solutions of the LASSO :math:`\min_a \frac12 \lVert x - \Phi^\top a \rVert^2 + \lambda
    \lVert a \rVert_1`. ``energy`` is that objective, ``residual`` the largest violation of the
    optimality conditions, ``gap`` the duality gap over the objective.

    Euler steps below ``step_limit``, :math:`2 / \lambda_{max}(\Phi \Phi^\top)`, converge to the
    LASSO in all cases that were measured; that the objective falls in every step is proven only for
    steps up to 1, if these are below the limit. With the hard threshold no step is proven to
    converge, and ``solve`` must be given one, such as ``Euler(0.5)``.

    Args:
        dictionary: Atoms of unit norm, ``[n, m]``.
        threshold: Threshold :math:`\lambda`, above 0, in units of the input.
        hard: Whether the threshold is hard, which gives stationary points of
            :math:`\frac12 \lVert x - \Phi^\top a \rVert^2 + \frac{\lambda^2}{2} \lVert a \rVert_0`.
        nonnegative: Whether codes are non-negative.

    Shapes:
        - inputs: ``[B, m]``
        - state, output: ``[B, n]``

    Raises:
        ValueError: Atoms that are not of unit norm or not finite, another shape, a threshold that
            is not positive; when called, inputs of another shape, or that are not finite.
        TypeError: A dictionary that is not floating; when called, inputs of another dtype.

    Source: Rozell, Johnson, Baraniuk & Olshausen, Sparse coding via thresholding and local
    competition in neural circuits, Neural Computation 2008,
    https://doi.org/10.1162/neco.2008.03-07-486.
    """

    dictionary: Tensor
    threshold: float
    hard: bool = False
    nonnegative: bool = False

    def __post_init__(self) -> None:
        check_atoms(self.dictionary, "[n, m], an atom in every row", (2,))
        check_threshold(self.threshold)

    def drive(self, inputs: Tensor) -> Drive:
        """Correlations of inputs and atoms, half the energies of the inputs; the Gram matrix."""
        return dense_drive(self.dictionary, inputs)

    def gram_product(self, codes: Tensor, drive: Drive) -> Tensor:
        """A product with the Gram matrix."""
        return codes @ drive.shared[0]

    def linear_step_limit(self, drive: Drive) -> float:
        r""":math:`2 / \lambda_{max}(\Phi \Phi^\top)`: stable while the same units stay active."""
        return dense_step_limit(self.dictionary)


def dense_drive(dictionary: Tensor, inputs: Tensor) -> Drive:
    """Correlations and half energies of inputs, and the Gram matrix of a dense dictionary."""
    size = dictionary.shape[1]
    fits = isinstance(inputs, Tensor) and inputs.dim() == 2 and inputs.shape[1] == size
    check_signals(inputs, f"[B, {size}], as atoms have {size} values", dictionary, fits)
    gram = dictionary @ dictionary.T
    return Drive((inputs @ dictionary.T, half_energy(inputs, 0)), (gram,))


def method_for(circuit: LCA) -> Euler | None:
    """Small Euler steps for a hard threshold, which has no step limit; None for the soft one."""
    if not circuit.hard:
        return None
    return Euler(min(SMALL, 0.9 * dense_step_limit(circuit.dictionary)))


def dense_step_limit(dictionary: Tensor) -> float:
    """The step limit of a dense dictionary, from the smaller of its two Gram matrices."""
    d = dictionary.detach()
    smaller = d @ d.T if d.shape[0] <= d.shape[1] else d.T @ d
    return 2 / max(1.0, float(torch.linalg.eigvalsh(smaller)[-1]))
