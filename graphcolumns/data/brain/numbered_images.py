"""Image files with numbers in their names: ``train-0001_nsd-00013.png``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from graphcolumns.data.brain.vertex_checks import NAMED
from graphcolumns.data.image_files import find_images


def numbered_images(folder: Path, pattern: str, example: str) -> list[Path]:
    """The images of a folder in the order of their numbers, which have no gap.

    Args:
        folder: The folder.
        pattern: Regular expression of a whole stem, whose first group is the number.
        example: Name of an image, for messages.

    Raises:
        FileNotFoundError: No folder, or no image in it.
        ValueError: A name without a number, the same number twice, or numbers with gaps.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; it must hold images: {example}.")
    files = find_images(folder).images
    if not files:
        raise FileNotFoundError(f"{folder} holds no image; it must hold files such as {example}.")
    numbers = [_number(file, pattern, example) for file in files]
    order = sorted(range(len(files)), key=numbers.__getitem__)
    check_no_gaps(folder, [numbers[place] for place in order])
    return [files[place] for place in order]


def check_no_gaps(folder: Path, numbers: Sequence[int]) -> None:
    """Raise unless these are all numbers from the first to the last, the first being 0 or 1."""
    twice = [one for one, following in pairwise(numbers) if one == following]
    if twice:
        raise ValueError(f"images in {folder} must have different numbers. Got {twice[0]} twice.")
    start = min(numbers[0], 1)
    missing = sorted(set(range(start, numbers[-1] + 1)) - set(numbers))
    if missing:
        more = ", ..." if len(missing) > NAMED else ""
        raise ValueError(
            f"images in {folder} must be numbered without gaps, an image per row of responses. "
            f"Expected {numbers[-1] + 1 - start:,} up to number {numbers[-1]}. Got "
            f"{len(numbers):,}; missing: {', '.join(map(str, missing[:NAMED]))}{more}."
        )


def _number(file: Path, pattern: str, example: str) -> int:
    found = re.fullmatch(pattern, file.stem)
    if not found:
        raise ValueError(f"images must be named as {example}. Got {file}; rename or remove it.")
    return int(found[1])
