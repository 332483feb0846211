"""The two lists of CelebA: the attributes of images, and the part that each image is in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

ATTRIBUTES, PARTITION = "list_attr_celeba.txt", "list_eval_partition.txt"


class FaceAttributes(NamedTuple):
    """What the list of attributes holds.

    Attributes:
        names: Names of the images.
        attributes: Names of the attributes.
        answers: Whether an image has an attribute, ``[images, attributes]`` bool.
    """

    names: list[str]
    attributes: tuple[str, ...]
    answers: Tensor


def read_attributes(path: Path) -> FaceAttributes:
    """The attributes of every image.

    Layout: the number of images, the names of the attributes, then a line per image, with its name
    and 1 or -1 for each attribute.

    Raises:
        ValueError: Another layout; the error names the line.
    """
    lines = path.read_text(encoding="utf8").splitlines()
    rows = [line.split() for line in lines[2:] if line.strip()]
    attributes = tuple(lines[1].split()) if len(lines) > 1 else ()
    if not attributes or not rows or lines[0].strip() != str(len(rows)):
        raise ValueError(
            f"{path} must start with the number of images and a line with the names of attributes. "
            f"Got {lines[0] if lines else ''!r} for {len(rows)} images; download it again."
        )
    for number, row in enumerate(rows, 3):
        if len(row) != len(attributes) + 1 or not set(row[1:]) <= {"1", "-1"}:
            raise ValueError(
                f"line {number} of {path} must hold an image and {len(attributes)} values, 1 or "
                f"-1. Got {' '.join(row)[:60]!r}; download it again."
            )
    answers = torch.tensor([[value == "1" for value in row[1:]] for row in rows])
    return FaceAttributes([row[0] for row in rows], attributes, answers)


def read_partition(path: Path, names: Sequence[str]) -> Tensor:
    """The part that each image is in, ``[n]`` int64: 0 training, 1 validation, 2 test.

    Raises:
        ValueError: A line is not an image and its part, or an image or a part is missing.
    """
    part = {}
    for number, line in enumerate(path.read_text(encoding="utf8").splitlines(), 1):
        row = line.split()
        if row and (len(row) != 2 or row[1] not in ("0", "1", "2")):
            raise ValueError(
                f"line {number} of {path} must hold an image and 0, 1 or 2. Got {line[:60]!r}; "
                "download it again."
            )
        part.update({row[0]: int(row[1])} if row else {})
    missing = [name for name in names if name not in part]
    if missing:
        raise ValueError(
            f"{path} must name every image of {ATTRIBUTES}. {len(missing)} are missing, such as "
            f"{missing[0]}; are these lists of two data sets?"
        )
    found = torch.tensor([part[name] for name in names])
    if not {0, 1, 2} <= set(found.tolist()):
        raise ValueError(
            f"{path} must name images of all parts, 0 training, 1 validation and 2 test. "
            f"Got {sorted(set(found.tolist()))}."
        )
    return found
