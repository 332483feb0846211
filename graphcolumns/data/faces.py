"""Faces with instructions, read when they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from graphcolumns.data.image_files import read_image


@dataclass
class Faces:
    """The samples of a half, map-style; an image is kept until another one is needed.

    Args:
        files: Image files.
        image: Place of the image of every sample in ``files``, ``[n]`` int64.
        instruction: Instruction of every sample, ``[n]`` or ``[n, A]``, or None for images alone.
        answers: Answers, ``[n]`` int64.
        size: Side of the resized images, in pixels.
        grey: Whether images have one channel instead of three.
    """

    files: Sequence[Path]
    image: Tensor
    instruction: Tensor | None
    answers: Tensor
    size: int
    grey: bool
    _last: tuple[int, Tensor] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.answers)

    def __getitem__(self, index: int) -> tuple[Any, Tensor]:
        place = int(self.image[index])
        if self._last is None or self._last[0] != place:
            self._last = place, read_image(self.files[place], self.size, self.grey).values
        pixels = self._last[1]
        if self.instruction is None:
            return pixels, self.answers[index]
        return {"image": pixels, "instruction": self.instruction[index]}, self.answers[index]
