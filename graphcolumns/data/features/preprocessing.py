"""What happens to images before a backbone sees them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

# Means and standard deviations of red, green and blue, for values in [0, 1].
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OPENAI_CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Preprocessing:
    """Size and scale of images as a backbone was trained on them.

    Args:
        mean: Mean of every channel, for values in ``[0, 1]``.
        std: Standard deviation of every channel.
        size: Height and width in pixels that images are resized to, bicubic with antialiasing, or
            one number for both (default: images keep their size).
        multiple_of: Side of a patch in pixels: height and width must be multiples of it.

    Raises:
        ValueError: Values that break a rule above.
    """

    mean: tuple[float, ...] = IMAGENET[0]
    std: tuple[float, ...] = IMAGENET[1]
    size: int | tuple[int, int] | None = None
    multiple_of: int = 1

    def __post_init__(self) -> None:
        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        object.__setattr__(self, "size", None if size is None else tuple(size))
        object.__setattr__(self, "mean", tuple(map(float, self.mean)))
        object.__setattr__(self, "std", tuple(map(float, self.std)))
        if not self.mean or len(self.mean) != len(self.std) or min(self.std) <= 0:
            raise ValueError(
                "mean and std must have a value per channel, those of std above 0. Got "
                f"{self.mean} and {self.std}."
            )
        if self.multiple_of < 1 or (size is not None and (len(size) != 2 or min(size) < 1)):
            raise ValueError(
                "size must be a height and a width of at least 1 pixel and multiple_of at least 1. "
                f"Got {self.size} and {self.multiple_of}."
            )
        if size is not None:
            self._check_multiple(*size)

    def __call__(self, images: Tensor) -> Tensor:
        """Images as the backbone takes them, ``[B, channels, Y, X]`` float32.

        Args:
            images: ``[B, channels, Y, X]``, uint8 in [0, 255] or floating in [0, 1].

        Raises:
            ValueError: Images of another shape or scale.
        """
        if images.ndim != 4 or images.shape[1] != len(self.mean):
            raise ValueError(
                f"images must have shape [B, {len(self.mean)}, Y, X]. Got {tuple(images.shape)}."
            )
        x = unit_scale(images)
        size: Any = self.size
        if size is not None and tuple(x.shape[-2:]) != size:
            x = functional.interpolate(x, size, mode="bicubic", antialias=True).clamp(0, 1)
        self._check_multiple(*x.shape[-2:])
        mean, std = (x.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (x - mean) / std

    def described(self) -> dict[str, Any]:
        """The numbers by name, as a manifest keeps them."""
        return asdict(self)

    def _check_multiple(self, height: int, width: int) -> None:
        side = self.multiple_of
        if height % side or width % side:
            near = [max(1, round(length / side)) * side for length in (height, width)]
            raise ValueError(
                f"height and width of images must be multiples of {side} pixels, the side of a "
                f"patch. Got {height} x {width}; pass size=({near[0]}, {near[1]})."
            )


def unit_scale(images: Tensor) -> Tensor:
    """Images as float32 in [0, 1]: uint8 is divided by 255, floating values must be there.

    Raises:
        ValueError: Floating values outside [0, 1], or NaN.
        TypeError: Another type.
    """
    if images.dtype == torch.uint8:
        return images.float() / 255
    if not images.is_floating_point():
        raise TypeError(f"images must be uint8 or floating. Got {images.dtype}.")
    low, high = (float(value) for value in images.aminmax())
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"floating images must lie in [0, 1]. Got values from {low:.3g} to {high:.3g}; divide "
            "by 255, or pass uint8."
        )
    return images.float()
