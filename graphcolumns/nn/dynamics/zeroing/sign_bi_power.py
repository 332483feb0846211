"""The activation by which an error vanishes in finite time."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class SignBiPower:
    r"""The sign-bi-power activation of a zeroing network.

    .. math::
        \phi(e) = \tfrac12 (|e|^r + |e|^{1/r}) \, \text{sign}(e)

    An error that follows :math:`\dot e = -\gamma \phi(e)` is zero after the time

    .. math::
        T(e_0) = \frac{2}{\gamma} \int_0^{|e_0|} \frac{de}{e^r + e^{1/r}}
            < \frac{2}{\gamma (1 - r)} \frac{\pi a}{\sin \pi a}, \qquad a = \frac{r}{1 + r},

    however large it was at the start. Its slope at zero is infinite, so that Euler steps of size dt
    leave an error of about :math:`(\gamma \, dt / 4)^{1/(1-r)}`.

    Args:
        power: Exponent r, between 0 and 1.

    Raises:
        ValueError: An exponent that is not between 0 and 1.

    Source: Li, Chen & Liu, Accelerating a recurrent neural network to finite-time convergence for
    solving time-varying Sylvester equation by using a sign-bi-power activation function, Neural
    Processing Letters 2013, https://doi.org/10.1007/s11063-012-9241-1.
    """

    power: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.power < 1:
            raise ValueError(f"power must be between 0 and 1. Got {self.power!r}.")

    def __call__(self, error: Tensor) -> Tensor:
        """The activation of every error, in its shape."""
        size = error.abs()
        return error.sign() * (size**self.power + size ** (1 / self.power)) / 2
