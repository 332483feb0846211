"""Instructions that say which of two digits is meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import torch
from torch import Tensor

DigitTasks: TypeAlias = Literal["left_right", "left_of_right_of"]
DIGITS = tuple(map(str, range(10)))
PARTS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "left_right": (("left", "right"),),
    "left_of_right_of": (("left_of", "right_of"), DIGITS),
}


def pair_instructions(tasks: DigitTasks, pairs: Tensor) -> Tensor:
    """The two instructions that an image of two digits has an answer to, ``[n, 2]`` int64.

    The first one is answered by the left digit, the second one by the right one: ``left`` and
    ``right``; or, for 3 on the left and 8 on the right, ``left_of_8`` and ``right_of_3``.

    Args:
        tasks: Kind of instructions.
        pairs: Classes of the left and the right digits, ``[n, 2]`` int64.
    """
    if tasks == "left_right":
        return torch.tensor([0, 1]).expand_as(pairs)
    return pairs.flip(1) + torch.tensor([0, len(DIGITS)])
