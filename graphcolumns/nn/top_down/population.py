"""What is known about one population of neurons, and its counter population."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import index
from typing import Literal

from torch import Tensor

from graphcolumns.nn.checks import check_choice


@dataclass(frozen=True)
class Population:
    r"""Bottom-up neurons of one shape, each with a top-down neuron, its counter neuron.

    The two are connected laterally: a closed neuron of one stream is gated out of the other.

    Args:
        shape: Shape of one sample without the batch: ``(F,)`` dense, ``(C, H, W)`` of an image,
            ``(N, C)`` of columns. A number F stands for ``(F,)``.
        activation: ``"relu"``, :math:`h = \max(z, 0)`, with gates; or ``"identity"``, :math:`h = z`
            without gates: inputs, predictions, and sums on the way to a normalisation.
        columns: Whether the population is one of columns, ``[N, B, C]``, so that samples lie along
            the second dimension; otherwise they lie along the first.
        top_down_bias: Whether the top-down neurons have a bias, one per channel or unit. It is
            added in instruction passes and blocked in error passes.

    Raises:
        ValueError: A size below 1, an unknown activation, columns that are not ``(N, C)``, a bias
            of a population without gates.
        TypeError: A size that is not a whole number.
    """

    shape: tuple[int, ...] | int
    activation: Literal["relu", "identity"] = "relu"
    columns: bool = False
    top_down_bias: bool = False

    def __post_init__(self) -> None:
        check_choice("activation", self.activation, ("relu", "identity"))
        shape = self.shape if isinstance(self.shape, Iterable) else (self.shape,)
        shape = tuple(shape)
        whole = all(hasattr(size, "__index__") and not isinstance(size, bool) for size in shape)
        if not whole:
            raise TypeError(f"shape must be a whole number or several. Got {self.shape!r}.")
        shape = tuple(index(size) for size in shape)
        object.__setattr__(self, "shape", shape)
        if not shape or min(shape) < 1:
            raise ValueError(f"shape must have one size or more, all 1 or above. Got {shape}.")
        if self.columns and len(shape) != 2:
            raise ValueError(f"columns must have the shape (N, C). Got {shape}.")
        if self.top_down_bias and self.activation != "relu":
            raise ValueError(
                "top_down_bias shifts the thresholds of gates. Expected activation='relu'. Got "
                f"{self.activation!r}; leave the bias out."
            )

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape, as a tuple."""
        assert isinstance(self.shape, tuple)
        return self.shape

    @property
    def batch_dim(self) -> int:
        """The dimension of samples."""
        return 1 if self.columns else 0

    def batched(self, samples: int) -> tuple[int, ...]:
        """The shape of the values of some samples."""
        return (*self.sizes[: self.batch_dim], samples, *self.sizes[self.batch_dim :])

    def fits(self, values: Tensor) -> bool:
        """Whether values have this shape, for any number of samples."""
        if values.dim() != len(self.sizes) + 1:
            return False
        return tuple(values.shape) == self.batched(values.shape[self.batch_dim])

    def check(self, name: str, values: Tensor) -> None:
        """Raises ValueError for values of another shape."""
        if not self.fits(values):
            expected = str(list(self.batched(-1))).replace("-1", "B")
            raise ValueError(
                f"{name} must have the shape of the population. Expected {expected}. Got "
                f"{list(values.shape)}."
            )

    def bias_shape(self) -> tuple[int, ...]:
        """The shape of a top-down bias, which is added to values: one number per channel."""
        if self.columns:
            return (self.sizes[0], 1, self.sizes[1])
        return (self.sizes[0], *(1 for _ in self.sizes[1:]))
