"""The locally competitive algorithm with a dense dictionary."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import State
from graphcolumns.nn.dynamics.sparse_coding.threshold import hard_threshold, soft_threshold


@dataclass(frozen=True, eq=False)
class LCA(Circuit):
    r"""Sparse codes by lateral inhibition: the locally competitive algorithm.

    .. math::
        \dot u = \Phi x - u - (\Phi \Phi^\top - I) a, \qquad a = T_\lambda(u)

    Atoms are the rows of the dictionary :math:`\Phi`. With the soft threshold, the fixed points are
    the solutions of the LASSO :math:`\min_a \frac12 \lVert x - \Phi^\top a \rVert^2 + \lambda
    \lVert a \rVert_1`.

    Args:
        dictionary: Atoms of unit norm, ``[n, m]``.
        threshold: Threshold :math:`\lambda`, above 0, in units of the input.
        hard: Whether the threshold is hard, which gives stationary points of
            :math:`\frac12 \lVert x - \Phi^\top a \rVert^2 + \frac{\lambda^2}{2} \lVert a \rVert_0`.
        nonnegative: Whether codes are non-negative.

    Shapes:
        - inputs: ``[B, m]``
        - state, output: ``[B, n]``

    Source: Rozell, Johnson, Baraniuk & Olshausen, Sparse coding via thresholding and local
    competition in neural circuits, Neural Computation 2008,
    https://doi.org/10.1162/neco.2008.03-07-486.
    """

    dictionary: Tensor
    threshold: float
    hard: bool = False
    nonnegative: bool = False

    def drive(self, inputs: Tensor) -> Drive:
        """Correlations of inputs and atoms, energies of the inputs, and the Gram matrix."""
        half_energy = inputs.square().sum(1) / 2
        gram = self.dictionary @ self.dictionary.T
        return Drive((inputs @ self.dictionary.T, half_energy), (gram,))

    def initial(self, drive: Drive) -> Tensor:
        """Zero."""
        return torch.zeros_like(drive.samples[0])

    def flow(self, state: State, drive: Drive) -> Tensor:
        """Drive, leak and lateral inhibition."""
        assert isinstance(state, Tensor)
        a = self.output(state, drive)
        return drive.samples[0] - state + a - a @ drive.shared[0]

    def output(self, state: State, drive: Drive) -> Tensor:
        """Codes, ``[B, n]``."""
        assert isinstance(state, Tensor)
        threshold = hard_threshold if self.hard else soft_threshold
        return threshold(state, self.threshold, self.nonnegative)

    def step_limit(self, drive: Drive) -> float:
        r""":math:`2 / \max(1, \lambda_{max}(\Phi \Phi^\top))`."""
        d = self.dictionary.detach()
        smaller = d @ d.T if d.shape[0] <= d.shape[1] else d.T @ d
        return 2 / max(1.0, float(torch.linalg.eigvalsh(smaller)[-1]))
