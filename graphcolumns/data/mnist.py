"""MNIST, Fashion-MNIST and their kin, from IDX files on disk."""

from __future__ import annotations

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


def mnist(path: str | Path) -> Dataset:
    """A data set in the four files of MNIST, under the names they are distributed with.

    `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
    `t10k-labels-idx1-ubyte`, each plain or with `.gz`. Nothing is downloaded.

    Args:
        path: the folder with the four files.

    Returns:
        Inputs `[n, 1, Y, X]` in [0, 1]; as many classes as the training labels have.

    Raises:
        FileNotFoundError: the folder or one of the files is missing.
        ValueError: a file is not IDX, is cut short, or images and labels do not match.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"There is no folder {folder}. mnist(path) reads the four IDX files from it: "
            f"{', '.join(name for pair in FILES.values() for name in pair)} (plain or .gz)."
        )
    train = _half(folder, *FILES["train"])
    test = _half(folder, *FILES["test"])
    return Dataset(*train, *test, num_classes=int(train[1].max()) + 1)


def _half(folder: Path, images_name: str, labels_name: str) -> tuple[Tensor, Tensor]:
    images = _read(folder, images_name, dimensions=3)
    labels = _read(folder, labels_name, dimensions=1)
    if len(images) != len(labels):
        raise ValueError(
            f"{images_name} and {labels_name} in {folder} must have as many entries. "
            f"Got {len(images)} images and {len(labels)} labels."
        )
    inputs = torch.from_numpy(images.astype(np.float32) / 255)[:, None]
    return inputs, torch.from_numpy(labels.astype(np.int64))


def _read(folder: Path, name: str, dimensions: int) -> np.ndarray:
    found = [folder / n for n in (name, f"{name}.gz") if (folder / n).is_file()]
    if not found:
        raise FileNotFoundError(f"There is no {name} and no {name}.gz in {folder}.")
    values = read_idx(found[0])
    if values.ndim != dimensions:
        raise ValueError(
            f"{found[0]} must have {dimensions} dimensions. Got {values.ndim}; "
            "is it another file under this name?"
        )
    return values
