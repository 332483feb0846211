"""Inputs of recorded responses, read when they are needed: images, or features of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from torch import Tensor

from graphcolumns.data.brain.array_file import (
    ArrayFile,
    ArrayLike,
    absolute_path,
    name_of,
    open_array,
)
from graphcolumns.data.image_files import read_image

FEATURES = "features"
Sample: TypeAlias = Tensor | dict[str, np.ndarray]


class InputSource(Protocol):
    """Inputs by the number of their row."""

    def __len__(self) -> int:
        """The number of inputs."""

    def __getitem__(self, row: int, /) -> Sample:
        """The input of a row: an image ``[3, Y, X]``, or ``{"features": [M, D]}``."""


@dataclass(frozen=True)
class ImageInputs:
    """Images in files.

    Args:
        files: Image files, one per row.
        size: Side of the resized images, in pixels.
    """

    files: Sequence[Path]
    size: int

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> Sample:
        return read_image(self.files[row], self.size, grey=False).values


@dataclass(frozen=True)
class FeatureRows:
    """Features in one array.

    Args:
        array: Features of every image, ``[n, M, D]``.
        rows: Row of ``array`` for each input, ``[n]`` int64 (default: the same).
    """

    array: ArrayFile | np.ndarray
    rows: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.array) if self.rows is None else len(self.rows)

    def __getitem__(self, row: int) -> Sample:
        return {FEATURES: np.asarray(self.array[row if self.rows is None else self.rows[row]])}


@dataclass(frozen=True)
class FeatureFiles:
    """Features in a file per image, ``[M, D]`` each.

    Args:
        files: The ``.npy`` files, one per row.
    """

    files: Sequence[Path]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> Sample:
        array = ArrayFile(self.files[row])
        _check_features(str(array.path), array, 2, "[M, D], tokens and channels")
        return {FEATURES: array[:]}


def feature_rows(
    source: ArrayLike, count: int, rows: Sequence[int] | None = None, what: str = "images"
) -> FeatureRows:
    """Features ``[n, M, D]`` in an array or a ``.npy`` file, which stays on disk.

    Args:
        source: Array or file.
        count: Number of inputs.
        rows: Row of each input, int64 (default: input ``i`` is in row ``i``).
        what: Noun for inputs, for messages.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Another shape, values that are not floating, or no row for an input.
    """
    array = open_array(source)
    name = name_of(array, FEATURES)
    _check_features(name, array, 3, f"[n, M, D], {what}, tokens and channels")
    if rows is None and len(array) != count:
        raise ValueError(
            f"{name} must have a row for each of the {count:,} {what}. Got {len(array):,} rows."
        )
    if rows is not None and max(rows) >= len(array):
        raise ValueError(
            f"{name} must have a row for every number of {what}, up to {max(rows):,}. Got "
            f"{len(array):,} rows."
        )
    return FeatureRows(array, rows)


def feature_files(folder: str | os.PathLike[str], stems: Sequence[str]) -> FeatureFiles:
    """Features ``[M, D]`` of every image in a file of its name: ``train-0001_nsd-00013.npy``.

    Args:
        folder: The folder.
        stems: Names of the images, without suffix.

    Raises:
        FileNotFoundError: A file is missing.
    """
    files = [absolute_path(folder) / f"{stem}.npy" for stem in stems]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise FileNotFoundError(
            f"there is no file {missing[0]} ({len(missing):,} of {len(files):,} are missing); "
            "features in a folder are one .npy file [M, D] per image, under its name."
        )
    return FeatureFiles(files)


def is_folder(source: ArrayLike) -> bool:
    """Whether features come from a folder."""
    return isinstance(source, str | os.PathLike) and Path(source).expanduser().is_dir()


def _check_features(name: str, array: ArrayFile | np.ndarray, ndim: int, expected: str) -> None:
    shape = tuple(array.shape)
    if len(shape) != ndim or 0 in shape:
        raise ValueError(f"{name} must be {expected}. Got {list(shape)}; reshape it.")
    # Whole numbers would stay whole in a batch, which no model multiplies.
    if array.dtype.kind != "f":
        raise ValueError(
            f"{name} must hold floating features, {expected}. Got {array.dtype}; save "
            ".astype(numpy.float32)."
        )
