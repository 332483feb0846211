"""A connection without weights."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from graphcolumns.nn.dynamics.predictive_coding.connection import Connection, check_shapes


@dataclass(frozen=True, eq=False, kw_only=True)
class Skip(Connection):
    """A layer predicts another of its shape by its own values: residual networks, noisy sensors.

    Shapes:
        - source, target: the same
    """

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Nothing."""
        return ()

    def check(self, source: tuple[int, ...], target: tuple[int, ...]) -> None:
        """Raises ValueError for layers of different shapes."""
        check_shapes(self, "target", source, target)

    def linear(self, x: Tensor, tensors: tuple[Tensor, ...]) -> Tensor:
        """The source."""
        return x

    def adjoint(self, delta: Tensor, tensors: tuple[Tensor, ...], shape: tuple[int, ...]) -> Tensor:
        """The target."""
        return delta
