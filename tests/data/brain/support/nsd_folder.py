"""A fabricated folder of the Natural Scenes Dataset: betas of a few trials and vertices."""

from pathlib import Path

import h5py
import nibabel
import numpy as np

SESSIONS, TRIALS = 3, 20
LEFT, RIGHT = 7, 9  # vertices
IMAGES = 25
# Three images are shown three times, 21 twice; nine trials are left out.
SHOWN = np.random.default_rng(0).permutation(
    np.r_[np.repeat([4, 9, 17], 3), np.delete(np.arange(IMAGES), [4, 9, 17]).repeat(2)[:42]]
)
SHOWN = np.r_[SHOWN, np.full(SESSIONS * TRIALS - len(SHOWN), -1)]


def betas() -> np.ndarray:
    """Betas of every session, ``[sessions, trials, V]``: a response per image and noise."""
    draws = np.random.default_rng(1)
    signal = draws.normal(size=(IMAGES + 1, LEFT + RIGHT))
    noise = draws.normal(size=(SESSIONS * TRIALS, LEFT + RIGHT))
    values = (1 + 2 * signal[SHOWN] + noise).reshape(SESSIONS, TRIALS, -1)
    # Whole numbers, divided by 300, as they are stored: both formats hold the same.
    return np.round(300 * values) / 300


def place(folder: Path, space: str = "fsaverage") -> Path:
    return folder / f"nsddata_betas/ppdata/subj01/{space}/betas_fithrf_GLMdenoise_RR"


def nsd_folder(folder: Path) -> Path:
    """Writes the betas of one subject in both spaces."""
    for space in ("fsaverage", "nativesurface"):
        place(folder, space).mkdir(parents=True)
    for number, session in enumerate(betas(), 1):
        for side, part in (("lh", session[:, :LEFT]), ("rh", session[:, LEFT:])):
            write_mgh(place(folder) / f"{side}.betas_session{number:02}.mgh", part)
            path = place(folder, "nativesurface") / f"{side}.betas_session{number:02}.hdf5"
            with h5py.File(path, "w") as file:
                file["betas"] = np.round(300 * part).astype(np.int16)
    return folder


def write_mgh(path: Path, values: np.ndarray) -> None:
    """Values ``[T, V]`` as FreeSurfer writes them, ``[V, 1, 1, T]``."""
    whole = np.asfortranarray(values.T[:, None, None], dtype=np.float32)
    nibabel.save(nibabel.MGHImage(whole, np.eye(4)), path)
