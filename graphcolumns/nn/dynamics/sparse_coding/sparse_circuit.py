"""What all circuits for sparse coding share: thresholds, inhibition, optimality."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import State
from graphcolumns.nn.dynamics.sparse_coding.optimality import (
    GramQuantities,
    counting_objective,
    counting_violation,
    lasso_objective,
    lasso_violation,
    relative_gap,
)
from graphcolumns.nn.dynamics.sparse_coding.spectrum import largest_eigenvalue
from graphcolumns.nn.dynamics.sparse_coding.threshold import hard_threshold, soft_threshold


class SparseCircuit(Circuit):
    r"""Units with a threshold that inhibit each other by the Gram matrix G of their atoms.

    .. math::
        \dot u = b - u - (G - I) a, \qquad a = T_\lambda(u), \qquad b = \Phi x

    How G is applied is left to the circuit: as a matrix, along edges, as a convolution. Its drive
    has the correlations b and half the energy of every input as the first two ``samples``.

    Attributes:
        threshold: Threshold :math:`\lambda`, in units of the input.
        hard: Whether the threshold is hard.
        nonnegative: Whether codes are non-negative.
    """

    threshold: float
    hard: bool
    nonnegative: bool

    @abstractmethod
    def gram_product(self, codes: Tensor, drive: Drive) -> Tensor:
        """G a, in the shape of the state."""

    def initial(self, drive: Drive) -> Tensor:
        """Zero."""
        return torch.zeros_like(drive.samples[0])

    def flow(self, state: State, drive: Drive) -> Tensor:
        """Drive, leak and lateral inhibition."""
        assert isinstance(state, Tensor)
        a = self.output(state, drive)
        return drive.samples[0] - state + a - self.gram_product(a, drive)

    def output(self, state: State, drive: Drive) -> Tensor:
        """Codes, in the shape of the state."""
        assert isinstance(state, Tensor)
        threshold = hard_threshold if self.hard else soft_threshold
        return threshold(state, self.threshold, self.nonnegative)

    def penalty(self, drive: Drive) -> float | Tensor:
        """Weight of a code in the objective; one number, or one for each unit, ``[n]``."""
        return self.threshold

    def quantities(self, state: State, drive: Drive) -> GramQuantities:
        """What energy, residual and gap are computed from."""
        codes = self.output(state, drive)
        product = self.gram_product(codes, drive)
        return GramQuantities.of(codes, drive.samples[0], product, drive.samples[1], self.batch_dim)

    def energy(self, state: State, drive: Drive) -> Tensor | None:
        """The objective of the LASSO, or the one that counts active codes (hard), ``[B]``."""
        objective = counting_objective if self.hard else lasso_objective
        return objective(self.quantities(state, drive), self.penalty(drive))

    def residual(self, state: State, drive: Drive) -> Tensor:
        """Largest violation of the optimality conditions, ``[B]``, in units of the input.

        With the soft threshold those of the LASSO (Karush-Kuhn-Tucker); with the hard one those of
        a stationary point: a least-squares fit to which no single code can be added at a profit.
        """
        violation = counting_violation if self.hard else lasso_violation
        quantities = self.quantities(state, drive)
        return violation(quantities, self.penalty(drive), self.nonnegative)

    def gap(self, state: State, drive: Drive) -> Tensor | None:
        """Duality gap over the objective, ``[B]``; None for the hard threshold.

        The objective is within this share of itself from the optimum.
        """
        if self.hard:
            return None
        return relative_gap(self.quantities(state, drive), self.threshold, self.nonnegative)

    def step_limit(self, drive: Drive) -> float | None:
        r""":math:`2 / \max(1, \lambda_{max}(G))` for the soft threshold, None for the hard one.

        Below it a step is stable while the same units stay active, whichever they are. With the
        soft threshold states converge in all cases that were measured, and the energy is proven to
        fall in every step up to the smaller of 1 and this limit. With the hard one units may switch
        on and off for ever.
        """
        return None if self.hard else self.linear_step_limit(drive)

    def linear_step_limit(self, drive: Drive) -> float:
        r""":math:`2 / \max(1, \lambda_{max}(G))`: stable while the same units stay active."""
        b = drive.samples[0].detach()
        like = b.new_empty([1 if d == self.batch_dim else n for d, n in enumerate(b.shape)])
        top = largest_eigenvalue(lambda a: self.gram_product(a, drive), like, self.batch_dim)
        return 2 / max(1.0, float(top[0]))

    @torch.no_grad()
    def active_step_limit(self, state: State, drive: Drive) -> Tensor:
        r"""Largest stable step while the same units stay active, ``[B]``.

        :math:`2 / \max(1, \lambda_{max}(G_{AA}))` for the Gram matrix of the active units A. It is
        larger than :meth:`linear_step_limit`; but whether other units become active on the way
        cannot be known beforehand, so it is for diagnosis.
        """
        codes = self.output(state, drive)
        mask = (codes != 0).to(codes.dtype)
        top = largest_eigenvalue(
            lambda a: mask * self.gram_product(mask * a, drive), codes, self.batch_dim
        )
        return 2 / top.clamp(min=1.0)


def half_energy(inputs: Tensor, dim: int) -> Tensor:
    """Half the squared norm of every input, with samples along ``dim``: ``[B]`` or ``[1, B]``."""
    others = [d for d in range(inputs.dim()) if d != dim]
    energy = inputs.square().sum(others) / 2
    return energy.reshape((1,) * dim + (-1,))
