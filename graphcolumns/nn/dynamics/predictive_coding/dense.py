"""A dense connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from torch import Tensor

from graphcolumns.nn.dynamics.predictive_coding.connection import Connection, check_shapes


@dataclass(frozen=True, eq=False, kw_only=True)
class Dense(Connection):
    """Every unit predicts every unit: see :class:`Connection` for the formula.

    Args:
        weight: Weights, ``[n, m]`` from m to n units.
        bias: One number per unit of the target, ``[n]``, or None.
        shape: Shape of the target, such as ``(C, H, W)`` (default: ``(n,)``). Sources of any shape
            are flattened.

    Shapes:
        - source: ``[B, ...]`` with m values
        - target: ``[B, *shape]``
    """

    weight: Tensor
    bias: Tensor | None = None
    shape: tuple[int, ...] | None = field(default=None)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Weights and bias."""
        return (self.weight,) if self.bias is None else (self.weight, self.bias)

    def check(self, source: tuple[int, ...], target: tuple[int, ...]) -> None:
        """Raises ValueError for weights that do not fit the layers."""
        if self.weight.dim() != 2 or self.weight.shape[1] != prod(source):
            expected = (self.weight.shape[-1],)
            check_shapes(self, "source", expected, source)
        n = self.weight.shape[0]
        check_shapes(self, "target", self.shape or (n,), target)
        if prod(target) != n or (self.bias is not None and tuple(self.bias.shape) != (n,)):
            raise ValueError(
                f"weight must be [n, m] and bias [n], with n={prod(target)} values of the target. "
                f"Got {tuple(self.weight.shape)} and "
                f"{None if self.bias is None else tuple(self.bias.shape)}."
            )

    def linear(self, x: Tensor, tensors: tuple[Tensor, ...]) -> Tensor:
        """Weights times the flattened source, plus bias."""
        out = x.flatten(1) @ tensors[0].T
        out = out + tensors[1] if len(tensors) > 1 else out
        return out if self.shape is None else out.unflatten(1, self.shape)

    def adjoint(self, delta: Tensor, tensors: tuple[Tensor, ...], shape: tuple[int, ...]) -> Tensor:
        """Transposed weights times the flattened target."""
        return (delta.flatten(1) @ tensors[0]).reshape(shape)
