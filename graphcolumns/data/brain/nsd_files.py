"""Files of the Natural Scenes Dataset: betas of sessions, and which image each trial showed."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from graphcolumns.data.brain.algonauts_tree import SIDES, Side, subject_name
from graphcolumns.data.brain.array_file import ArrayFile
from graphcolumns.data.brain.series_files import MghFile

NsdSpace: TypeAlias = Literal["fsaverage", "nativesurface"]
SUFFIX = {"fsaverage": "mgh", "nativesurface": "hdf5"}
VERSION = "betas_fithrf_GLMdenoise_RR"
SCALE = 300.0  # betas in HDF5 are whole numbers: percent signal change times 300


def beta_files(
    folder: str | os.PathLike[str], subject: int, space: NsdSpace, sessions: int | None = None
) -> dict[Side, list[Path]]:
    """Files of the first sessions of a subject, of both hemispheres.

    Args:
        folder: Folder of the data set, which holds ``nsddata_betas``; ``~`` is the home folder.
        subject: Number of the subject, 1 to 8.
        space: Vertices that betas are of.
        sessions: Number of sessions (default: those that are there).

    Raises:
        FileNotFoundError: A folder or a session of a hemisphere is missing; the error names it.
    """
    name = subject_name(subject)
    place = Path(folder).expanduser() / "nsddata_betas" / "ppdata" / name / space / VERSION
    if not place.is_dir():
        raise FileNotFoundError(f"there is no folder {place}; it must hold betas of sessions.")
    suffix = SUFFIX[space]
    pattern = rf"[lr]h\.betas_session(\d+)\.{suffix}"
    found = [re.fullmatch(pattern, path.name) for path in place.iterdir()]
    last = sessions or max((int(match[1]) for match in found if match), default=1)
    files = {
        side: [place / f"{side}.betas_session{n:02}.{suffix}" for n in range(1, last + 1)]
        for side in SIDES
    }
    for path in (path for paths in files.values() for path in paths):
        if not path.is_file():
            raise FileNotFoundError(
                f"there is no file {path}. Sessions 1 to {last} must be there without a gap, of "
                "both hemispheres; lower sessions=... to take the first ones."
            )
    return files


class HdfBetas(ArrayFile):
    """Betas ``[T, V]`` of a session in an HDF5 file, read in slices; divided by 300.

    Args:
        path: The file, with the data set ``betas``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A damaged file, or no such data set.
        ImportError: H5py is not installed.
    """

    def _open(self) -> Any:
        h5py = need_h5py(self.path)
        try:
            return h5py.File(self.path, "r")["betas"]
        except (OSError, KeyError) as error:
            raise ValueError(
                f"{self.path} must be an HDF5 file with the data set 'betas'. Got {error}; restore "
                "it from a copy."
            ) from error

    def __getitem__(self, index: Any) -> np.ndarray:
        values: np.ndarray = self._array[index] / np.float32(SCALE)
        return values


def open_betas(path: Path, trials: int) -> ArrayFile:
    """Betas ``[T, V]`` of a session.

    Args:
        path: The file.
        trials: Number of trials of the session, ``T``.

    Raises:
        ValueError: Another number of trials.
    """
    betas: ArrayFile = HdfBetas(path) if path.suffix == ".hdf5" else MghFile(path)
    if len(betas.shape) != 2 or len(betas) != trials:
        raise ValueError(
            f"{path} must hold [T, V] betas of {trials:,} trials, as many as each session has in "
            f"trials. Got {list(betas.shape)}."
        )
    return betas


def need_h5py(path: Path) -> Any:
    """H5py, or an ImportError that says how to install it."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f"{path} is read by h5py, which is not installed: pip install 'graphcolumns[brain]'."
        ) from error
    return h5py


def nsd_trials(path: str | os.PathLike[str], subject: int) -> np.ndarray:
    """The image of every trial of a subject, ``[30000]`` int64, from ``nsd_expdesign.mat``.

    Trial ``t`` showed image ``subjectim[subject, masterordering[t]]`` of the 73,000, which the file
    counts from 1 and this function from 0.

    Args:
        path: The file, of ``nsddata/experiments/nsd``; ``~`` is the home folder.
        subject: Number of the subject, 1 to 8.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Another file of MATLAB, or one that scipy cannot read.

    Source: Allen et al., A massive 7T fMRI dataset to bridge cognitive neuroscience and artificial
        intelligence, Nature Neuroscience 2022, https://doi.org/10.1038/s41593-021-00962-x.
    """
    from scipy.io import loadmat

    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    names = ("masterordering", "subjectim")
    try:
        found = loadmat(path, variable_names=names)
    # Scipy has an error for each way to be no file of MATLAB, and one for version 7.3.
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read by scipy ({type(error).__name__}: {error}); give the image of "
            "every trial as an array."
        ) from error
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"{path} must hold {' and '.join(names)}. {missing[0]} is missing.")
    order, images = (np.asarray(found[name]).astype(np.int64) for name in names)
    if images.ndim != 2 or not 1 <= subject <= len(images):
        raise ValueError(
            f"subject must be in [1, {len(images)}], a row of subjectim each. Got {subject}."
        )
    trials: np.ndarray = images[subject - 1, order.reshape(-1) - 1] - 1
    return trials
