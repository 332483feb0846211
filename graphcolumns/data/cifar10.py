"""CIFAR-10, from its binary files on disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from graphcolumns.data.dataset import Dataset

FOLDER = "cifar-10-batches-bin"
TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST = ("test_batch.bin",)
NAMES = "batches.meta.txt"
SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32


def cifar10(path: str | os.PathLike[str]) -> Dataset:
    """Colour images of 32 x 32 pixels in ten classes: 50,000 to train on, 10,000 to test.

    The binary version is read, which is plain bytes: ``data_batch_1.bin`` to ``data_batch_5.bin``
    and ``test_batch.bin``, and the names of classes from ``batches.meta.txt`` if it is there. The
    Python version is pickled; unpickling runs whatever code a file holds, so it is not read.
    Nothing is downloaded. The images take 740 MB of memory.

    Args:
        path: Folder with these files, or the folder that holds ``cifar-10-batches-bin``; ``~`` is
            the home folder.

    Returns:
        Inputs ``[n, 3, 32, 32]`` float32 in [0, 1], red, green and blue.

    Raises:
        FileNotFoundError: The folder or one of the files is missing.
        ValueError: A file is cut short or holds other labels than 0 to 9, or there are not ten
            names.

    Source: Krizhevsky, Learning multiple layers of features from tiny images, 2009.
    """
    folder = Path(path).expanduser()
    folder = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    missing = [name for name in (*TRAIN, *TEST) if not (folder / name).is_file()]
    if missing:
        pickled = any(place.is_file() for place in _pickled(folder))
        raise FileNotFoundError(
            f"There is no {missing[0]} in {folder}. cifar10(path) reads {TRAIN[0]} to "
            f"{TRAIN[-1]} and {TEST[0]}, the binary version of CIFAR-10 ({FOLDER})"
            + (
                "; what is there is the Python version, which is pickled and never read."
                if pickled
                else "."
            )
        )
    return Dataset(
        *_read([folder / name for name in TRAIN]),
        *_read([folder / name for name in TEST]),
        num_classes=10,
        classes=_classes(folder / NAMES),
    )


def _pickled(folder: Path) -> list[Path]:
    places = (folder, folder / "cifar-10-batches-py")
    return [place / "data_batch_1" for place in places]


def _read(paths: Sequence[Path]) -> tuple[Tensor, Tensor]:
    """Images and labels of several files."""
    records = np.concatenate([_records(path) for path in paths])
    images = records[:, 1:].reshape(-1, *SHAPE).astype(np.float32)
    images /= 255
    return torch.from_numpy(images), torch.from_numpy(records[:, 0].astype(np.int64))


def _records(path: Path) -> np.ndarray:
    """One record per row: a label, then 1024 bytes each of red, green and blue."""
    values = np.fromfile(path, dtype=np.uint8)
    if not len(values) or len(values) % RECORD:
        raise ValueError(
            f"{path} must hold records of {RECORD} bytes, a label and 3 x 32 x 32 pixels. "
            f"Got {len(values)} bytes; the file is cut short or another one, download it again."
        )
    records = values.reshape(-1, RECORD)
    if int(records[:, 0].max()) > 9:
        raise ValueError(
            f"labels in {path} must be 0 to 9. Got {int(records[:, 0].max())}; is it another file "
            "(CIFAR-100) under this name?"
        )
    return records


def _classes(path: Path) -> tuple[str, ...] | None:
    if not path.is_file():
        return None
    names = tuple(path.read_text(encoding="utf8").split())
    if len(names) != 10:
        raise ValueError(
            f"{path} must hold ten names of classes. Got {len(names)}; mend or remove it."
        )
    return names
