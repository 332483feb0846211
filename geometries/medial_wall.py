"""The medial wall of fsaverage, where a hemisphere was cut from the rest of the brain."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import torch
from torch import Tensor

FILE = "medial_wall.txt"
SIDES = ("left", "right")
NUM_VERTICES = 10242  # of a hemisphere of fsaverage5


def wall_of(side: str) -> Tensor:
    """Which vertices of a hemisphere of fsaverage5 have no cortex.

    Vertices are nested: the first ``10 * 4**level + 2`` entries are the wall of a lower level.

    Args:
        side: ``"left"`` or ``"right"``.

    Returns:
        ``[10242]`` bool.
    """
    wall = torch.zeros(NUM_VERTICES, dtype=torch.bool)
    wall[list(_vertices()[side])] = True
    return wall


# Read once per process; the ids are shared and never change.
@cache
def _vertices() -> dict[str, tuple[int, ...]]:
    text = files("geometries").joinpath(FILE).read_text(encoding="utf-8")
    words = " ".join(line for line in text.splitlines() if not line.startswith("#")).split()
    starts = [words.index(side) for side in SIDES] + [len(words)]
    return {
        side: tuple(_ids(words[start + 1 : stop]))
        for side, start, stop in zip(SIDES, starts[:-1], starts[1:], strict=True)
    }


def _ids(ranges: list[str]) -> list[int]:
    """Ids of ranges such as ``78-79``, both ends included, or of single ids."""
    ends = [part.partition("-") for part in ranges]
    return [i for first, _, last in ends for i in range(int(first), int(last or first) + 1)]
