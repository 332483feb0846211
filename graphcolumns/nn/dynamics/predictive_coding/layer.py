"""What is known about one layer of a predictive coding network."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Layer:
    r"""One layer: the shape of its values and what they cost.

    .. math::
        F_l = \frac12 \sum_i \pi_i e_i^2 + s \sum_i |x_i|, \qquad e = x - \hat x

    where :math:`\hat x` is the sum of what other layers predict. A layer that nothing predicts has
    no error.

    Args:
        shape: Shape of one sample without the batch: ``(n,)`` dense, ``(C, H, W)`` of an image,
            ``(N, C)`` of columns along a graph. A number n stands for ``(n,)``.
        precision: Weight :math:`\pi` of squared errors, 0 or more: a number, or a tensor of
            ``shape``.
        shrinkage: Price :math:`s` of activity, 0 or more, in units of state times precision; above
            0 codes become sparse.
        nonnegative: Whether values are kept at 0 or above.
        loss: Cost of the error: ``"squared"``, or ``"cross_entropy"``,
            :math:`-\pi \sum_i x_i \log \text{softmax}(\hat x)_i`, for a clamped layer of class
            probabilities.

    Raises:
        ValueError: A size below 1, a negative or infinite precision or shrinkage, an unknown loss.
    """

    shape: tuple[int, ...] | int
    precision: float | Tensor = 1.0
    shrinkage: float = 0.0
    nonnegative: bool = False
    loss: Literal["squared", "cross_entropy"] = "squared"

    def __post_init__(self) -> None:
        shape = (self.shape,) if isinstance(self.shape, int) else tuple(self.shape)
        object.__setattr__(self, "shape", shape)
        if not shape or any(size < 1 for size in shape):
            raise ValueError(f"shape must have one size or more, all 1 or above. Got {shape}.")
        precision = torch.as_tensor(self.precision)
        if not bool(((precision >= 0) & precision.isfinite()).all()):
            raise ValueError(f"precision must be finite and 0 or more. Got {self.precision!r}.")
        if precision.dim() and tuple(precision.shape) != shape:
            raise ValueError(
                f"precision must be a number or have the shape of its layer. Expected {shape}. Got "
                f"{tuple(precision.shape)}."
            )
        if not 0 <= self.shrinkage < float("inf"):
            raise ValueError(f"shrinkage must be finite and 0 or more. Got {self.shrinkage!r}.")
        if self.loss not in ("squared", "cross_entropy"):
            raise ValueError(f"loss must be 'squared' or 'cross_entropy'. Got {self.loss!r}.")

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape, always a tuple."""
        assert isinstance(self.shape, tuple)
        return self.shape

    @property
    def size(self) -> int:
        """Values per sample."""
        return prod(self.sizes)

    @property
    def proximal(self) -> bool:
        """Whether a step ends with shrinkage or a bound."""
        return self.shrinkage > 0 or self.nonnegative

    def weighted(self, values: Tensor, batch_dim: int) -> Tensor:
        """Values times their precisions."""
        if not isinstance(self.precision, Tensor):
            return values if self.precision == 1 else values * self.precision
        return values * self.precision.to(values).unsqueeze(batch_dim)

    def like(self, count: int, batch_dim: int, given: Tensor) -> Tensor:
        """Zeros for so many samples."""
        shape = list(self.sizes)
        shape.insert(batch_dim, count)
        return given.new_zeros(shape)

    def shrunk(self, values: Tensor, step: float) -> Tensor:
        r"""The proximal map of :math:`\text{step} \cdot s |x|`, and of the bound at 0."""
        if self.nonnegative:
            return torch.relu(values - step * self.shrinkage)
        return torch.nn.functional.softshrink(values, step * self.shrinkage)

    def rate(self, values: Tensor, force: Tensor) -> Tensor:
        """The rate of change under a force of the errors: shrinkage and the bound taken off.

        At 0, where the cost has a kink, this is the steepest descent among all of its slopes; below
        a bound, the rate leads back to it.
        """
        if not self.proximal:
            return force
        # Values are 0 at the kink. Taken off, they give a silent unit the slope of one that is held
        # at 0: without them its row of the Jacobian is 0, and implicit gradients do not exist.
        away = self.shrunk(force, 1.0) - values
        if self.nonnegative:
            return torch.where(values > 0, force - self.shrinkage, away)
        return torch.where(values == 0, away, force - self.shrinkage * values.sign())


def summed(values: Tensor, batch_dim: int) -> Tensor:
    """Sum over everything but the samples, ``[B]``."""
    return values.movedim(batch_dim, 0).flatten(1).sum(1)
