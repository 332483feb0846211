"""Sparse codes by a proximal flow whose time is bounded, wherever it starts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.arguments import require_finite, require_positive, require_shape
from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import State
from graphcolumns.nn.dynamics.sparse_coding.threshold import soft_threshold


@dataclass(frozen=True, eq=False)
class FixedTimeProximal(Circuit):
    r"""A proximal network with fixed-time gains, for the LASSO.

    .. math::
        z = u - T_{\eta \lambda}(u - \eta \Phi (\Phi^\top u - x)), \qquad
        \dot u = -\Big(\frac{\kappa_1}{\lVert z \rVert^{1 - \alpha_1}}
        + \frac{\kappa_2}{\lVert z \rVert^{1 - \alpha_2}}\Big) z

    z is the residual of the proximal gradient step, zero exactly at solutions of
    :math:`\min_u \frac12 \lVert x - \Phi^\top u \rVert^2 + \lambda \lVert u \rVert_1`. The gain
    with :math:`\alpha_1 < 1` reaches zero in finite time, the one with :math:`\alpha_2 > 1` brings
    any start near in a bounded time. That is proven for strongly monotone problems: dictionaries
    of full column rank.

    Near the solution the gain grows without bound, so a step of size dt stops at the full proximal
    gradient step, :math:`u \leftarrow u - \min(dt \, (\ldots), 1) \, z`. The objective does not
    increase for any dt. Far from the solution the same limit holds, so that the bounded time is
    that of the flow: the number of steps grows with the logarithm of the distance, as for the
    proximal gradient method. ``Euler(dt)`` takes this step, and needs ``dt``. Take ``Unrolled()``
    for gradients: the flow has no derivative at the solution.

    Args:
        dictionary: Atoms, ``[n, m]``, of any norm.
        threshold: Weight :math:`\lambda` of the norm, positive.
        step_size: Size :math:`\eta` of a proximal step (default, and at most:
            :math:`1 / \lambda_{max}(\Phi \Phi^\top)`).
        gains: Gains :math:`\kappa_1` and :math:`\kappa_2`, positive, per unit of time.
        exponents: Exponents :math:`\alpha_1` in (0, 1) and :math:`\alpha_2` above 1.

    Shapes:
        - inputs: ``[B, m]``
        - state, output: codes ``[B, n]``

    Raises:
        ValueError: Shapes that do not fit, NaN, a number that is not positive, a step that is too
            large, or exponents out of their ranges.
        TypeError: Tensors that are not floating.

    Source: Garg, Baranwal, Gupta, Vasudevan & Panagou, Fixed-time stable proximal dynamical system
    for solving mixed variational inequality problems, 2019, https://arxiv.org/abs/1908.03517.
    """

    # The rate has no derivative at the solution.
    settles = False

    dictionary: Tensor
    threshold: float
    step_size: float | None = None
    gains: tuple[float, float] = (0.5, 0.5)
    exponents: tuple[float, float] = (0.5, 2.0)

    def __post_init__(self) -> None:
        require_shape("dictionary", self.dictionary, ("n", "m"))
        require_finite("dictionary", self.dictionary)
        require_positive(threshold=self.threshold, kappa1=self.gains[0], kappa2=self.gains[1])
        low, high = self.exponents
        if not (0 < low < 1 < high < float("inf")):
            raise ValueError(
                f"exponents must be in (0, 1) and above 1. Got {low!r} and {high!r}; (0.5, 2.0) "
                "are the defaults."
            )
        largest = _largest_step(self.dictionary)
        step = largest if self.step_size is None else self.step_size
        require_positive(step_size=step)
        if step > largest * (1 + 1e-6):
            raise ValueError(
                "step_size must be at most 1 / lambda_max, or objectives may rise. Expected "
                f"{largest:.6g} or less. Got {step:.6g}; pass None."
            )
        object.__setattr__(self, "step_size", step)

    def drive(self, inputs: Tensor) -> Drive:
        """Correlations of inputs and atoms, energies of the inputs, and the Gram matrix."""
        require_shape("inputs", inputs, ("B", self.dictionary.shape[1]))
        require_finite("inputs", inputs)
        half_energy = inputs.square().sum(1) / 2
        gram = self.dictionary @ self.dictionary.T
        return Drive((inputs @ self.dictionary.T, half_energy), (gram,))

    def initial(self, drive: Drive) -> Tensor:
        """Zero."""
        return torch.zeros_like(drive.samples[0])

    def flow(self, state: State, drive: Drive) -> Tensor:
        """The residual of the proximal step, times the gains."""
        z = self.proximal_residual(state, drive)
        return -self._gain(z) * z

    def step(self, state: State, drive: Drive, dt: float) -> Tensor:
        """One step, no longer than the proximal gradient step."""
        assert isinstance(state, Tensor)
        z = self.proximal_residual(state, drive)
        return state - (dt * self._gain(z)).clamp(max=1.0) * z

    def proximal_residual(self, state: State, drive: Drive) -> Tensor:
        """The residual z, ``[B, n]``."""
        assert isinstance(state, Tensor)
        assert self.step_size is not None
        gradient = state @ drive.shared[0] - drive.samples[0]
        ahead = state - self.step_size * gradient
        return state - soft_threshold(ahead, self.step_size * self.threshold)

    def energy(self, state: State, drive: Drive) -> Tensor:
        """The objective, ``[B]``."""
        assert isinstance(state, Tensor)
        driven, half_energy = drive.samples
        quadratic = ((state @ drive.shared[0]) / 2 - driven) * state
        return half_energy + quadratic.sum(1) + self.threshold * state.abs().sum(1)

    def residual(self, state: State, drive: Drive) -> Tensor:
        r"""Largest violation of optimality, ``[B]``: :math:`\lVert z \rVert_\infty / \eta`."""
        assert self.step_size is not None
        z = self.proximal_residual(state, drive)
        return torch.linalg.vector_norm(z, ord=float("inf"), dim=1) / self.step_size

    def _gain(self, z: Tensor) -> Tensor:
        """The two gains together, ``[B, 1]``."""
        size = torch.linalg.vector_norm(z, dim=1, keepdim=True)
        size = size.clamp(min=torch.finfo(z.dtype).tiny ** 0.5)
        pairs = zip(self.gains, self.exponents, strict=True)
        return sum((k * size ** (a - 1) for k, a in pairs), torch.zeros_like(size))


@torch.no_grad()
def _largest_step(dictionary: Tensor) -> float:
    """The inverse of the largest eigenvalue of the Gram matrix; 1 for no atoms or only zeros."""
    if not dictionary.numel():
        return 1.0
    largest = float(torch.linalg.matrix_norm(dictionary, 2)) ** 2
    return 1 / largest if largest > 0 else 1.0
