"""The projection network of a monotone map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import State
from graphcolumns.nn.dynamics.projection.convex_sets import ConvexSet


@dataclass(frozen=True, eq=False)
class VariationalInequality(Circuit):
    r"""Solves a variational inequality: a projection network with a map of your own.

    .. math::
        \dot x = P(x - \alpha F(x)) - x

    with the projection P onto a convex set X. Its fixed points are the :math:`x^* \in X` with
    :math:`F(x^*)^\top (x - x^*) \ge 0` for all x in X: minima on X if F is the gradient of a convex
    function, equilibria of a game if F holds the gradients of its players.

    If F is strongly monotone with modulus :math:`\mu` and Lipschitz with constant L, and
    :math:`\alpha < 2 \mu / L^2`, the projected step is a contraction with the factor
    :math:`\rho = (1 - 2 \alpha \mu + \alpha^2 L^2)^{1/2}`, and Euler steps converge for
    :math:`dt < 2 / (1 + \rho)`. Without both constants no limit is proven.

    Args:
        map: Function F from states ``[B, n]`` and inputs ``[B, ...]`` to ``[B, n]``.
        feasible: Set X, such as :class:`Box`, :class:`Simplex`, :class:`Ball`, :class:`HalfSpace`.
        size: Number of unknowns n.
        scale: Factor :math:`\alpha`, above 0 (default: :math:`\mu / L^2`, or 1).
        modulus: Modulus :math:`\mu` of strong monotonicity, above 0, if it is known.
        lipschitz: Lipschitz constant L, if it is known; at least the modulus.

    Shapes:
        - inputs: ``[B, ...]``
        - state, output: ``[B, n]``

    Raises:
        ValueError: A number out of its range; when solving, a set of another size, inputs that are
            not finite, or a map that returns another shape.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import Ball, VariationalInequality, solve
        >>> nearest = VariationalInequality(
        ...     lambda x, goal: x - goal, Ball(1.0), size=2, modulus=1.0, lipschitz=1.0
        ... )
        >>> solve(nearest, torch.tensor([[3.0, 4.0]])).output.round(decimals=3)
        tensor([[0.6000, 0.8000]])

    Source: Xia & Wang, A general projection neural network for solving monotone variational
    inequalities and related optimization problems, IEEE Transactions on Neural Networks 2004,
    https://doi.org/10.1109/TNN.2004.824252; the contraction: Facchinei & Pang, Finite-Dimensional
    Variational Inequalities and Complementarity Problems, Springer 2003.
    """

    map: Callable[[Tensor, Tensor], Tensor]
    feasible: ConvexSet
    size: int
    scale: float | None = None
    modulus: float | None = None
    lipschitz: float | None = None

    def __post_init__(self) -> None:
        check_scale(self.scale)
        mu, bound = self.modulus, self.lipschitz
        if (mu is not None and not mu > 0) or (bound is not None and not bound >= (mu or 0.0)):
            raise ValueError(
                "modulus must be positive and lipschitz at least as large. Got "
                f"modulus={mu!r}, lipschitz={bound!r}."
            )

    def drive(self, inputs: Tensor) -> Drive:
        """The inputs, checked."""
        self.feasible.check(self.size)
        check_finite_inputs(inputs)
        x = self.feasible.project(inputs.new_zeros(len(inputs), self.size))
        found = self.map(x, inputs)
        if found.shape != x.shape:
            raise ValueError(
                f"map must return the shape of the state. Expected {list(x.shape)}. Got "
                f"{list(found.shape)}."
            )
        return Drive((inputs,))

    def initial(self, drive: Drive) -> Tensor:
        """The point of the set that is nearest to zero."""
        inputs = drive.samples[0]
        return self.feasible.project(inputs.new_zeros(len(inputs), self.size))

    def value(self, state: State, drive: Drive) -> Tensor:
        """The map F at a state, ``[B, n]``."""
        assert isinstance(state, Tensor)
        return self.map(state, drive.samples[0])

    def factor(self, drive: Drive) -> float | Tensor:
        r"""The factor :math:`\alpha`."""
        if self.scale is not None:
            return self.scale
        return 1.0 if not self.modulus or not self.lipschitz else self.modulus / self.lipschitz**2

    def flow(self, state: State, drive: Drive) -> Tensor:
        """From the state to its projected step."""
        assert isinstance(state, Tensor)
        return self._projected(state, drive, self.factor(drive)) - state

    def _projected(self, state: Tensor, drive: Drive, factor: float | Tensor) -> Tensor:
        return self.feasible.project(state - factor * self.value(state, drive))

    def residual(self, state: State, drive: Drive) -> Tensor:
        r"""The natural residual :math:`\lVert x - P(x - F(x)) \rVert_\infty`, ``[B]``."""
        assert isinstance(state, Tensor)
        return (state - self._projected(state, drive, 1.0)).abs().amax(1)

    def energy(self, state: State, drive: Drive) -> Tensor:
        r"""The regularised gap, ``[B]``: 0 at solutions, above 0 elsewhere in the set.

        .. math::
            g(x) = F(x)^\top (x - y) - \tfrac{1}{2 \alpha} \lVert x - y \rVert^2,
            \qquad y = P(x - \alpha F(x))

        Along the flow it falls at a rate of :math:`\mu \lVert x - y \rVert^2` or more, inside the
        set and for every monotone F.

        Source: Fukushima, Equivalent differentiable optimization problems and descent methods for
        asymmetric variational inequality problems, Mathematical Programming 1992,
        https://doi.org/10.1007/BF01585696.
        """
        assert isinstance(state, Tensor)
        factor = self.factor(drive)
        step = state - self._projected(state, drive, factor)
        return (self.value(state, drive) * step).sum(1) - step.square().sum(1) / (2 * factor)

    def step_limit(self, drive: Drive) -> float | None:
        r""":math:`2 / (1 + \rho)` where both constants are known and the step contracts."""
        if self.modulus is None or self.lipschitz is None:
            return None
        return contraction_limit(float(self.factor(drive)), self.modulus, self.lipschitz)


def contraction_limit(factor: float, modulus: float, lipschitz: float) -> float | None:
    r"""The limit :math:`2 / (1 + \rho)` of Euler steps, or None where nothing contracts."""
    if not factor * lipschitz**2 < 2 * modulus:
        return None
    square = 1 - 2 * factor * modulus + (factor * lipschitz) ** 2
    return 2 / (1 + sqrt(max(square, 0.0)))


def check_scale(scale: float | None) -> None:
    """Raises ValueError for a factor that is not positive."""
    if scale is not None and not 0 < scale < float("inf"):
        raise ValueError(f"scale must be positive, or None. Got {scale!r}.")


def check_finite_inputs(inputs: Tensor) -> None:
    """Raises ValueError for inputs with nan or inf."""
    if not bool(torch.isfinite(inputs).all()):
        raise ValueError("inputs must be finite. Got nan or inf.")
