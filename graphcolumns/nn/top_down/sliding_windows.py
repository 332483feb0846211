"""Sizes of images and of the windows that slide over them."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

Pair = int | tuple[int, int]


class SlidingWindows(NamedTuple):
    """Where the windows of a convolution or a pooling lie.

    Attributes:
        kernel: Height and width.
        stride: Step between windows.
        padding: Zeros on each side.
        dilation: Distance between values of a window.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)

    def out_size(self, size: tuple[int, ...]) -> tuple[int, int]:
        """Height and width of the output for those of an image.

        Args:
            size: Height and width of the image.

        Raises:
            ValueError: A kernel that is larger than the image with its padding.
        """
        reach = [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
        padded = [s + 2 * p for s, p in zip(size, self.padding, strict=True)]
        if any(r > s for r, s in zip(reach, padded, strict=True)):
            raise ValueError(
                f"a kernel must fit the image. Expected {tuple(reach)} or more with padding. Got "
                f"{tuple(padded)} of an image {tuple(size)}; pad it, or take a smaller kernel."
            )
        height, width = (
            (s - r) // step + 1 for s, r, step in zip(padded, reach, self.stride, strict=True)
        )
        return height, width

    def check_image(self, values: Tensor, channels: int) -> None:
        """Raises ValueError unless values are images with these channels that windows fit."""
        if values.dim() != 4 or values.shape[1] != channels:
            raise ValueError(
                f"images must be [B, {channels}, Y, X]. Got {list(values.shape)}; change the "
                "population or the layer."
            )
        self.out_size(tuple(values.shape[2:]))

    def check_counter(self, counter: Tensor, channels: int, shape: tuple[int, ...]) -> None:
        """Raises ValueError unless top-down neurons are those of the output for a source."""
        expected = (shape[0], channels, *self.out_size(tuple(shape[2:])))
        if tuple(counter.shape) != expected:
            raise ValueError(
                f"top-down neurons must have the shape of the output. Expected {list(expected)} "
                f"for a source {list(shape)}. Got {list(counter.shape)}."
            )


def pair(name: str, value: Pair, least: int) -> tuple[int, int]:
    """A number for both axes, or one for each.

    Args:
        name: Name of the option.
        value: The number or both.
        least: Smallest number that is allowed.

    Raises:
        ValueError: A number below ``least``, or more than two.
        TypeError: What is no whole number.
    """
    both = value if isinstance(value, tuple | list) else (value, value)
    if not all(isinstance(each, int) for each in both):
        raise TypeError(f"{name} must be a whole number, or two. Got {value!r}.")
    if len(both) != 2 or min(both) < least:
        raise ValueError(f"{name} must be {least} or more, for both axes or each. Got {value!r}.")
    return (both[0], both[1])
