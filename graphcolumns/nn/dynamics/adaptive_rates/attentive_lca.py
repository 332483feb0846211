"""A locally competitive algorithm whose units receive each other's errors by attention."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.arguments import require_finite, require_positive, require_shape
from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import State
from graphcolumns.nn.dynamics.sparse_coding.threshold import soft_threshold


@dataclass(frozen=True, eq=False)
class LCASelfAttention(Circuit):
    r"""Sparse codes whose errors are mixed by attention between units.

    .. math::
        a &= T_\lambda(u), \qquad
        r = W_x x - W_l a - u + g, \qquad
        g = \alpha \tanh(W_g a / \alpha) \odot a \\
        P_{ij} &= \mathrm{softmax}_i(W^a_{ij} a_i), \qquad
        \dot u = (1 - \rho) \, r + \rho \, P^\top r

    r is the flow of an LCA with a gain g, bounded by :math:`\alpha |a|`. Attention mixes the errors
    r of all units: :math:`P^\top` has rows that sum to 1. For :math:`\rho < \frac12` the mixture is
    diagonally dominant, so that the fixed points are those of the LCA, r = 0; with
    :math:`W_l = W_x W_x^\top - I` and without gain they solve the LASSO. For a larger
    :math:`\rho` the flow may vanish where r does not. Whether fixed points are stable is proven for
    no :math:`\rho > 0`, so there is no step limit. :meth:`residual` is the size of r.

    Args:
        weight: Weights :math:`W_x` of the inputs, ``[n, m]``.
        lateral: Weights :math:`W_l` of inhibition, ``[n, n]``.
        attention: Scores :math:`W^a` of attention, ``[n, n]``.
        gain: Weights :math:`W_g` of the gain, ``[n, n]``, or None for none.
        threshold: Threshold :math:`\lambda`, positive.
        mixing: Share :math:`\rho` of attention, in [0, 1].
        bound: Bound :math:`\alpha` of the gain, positive.

    Shapes:
        - inputs: ``[B, m]``
        - state: ``[B, n]``
        - output: codes ``[B, n]``

    Raises:
        ValueError: Shapes that do not fit, NaN, or a number out of its range.
        TypeError: Tensors that are not floating.

    Source: Rozell, Johnson, Baraniuk & Olshausen, Sparse coding via thresholding and local
    competition in neural circuits, Neural Computation 2008,
    https://doi.org/10.1162/neco.2008.03-07-486, for the LCA; attention and gain have no paper.
    """

    weight: Tensor
    lateral: Tensor
    attention: Tensor
    gain: Tensor | None = None
    threshold: float = 0.01
    mixing: float = 0.25
    bound: float = 0.1

    def __post_init__(self) -> None:
        require_shape("weight", self.weight, ("n", "m"))
        n = len(self.weight)
        for name in ("lateral", "attention", "gain"):
            matrix = getattr(self, name)
            if matrix is not None:
                require_shape(name, matrix, (n, n))
                require_finite(name, matrix)
        require_finite("weight", self.weight)
        require_positive(threshold=self.threshold, bound=self.bound)
        if not 0 <= self.mixing <= 1:
            raise ValueError(f"mixing must be in [0, 1]. Got {self.mixing!r}.")

    def drive(self, inputs: Tensor) -> Drive:
        """What the inputs drive, and all weights."""
        require_shape("inputs", inputs, ("B", self.weight.shape[1]))
        require_finite("inputs", inputs)
        gain = () if self.gain is None else (self.gain,)
        return Drive((inputs @ self.weight.T,), (self.lateral, self.attention, *gain))

    def initial(self, drive: Drive) -> Tensor:
        """Zero."""
        return torch.zeros_like(drive.samples[0])

    def output(self, state: State, drive: Drive) -> Tensor:
        """Codes, ``[B, n]``."""
        assert isinstance(state, Tensor)
        return soft_threshold(state, self.threshold)

    def error(self, state: State, drive: Drive) -> Tensor:
        """The errors r before attention, ``[B, n]``."""
        assert isinstance(state, Tensor)
        lateral, _, *gain = drive.shared
        a = self.output(state, drive)
        r = drive.samples[0] - a @ lateral.T - state
        if gain:
            r = r + self.bound * torch.tanh(a @ gain[0].T / self.bound) * a
        return r

    def attention_map(self, state: State, drive: Drive) -> Tensor:
        """The attention P, ``[B, n, n]``; columns sum to 1."""
        a = self.output(state, drive)
        return torch.softmax(drive.shared[1] * a[:, :, None], 1)

    def flow(self, state: State, drive: Drive) -> Tensor:
        """Errors, some of them mixed by attention."""
        r = self.error(state, drive)
        if self.mixing == 0:
            return r
        received = torch.einsum("bij,bi->bj", self.attention_map(state, drive), r)
        return (1 - self.mixing) * r + self.mixing * received

    def residual(self, state: State, drive: Drive) -> Tensor:
        r"""Largest error before attention, ``[B]``: :math:`\lVert r \rVert_\infty`."""
        return torch.linalg.vector_norm(self.error(state, drive), ord=float("inf"), dim=1)
