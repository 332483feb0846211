"""Images on disk, one sub-folder per class."""

from __future__ import annotations

from math import ceil
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from sklearn.model_selection import train_test_split
from torch import Tensor

from graphcolumns.data.dataset import Dataset

SUFFIXES = (".png", ".jpg", ".jpeg")


def image_folder(
    path: str | Path,
    size: int = 32,
    grey: bool = False,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """PNG and JPEG images in a folder with one sub-folder per class.

    Classes are numbered in the alphabetical order of the sub-folders. A folder that holds `train`
    and `test`, each with the classes, is taken as it is; otherwise a stratified part is the test
    half. All images are held in memory.

    Args:
        path: the folder.
        size: images are resized to `size` x `size` pixels (bilinear).
        grey: one channel instead of three.
        test_fraction: part of the images to hold out when there is no `test` folder.
        seed: of that split.

    Returns:
        Inputs `[n, 3 or 1, size, size]` in [0, 1].

    Raises:
        FileNotFoundError: no such folder, no class, or a class without images.
        ValueError: an image cannot be read, `train` and `test` have other classes, or too few
            images to split.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}; it must hold a folder per class.")
    if size < 1 or not 0 < test_fraction < 1:
        raise ValueError(
            "need size >= 1 and 0 < test_fraction < 1. "
            f"Got size={size}, test_fraction={test_fraction}."
        )
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        train, names = _read(folder / "train", size, grey)
        test, test_names = _read(folder / "test", size, grey)
        if names != test_names:
            raise ValueError(
                f"{folder}/train and {folder}/test must hold the same classes. "
                f"Only in one of them: {sorted(set(names) ^ set(test_names))}."
            )
        return Dataset(*train, *test, num_classes=len(names))
    (inputs, labels), names = _read(folder, size, grey)
    kept, held = _split(labels, test_fraction, seed)
    return Dataset(inputs[kept], labels[kept], inputs[held], labels[held], len(names))


def _read(folder: Path, size: int, grey: bool) -> tuple[tuple[Tensor, Tensor], list[str]]:
    names = sorted(child.name for child in folder.iterdir() if child.is_dir())
    if not names:
        raise FileNotFoundError(f"{folder} holds no sub-folder; there must be one per class.")
    images, labels = [], []
    for label, name in enumerate(names):
        files = sorted(f for f in (folder / name).iterdir() if f.suffix.lower() in SUFFIXES)
        if not files:
            raise FileNotFoundError(f"{folder / name} holds no image ({', '.join(SUFFIXES)}).")
        images += [_image(file, size, grey) for file in files]
        labels += [label] * len(files)
    return (torch.stack(images), torch.tensor(labels)), names


def _image(file: Path, size: int, grey: bool) -> Tensor:
    """One image, `[channels, size, size]` in [0, 1]."""
    try:
        with Image.open(file) as image:
            resized = image.convert("L" if grey else "RGB").resize(
                (size, size), Image.Resampling.BILINEAR
            )
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(
            f"{file} cannot be read as an image: {error}. Mend or remove it."
        ) from error
    pixels = np.asarray(resized, dtype=np.float32).reshape(size, size, -1) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


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
