"""Files that hold a value per vertex and time: GIFTI, MGH, NumPy."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from graphcolumns.data.brain.array_file import ArrayFile, ArrayLike, name_of, open_array

KINDS = ".npy, .npz, .func.gii, .gii, .mgh or .mgz"


def open_series(source: ArrayLike) -> ArrayFile | np.ndarray:
    """A series ``[T, V]`` from a file or an array in memory.

    - ``.npy``: ``[T, V]``; stays on disk;
    - ``.npz``: the array ``series``, or the only one;
    - ``.gii``, ``.gii.gz``, such as ``.func.gii``: an array ``[V]`` per time (needs nibabel);
    - ``.mgh``, ``.mgz``: ``[V, 1, 1, T]``, as FreeSurfer writes them; ``.mgh`` stays on disk (needs
      nibabel).

    Args:
        source: Array, or path; ``~`` is the home folder.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Another kind of file or another shape, a damaged file, or pickled objects.
        ImportError: Nibabel is not installed.
    """
    if not isinstance(source, str | os.PathLike):
        series = open_array(source)
    else:
        path = Path(source).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}; a series is in {KINDS}.")
        series = _read(path)
    name = name_of(series, "series" if not isinstance(source, str | os.PathLike) else str(source))
    if len(series.shape) != 2 or 0 in series.shape or series.dtype.kind != "f":
        raise ValueError(
            f"{name} must hold floating values [T, V], times and vertices. Got {series.dtype}, "
            f"{list(series.shape)}."
        )
    return series


def _read(path: Path) -> ArrayFile | np.ndarray:
    if path.name.endswith((".gii", ".gii.gz")):
        return _gifti(path)
    if path.suffix in (".mgh", ".mgz"):
        return MghFile(path)
    if path.suffix == ".npz":
        return _npz(path)
    if path.suffix == ".npy":
        return ArrayFile(path)
    raise ValueError(f"a series must be in {KINDS}. Got {path}.")


class MghFile(ArrayFile):
    """Values ``[T, V]`` of a file of FreeSurfer with values ``[V, 1, 1, T]``.

    An ``.mgh`` file stays on disk; its times are outermost, so that a row is read in one piece. An
    ``.mgz`` file is compressed and is read whole.

    Args:
        path: The file; ``~`` is the home folder.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A damaged file, or values on a volume.
        ImportError: Nibabel is not installed.
    """

    def _open(self) -> np.ndarray:
        need_nibabel(self.path)
        try:
            values = _mgz(self.path) if self.path.suffix == ".mgz" else _mgh(self.path)
        # Decoders of headers and of gzip have their own errors for a file that is cut short.
        except Exception as error:
            raise _damaged(self.path, error) from error
        if values.ndim not in (3, 4) or values.shape[1:3] != (1, 1):
            raise ValueError(
                f"{self.path} must hold values on a surface, [V, 1, 1, T]. Got "
                f"{list(values.shape)}."
            )
        series: np.ndarray = values.reshape(len(values), -1, order="F").T
        return series


def _mgh(path: Path) -> np.ndarray:
    from nibabel.freesurfer.mghformat import MGHHeader

    with path.open("rb") as file:
        header = MGHHeader.from_fileobj(file)
    offset, shape = header.get_data_offset(), header.get_data_shape()
    return np.memmap(path, header.get_data_dtype(), "r", offset, shape, order="F")


def _mgz(path: Path) -> np.ndarray:
    from nibabel import MGHImage

    return np.asarray(MGHImage.from_bytes(gzip.decompress(path.read_bytes())).dataobj)


def _gifti(path: Path) -> np.ndarray:
    need_nibabel(path)
    from nibabel.gifti.gifti import GiftiImage

    try:
        arrays = [array.data for array in GiftiImage.from_filename(path).darrays]
    except Exception as error:
        raise _damaged(path, error) from error
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise ValueError(
            f"{path} must hold an array [V] per time. Got "
            f"{', '.join(map(str, sorted(shapes))) or 'no array'}; series are in a .func.gii."
        )
    return np.stack(arrays).astype(np.float32)


def _npz(path: Path) -> np.ndarray:
    try:
        # Opened here: numpy leaves a file open that it cannot read.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            name = "series" if "series" in file.files else file.files[0]
            if name != "series" and len(file.files) != 1:
                raise KeyError(", ".join(file.files))
            values: np.ndarray = file[name]
    except (KeyError, IndexError) as error:
        raise ValueError(
            f"{path} must hold an array named series, or one alone. Got {error}."
        ) from error
    except (BadZipFile, EOFError) as error:
        raise _damaged(path, error) from error
    except ValueError as error:
        raise ValueError(
            f"{path} must hold numbers. Got pickled objects, and to load pickled arrays runs code "
            "that is in the file; save the values as an array of numbers."
        ) from error
    return values


def need_nibabel(path: Path) -> Any:
    """Nibabel, or an ImportError that says how to install it."""
    try:
        import nibabel
    except ImportError as error:
        raise ImportError(
            f"{path} is read by nibabel, which is not installed: pip install 'graphcolumns[brain]'."
        ) from error
    return nibabel


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(
        f"{path} is damaged or cut short ({type(error).__name__}: {error}). Restore it from a copy."
    )
