"""Convex sets with a projection in closed form: box, ball, half-space, simplex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class ConvexSet(Protocol):
    """A closed convex set of vectors; a frozen value, such as :class:`Box`, or one of your own."""

    def check(self, size: int) -> None:
        """Raises ValueError if the set has no vectors of this size."""

    def project(self, x: Tensor) -> Tensor:
        """The nearest vector of the set to each of ``[B, n]``; differentiable."""


@dataclass(frozen=True, eq=False)
class Box:
    """Vectors between bounds, such as ``Box(0.0)`` for the non-negative ones.

    Args:
        lower: Lower bounds, a number or ``[n]``; ``-inf`` for none.
        upper: Upper bounds, a number or ``[n]``; ``inf`` for none.

    Raises:
        ValueError: A lower bound above the upper one, or bounds that are nan; when solving, bounds
            of another size than the vectors.
    """

    lower: float | Tensor = -float("inf")
    upper: float | Tensor = float("inf")

    def __post_init__(self) -> None:
        lower, upper = torch.as_tensor(self.lower).detach(), torch.as_tensor(self.upper).detach()
        if lower.dim() > 1 or upper.dim() > 1 or not bool((lower <= upper).all()):
            raise ValueError(
                "lower must be at most upper, each a number or [n]. Got "
                f"lower={self.lower!r}, upper={self.upper!r}."
            )

    def check(self, size: int) -> None:
        """Raises ValueError for bounds of another size."""
        for name in ("lower", "upper"):
            _check_size(name, getattr(self, name), size)

    def project(self, x: Tensor) -> Tensor:
        """Clips every value, ``[B, n]``."""
        # Not clamp: beyond a bound the gradient goes to the bound, and to x nowhere else.
        bounds = self.lower, self.upper
        lower, upper = (torch.as_tensor(b, dtype=x.dtype, device=x.device) for b in bounds)
        return torch.where(x < lower, lower, torch.where(x > upper, upper, x))


@dataclass(frozen=True, eq=False)
class Ball:
    r"""Vectors within a distance, :math:`\lVert x - c \rVert_2 \le r`.

    Args:
        radius: Radius r, 0 or above.
        center: Center c, ``[n]`` (default: the origin).

    Raises:
        ValueError: A negative radius; when solving, a center of another size than the vectors.
    """

    radius: float
    center: Tensor | None = None

    def __post_init__(self) -> None:
        if not self.radius >= 0:
            raise ValueError(f"radius must be 0 or more. Got {self.radius!r}.")

    def check(self, size: int) -> None:
        """Raises ValueError for a center of another size."""
        if self.center is not None:
            _check_size("center", self.center, size)

    def project(self, x: Tensor) -> Tensor:
        """Shortens what is too long, ``[B, n]``."""
        offset = x if self.center is None else x - self.center
        squares = offset.square().sum(1, keepdim=True)
        outside = squares > self.radius**2
        # Ones inside keep the gradient of the root finite.
        share = torch.where(outside, self.radius * torch.where(outside, squares, 1.0).rsqrt(), 1.0)
        return share * offset if self.center is None else self.center + share * offset


@dataclass(frozen=True, eq=False)
class HalfSpace:
    r"""Vectors on one side of a plane, :math:`n^\top x \le b`.

    Args:
        normal: Normal vector, ``[n]``, not zero.
        offset: Bound b.

    Raises:
        ValueError: A normal that is zero or not finite; when solving, one of another size.
    """

    normal: Tensor
    offset: float = 0.0

    def __post_init__(self) -> None:
        normal = self.normal.detach()
        if normal.dim() != 1 or not bool(normal.isfinite().all()) or not bool(normal.any()):
            raise ValueError(f"normal must be a finite vector, not zero. Got {self.normal!r}.")

    def check(self, size: int) -> None:
        """Raises ValueError for a normal of another size."""
        _check_size("normal", self.normal, size)

    def project(self, x: Tensor) -> Tensor:
        """Moves what is beyond the plane onto it, ``[B, n]``."""
        beyond = torch.relu(x @ self.normal - self.offset) / self.normal.square().sum()
        return x - beyond[:, None] * self.normal


@dataclass(frozen=True, eq=False)
class Simplex:
    r"""Vectors with :math:`\sum_i x_i = s` and :math:`0 \le x_i \le u`.

    ``Simplex()`` holds the probabilities; the vertices of ``Simplex(k, upper=1.0)`` choose k of n.

    Args:
        total: Sum s, above 0.
        upper: Upper bound u of every value, above 0.

    Raises:
        ValueError: A sum or a bound that is not above 0; when solving, a sum above n u.
    """

    total: float = 1.0
    upper: float = float("inf")

    def __post_init__(self) -> None:
        if not 0 < self.total < float("inf") or not self.upper > 0:
            raise ValueError(
                "total must be positive and finite, and upper positive. Got "
                f"total={self.total!r}, upper={self.upper!r}."
            )

    def check(self, size: int) -> None:
        """Raises ValueError where no vector of this size has the sum."""
        if size * self.upper < self.total:
            raise ValueError(
                f"total must be at most n * upper = {size * self.upper:g}, or the set is empty. "
                f"Got total={self.total!r}."
            )

    def project(self, x: Tensor) -> Tensor:
        r"""Clips :math:`x - \theta` to [0, u], with the :math:`\theta` that gives the sum."""
        upper = min(self.upper, self.total)
        with torch.no_grad():
            theta = _shift(x, self.total, upper)
            free = (x - theta > 0) & (x - theta < upper)
            full = x - theta >= upper
        # Counts in the type of x: products of whole numbers and floats would be float32.
        count = free.to(x).sum(1, keepdim=True)
        rest = self.total - upper * full.to(x).sum(1, keepdim=True)
        exact = ((x * free).sum(1, keepdim=True) - rest) / count.clamp(min=1)
        return (x - torch.where(count > 0, exact, theta)).clamp(0, upper)


def _shift(x: Tensor, total: float, upper: float) -> Tensor:
    """The shift at which clipped values have their sum, ``[B, 1]``.

    The sum falls with the shift, by one more for every value that has left its upper bound and not
    yet arrived at 0: a piecewise linear function that is inverted between its sorted corners.
    """
    corners, order = torch.cat([x - upper, x], 1).sort(1)
    ones = torch.ones_like(x)
    slope = torch.cat([ones, -ones], 1).gather(1, order).cumsum(1)
    falls = (slope[:, :-1] * corners.diff(dim=1)).cumsum(1)
    sums = x.shape[1] * upper - torch.cat([torch.zeros_like(x[:, :1]), falls], 1)
    last = ((sums >= total).sum(1, keepdim=True) - 1).clamp(0, max(corners.shape[1] - 2, 0))
    steps = slope.gather(1, last).clamp(min=1)
    return corners.gather(1, last) + (sums.gather(1, last) - total) / steps


def _check_size(name: str, values: float | Tensor, size: int) -> None:
    if isinstance(values, Tensor) and values.dim() and values.shape != (size,):
        raise ValueError(
            f"{name} must have the size of the vectors. Expected [{size}]. Got "
            f"{list(values.shape)}."
        )
