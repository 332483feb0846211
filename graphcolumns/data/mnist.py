"""MNIST, Fashion-MNIST and their kin, from IDX files on disk."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from graphcolumns.data.dataset import Dataset
from graphcolumns.data.idx import read_idx

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def mnist(path: str | os.PathLike[str]) -> Dataset:
    """A data set in the four files of MNIST, under the names they are distributed with.

    ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and
    ``t10k-labels-idx1-ubyte`` (or ``train-images.idx3-ubyte`` and so on), each plain or with
    ``.gz``. Nothing is downloaded.

    Pixels of 8 bits without sign are divided by 255. Floating pixels are taken as they are. Other
    whole numbers have no white that all agree on, and are refused.

    Args:
        path: The folder with the four files; ``~`` is the home folder.

    Returns:
        Inputs ``[n, 1, Y, X]``, in [0, 1] where they were bytes; as many classes as the training
        labels have.

    Raises:
        FileNotFoundError: The folder or one of the files is missing.
        ValueError: A file is not IDX, is cut short or empty, has values of another type than its
            place requires, or images and labels do not match. The error names the file.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(
            f"There is no folder {folder}. mnist(path) reads the four IDX files from it: "
            f"{', '.join(name for pair in FILES.values() for name in pair)} (plain or .gz)."
        )
    train = _half(folder, *FILES["train"])
    test = _half(folder, *FILES["test"])
    num_classes = int(train[1].max()) + 1
    if int(test[1].max()) >= num_classes:
        raise ValueError(
            f"{FILES['test'][1]} in {folder} must hold labels of the training half, 0 to "
            f"{num_classes - 1}. Got {int(test[1].max())}; are these files of two data sets?"
        )
    return Dataset(*train, *test, num_classes=num_classes)


def _half(folder: Path, images_name: str, labels_name: str) -> tuple[Tensor, Tensor]:
    images = _pixels(*_read(folder, images_name, dimensions=3))
    labels = _labels(*_read(folder, labels_name, dimensions=1))
    if len(images) != len(labels):
        raise ValueError(
            f"{images_name} and {labels_name} in {folder} must have as many entries. "
            f"Got {len(images)} images and {len(labels)} labels."
        )
    return torch.from_numpy(images)[:, None], torch.from_numpy(labels)


def _pixels(path: Path, values: np.ndarray) -> np.ndarray:
    """Images as float32: bytes in [0, 1], floating values as they are."""
    if values.dtype == np.uint8:
        return values.astype(np.float32) / 255
    if values.dtype.kind != "f":
        raise ValueError(
            f"pixels of {path} must be bytes without sign, 0 to 255, or floating. Got "
            f"{values.dtype}, whose white is not agreed on; save them as bytes, or as floats in "
            "[0, 1]."
        )
    if not np.isfinite(values).all():
        raise ValueError(f"pixels of {path} must be finite. Got NaN or infinity; mend the file.")
    return values.astype(np.float32)


def _labels(path: Path, values: np.ndarray) -> np.ndarray:
    """Labels as int64."""
    if values.dtype.kind == "f" or values.min() < 0:
        raise ValueError(
            f"labels of {path} must be whole numbers from 0. Got {values.dtype}, smallest "
            f"{values.min()}; is it another file under this name?"
        )
    return values.astype(np.int64)


def _read(folder: Path, name: str, dimensions: int) -> tuple[Path, np.ndarray]:
    names = [form + end for form in (name, name.replace("-idx", ".idx")) for end in ("", ".gz")]
    found = [folder / form for form in names if (folder / form).is_file()]
    if not found:
        raise FileNotFoundError(f"There is no {name} and no {name}.gz in {folder}.")
    values = read_idx(found[0])
    if values.ndim != dimensions:
        raise ValueError(
            f"{found[0]} must have {dimensions} dimensions. Got {values.ndim}; "
            "is it another file under this name?"
        )
    if not values.size:
        raise ValueError(f"{found[0]} must hold something. Got shape {values.shape}.")
    return found[0], values
