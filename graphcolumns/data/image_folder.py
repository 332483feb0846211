"""Images on disk, one sub-folder per class."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

from graphcolumns.data.dataset import Dataset
from graphcolumns.data.image_files import SUFFIXES, find_images, is_litter, read_image

# Names of halves, as people write them; none of them is a class.
HALVES = ("train", "training", "test", "testing", "val", "valid", "validation")
NAMED = 5  # files that a message names

log = logging.getLogger(__name__)


def image_folder(
    path: str | os.PathLike[str],
    size: int = 32,
    grey: bool = False,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Images in a folder with one sub-folder per class.

    Classes are the sub-folders in alphabetical order (``10`` before ``2``), and their names are
    kept. A folder that holds ``train`` and ``test``, each with the classes, is taken as it is;
    otherwise a stratified part is the test half. All images are held in memory.

    Images may lie in folders below that of their class. Whatever Pillow reads is read: PNG, JPEG,
    BMP, GIF, TIFF, WebP, PNM, JPEG 2000, TGA, AVIF; see
    ``graphcolumns.data.image_files.read_image`` for black and white, 16 bits, transparency and
    orientation. Hidden files and folders and what systems leave behind (``__MACOSX``,
    ``Thumbs.db``) are left out; other files are left out and named in a message of the logger
    ``graphcolumns.data.image_folder``.

    Args:
        path: The folder; ``~`` is the home folder.
        size: Images are resized to ``size`` x ``size`` pixels (bilinear), whatever their shape.
        grey: One channel instead of three.
        test_fraction: Part of the images to hold out when there is no ``test`` folder.
        seed: Seed of that split.

    Returns:
        Inputs ``[n, 3 or 1, size, size]`` in [0, 1], black to white; ``classes`` holds the names.

    Raises:
        FileNotFoundError: No such folder, no class, or a class without images.
        ValueError: An image cannot be read, ``train`` and ``test`` have other classes, one of them
            is missing, or too few images to split.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}; it must hold a folder per class.")
    if size < 1 or not 0 < test_fraction < 1:
        raise ValueError(
            "need size >= 1 and 0 < test_fraction < 1. "
            f"Got size={size}, test_fraction={test_fraction}."
        )
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        _tell("left out, beside train and test", [folder / name for name in _beside(folder)])
        train, names = _read(folder / "train", size, grey)
        test, test_names = _read(folder / "test", size, grey)
        if names != test_names:
            raise ValueError(
                f"{folder}/train and {folder}/test must hold the same classes. "
                f"Only in one of them: {sorted(set(names) ^ set(test_names))}."
            )
        return Dataset(*train, *test, num_classes=len(names), classes=tuple(names))
    (inputs, labels), names = _read(folder, size, grey)
    kept, held = _split(labels, test_fraction, seed)
    halves = inputs[kept], labels[kept], inputs[held], labels[held]
    return Dataset(*halves, num_classes=len(names), classes=tuple(names))


def _beside(folder: Path) -> list[str]:
    return sorted(
        child.name
        for child in folder.iterdir()
        if child.name not in ("train", "test") and not is_litter(child)
    )


def _read(folder: Path, size: int, grey: bool) -> tuple[tuple[Tensor, Tensor], list[str]]:
    children = sorted(child for child in folder.iterdir() if not is_litter(child))
    names = [child.name for child in children if child.is_dir()]
    if not names:
        raise FileNotFoundError(f"{folder} holds no sub-folder; there must be one per class.")
    if all(name.lower() in HALVES for name in names):
        raise ValueError(
            f"{folder} holds {', '.join(names)}, which are halves and no classes. Name the halves "
            "train and test, or give the folder that holds the classes."
        )
    others = [child for child in children if not child.is_dir()]
    images, labels, many = [], [], []
    for label, name in enumerate(names):
        found = find_images(folder / name)
        others += found.others
        if not found.images:
            instead = f", but {len(found.others)} other files" if found.others else ""
            raise FileNotFoundError(
                f"{folder / name} holds no image ({', '.join(SUFFIXES)}){instead}."
            )
        read = [read_image(file, size, grey) for file in found.images]
        images += [pixels.values for pixels in read]
        labels += [label] * len(read)
        many += [f for f, pixels in zip(found.images, read, strict=True) if pixels.frames > 1]
    _tell("left out, no image in a class", others)
    _tell("read in part, the first of several frames", many)
    return (torch.stack(images), torch.tensor(labels)), names


def _tell(what: str, files: Sequence[Path]) -> None:
    """Say which files are not read, or not whole."""
    if files:
        named = ", ".join(map(str, files[:NAMED])) + (", ..." if len(files) > NAMED else "")
        log.warning("%d %s: %s", len(files), what, named)


def _split(labels: Tensor, test_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rarest = int(labels.bincount().min())
    if rarest < 2:
        raise ValueError(
            f"class {int(labels.bincount().argmin())} has {rarest} image: a class needs one to "
            "train on and one to test."
        )
    count, classes = len(labels), len(labels.bincount())
    held_out = ceil(test_fraction * count)
    if not classes <= held_out <= count - classes:
        raise ValueError(
            f"both halves need an image of each of the {classes} classes. Got test_fraction="
            f"{test_fraction}: {held_out} of {count} images to test, {count - held_out} to train."
        )
    kept, held = train_test_split(
        np.arange(len(labels)), test_size=test_fraction, stratify=labels.numpy(), random_state=seed
    )
    return kept, held
