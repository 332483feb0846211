"""Arrays in files of numpy that stay on disk, and never run code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.lib import format as npy
from tqdm import tqdm

CHUNK = 64 * 2**20  # bytes of an array that are in memory at once
SLOW = 16  # chunks, from which on a pass over a file shows a bar

# A file, or an array in memory.
ArrayLike: TypeAlias = str | os.PathLike[str] | np.ndarray | torch.Tensor


class ArrayFile:
    """An array in a ``.npy`` file, memory-mapped; a copy in another process opens the file again.

    Args:
        path: The file; ``~`` is the home folder.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is cut short, no ``.npy`` file, or holds pickled objects.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = absolute_path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"there is no file {self.path}.")
        self._array = self._open()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return tuple(self._array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self._array.dtype

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, index: Any) -> np.ndarray:
        return self._array[index]

    def __repr__(self) -> str:
        return f"{self.path} {list(self.shape)}"

    # A memory map that is pickled would become a copy of all of its values.
    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path = state["path"]
        self._array = self._open()

    def _open(self) -> np.ndarray:
        check_no_pickle(self.path)
        try:
            array: np.ndarray = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise ValueError(
                f"{self.path} is damaged or cut short: {error}. Restore it from a copy."
            ) from error
        return array


def absolute_path(path: str | os.PathLike[str]) -> Path:
    """A path with ``~`` filled in, for files that are read later from another working folder."""
    return Path(path).expanduser().absolute()


def open_array(source: ArrayLike) -> ArrayFile | np.ndarray:
    """An array in memory as it is, or the one in a ``.npy`` file, which stays on disk."""
    if isinstance(source, torch.Tensor):
        return source.detach().cpu().numpy()
    return source if isinstance(source, np.ndarray) else ArrayFile(source)


def read_values(source: ArrayLike) -> np.ndarray:
    """All values of an array in memory or in a file."""
    return np.array(open_array(source)[:])


def name_of(array: ArrayFile | np.ndarray, otherwise: str) -> str:
    """The path of a file, for messages; another name for arrays in memory."""
    return str(array.path) if isinstance(array, ArrayFile) else otherwise


def check_no_pickle(path: Path) -> None:
    """Raise unless this is a ``.npy`` file of plain values."""
    with path.open("rb") as file:
        if file.read(len(npy.MAGIC_PREFIX)) != npy.MAGIC_PREFIX:
            raise ValueError(f"{path} must be a .npy file, as numpy.save writes it.")
        file.seek(0)
        try:
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            dtype = read(file)[2]
        except ValueError as error:
            raise ValueError(
                f"{path} is damaged or cut short: {error}. Restore it from a copy."
            ) from error
    if dtype.hasobject:
        raise ValueError(
            f"{path} must hold numbers. Got pickled objects, and to load pickled arrays runs code "
            "that is in the file; save the values as an array of numbers."
        )


def row_chunks(array: ArrayFile | np.ndarray, label: str) -> Iterator[np.ndarray]:
    """All rows of an array, some at a time, with a bar where that takes long.

    Args:
        array: Values, ``[n, ...]``.
        label: Title of the bar.
    """
    row = max(1, int(np.prod(array.shape[1:])) * array.dtype.itemsize)
    step = max(1, CHUNK // row)
    starts = range(0, len(array), step)
    for start in tqdm(starts, label, disable=len(starts) < SLOW):
        yield np.asarray(array[start : start + step])
