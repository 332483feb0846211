"""Responses to images from betas of single trials: z-scored per session, then averaged."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from tqdm import tqdm

from graphcolumns.data.brain.algonauts_tree import Side
from graphcolumns.data.brain.array_file import ArrayFile
from graphcolumns.data.brain.nsd_files import open_betas
from graphcolumns.data.brain.vertex_checks import listed

BLOCK = 8192  # vertices of a session that are in memory at once
ROWS = 256  # images of the responses that are in memory at once
SETTINGS = "settings.json"


@dataclass(frozen=True)
class TrialImages:
    """Which image every trial showed.

    Args:
        trials: Image of every trial, ``[T]`` int64, -1 for trials that are left out.
    """

    trials: np.ndarray
    ids: np.ndarray = field(init=False)
    repeats: np.ndarray = field(init=False)
    row: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        used = self.trials >= 0
        ids, row, repeats = np.unique(self.trials[used], return_inverse=True, return_counts=True)
        rows = np.full(len(self.trials), -1)
        rows[used] = row
        for name, value in (("ids", ids), ("repeats", repeats), ("row", rows)):
            object.__setattr__(self, name, value)


def average_betas(
    files: Mapping[Side, Sequence[Path]],
    trials: np.ndarray,
    output: Path,
    settings: Mapping[str, Any],
    vertices: np.ndarray | None = None,
) -> None:
    """Writes the responses to images into a folder, which is whole or absent.

    Each vertex is brought to mean 0 and variance 1 over the trials of a session; its responses to
    the repeats of an image are averaged. The noise ceiling follows from the variance of repeats.
    The files: ``responses.npy`` ``[n, V]`` float32, left hemisphere first; ``images.npy`` ``[n]``,
    the ids of images, ascending; ``repeats.npy`` ``[n]``, their numbers of trials;
    ``hemisphere.npy`` ``[V]``; where an image was repeated ``ncsnr.npy`` and ``noise_ceiling.npy``
    ``[V]``; and ``settings.json``.

    Args:
        files: Files of the sessions of both hemispheres.
        trials: Image of every trial, ``[T]`` int64, session after session; -1 leaves a trial out.
        output: Folder to be written.
        settings: Facts that tell these responses from others, for ``settings.json``.
        vertices: Whether each vertex is kept, ``[V]`` bool, left hemisphere first (default: all).

    Raises:
        ValueError: Files that do not fit together, or vertices with NaN or without variance.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}-"))
    try:
        _write(files, TrialImages(trials), new, vertices)
        (new / SETTINGS).write_text(json.dumps(dict(settings), indent=1), encoding="utf8")
        new.rename(output)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _write(
    files: Mapping[Side, Sequence[Path]],
    shown: TrialImages,
    folder: Path,
    vertices: np.ndarray | None,
) -> None:
    per_session = len(shown.trials) // len(files["lh"])
    widths = [open_betas(paths[0], per_session).shape[1] for paths in files.values()]
    keep = np.ones(sum(widths), bool) if vertices is None else vertices
    sides = np.repeat([0, 1], widths)
    kept = [np.flatnonzero(keep[sides == side]) for side in (0, 1)]
    shape = len(shown.ids), int(keep.sum())
    responses = np.lib.format.open_memmap(folder / "responses.npy", "w+", np.float32, shape)
    sums = np.zeros((2, shape[1]))  # of the values and of the squares of repeated trials
    bar = tqdm(total=sum(map(len, files.values())), desc="average betas")
    with bar:
        for side, paths in enumerate(files.values()):
            offset = len(kept[0]) * side
            for session, path in enumerate(paths):
                betas = open_betas(path, per_session)
                if betas.shape[1] != widths[side]:
                    raise ValueError(
                        f"{path} must have the {widths[side]:,} vertices of the first session. Got "
                        f"{betas.shape[1]:,}."
                    )
                rows = shown.row[session * per_session : (session + 1) * per_session]
                _add(betas, rows, shown, kept[side], responses, sums, offset)
                bar.update()
    _finish(responses, sums, shown, folder)
    np.save(folder / "images.npy", shown.ids)
    np.save(folder / "repeats.npy", shown.repeats)
    np.save(folder / "hemisphere.npy", sides[keep])


def _add(
    betas: ArrayFile,
    rows: np.ndarray,
    shown: TrialImages,
    ids: np.ndarray,
    responses: np.ndarray,
    sums: np.ndarray,
    offset: int,
) -> None:
    """Add the trials of a session to the responses to their images."""
    used = np.flatnonzero(rows >= 0)
    images, place = np.unique(rows[used], return_inverse=True)
    adder = csr_array(
        (np.ones(len(used), np.float32), (place, used)), shape=(len(images), len(rows))
    )
    repeated = (rows >= 0) & (shown.repeats[rows] > 1)
    for start in range(0, len(ids), BLOCK):
        block = ids[start : start + BLOCK]
        # One slice of the file, whichever vertices of it are kept.
        values = np.asarray(betas[:, block[0] : block[-1] + 1], np.float32)[:, block - block[0]]
        scores = _zscored(values, block, betas.path)
        columns = slice(offset + start, offset + start + len(block))
        if len(images):
            responses[images, columns] += adder @ scores
        several = scores[repeated]
        sums[0, columns] += several.sum(0, dtype=np.float64)
        sums[1, columns] += np.einsum("tv,tv->v", several, several, dtype=np.float64)


def _zscored(values: np.ndarray, ids: np.ndarray, path: Path) -> np.ndarray:
    """Scores in float32, by moments in float64."""
    mean = values.mean(0, dtype=np.float64)
    centred = values - mean.astype(np.float32)
    deviation = np.sqrt(np.einsum("tv,tv->v", centred, centred, dtype=np.float64) / len(values))
    # One value alone leaves rounding; NaN and infinity go through all sums.
    bad = ~(deviation > 1e-6 * np.abs(mean)) | ~np.isfinite(deviation)
    if bad.any():
        raise ValueError(
            f"{path} must hold finite betas that vary. Got NaN, infinity or one value alone in "
            f"{bad.sum():,} of {len(bad):,} vertices: {listed(ids[bad])}; leave them out with "
            "vertices=..."
        )
    scores: np.ndarray = centred / deviation.astype(np.float32)
    return scores


def _finish(responses: np.ndarray, sums: np.ndarray, shown: TrialImages, folder: Path) -> None:
    """Turn sums over repeats into means, and write what repeats say about the noise."""
    repeated = shown.repeats > 1
    between = np.zeros(responses.shape[1])
    for start in range(0, len(responses), ROWS):
        rows = slice(start, start + ROWS)
        count = shown.repeats[rows, None]
        several = responses[rows][repeated[rows]].astype(np.float64)
        between += (several**2 / count[repeated[rows]]).sum(0)
        responses[rows] /= count
    if not repeated.any():
        return
    trials = shown.repeats[repeated].sum()
    noise = (sums[1] - between) / (trials - repeated.sum())
    total = (sums[1] - sums[0] ** 2 / trials) / (trials - 1)
    signal = np.maximum(total - noise, 0)
    np.save(folder / "ncsnr.npy", np.sqrt(signal / noise).astype(np.float32))
    # The formula ncsnr^2 / (ncsnr^2 + mean of 1/n), which holds without noise too.
    ceiling = signal / (signal + noise * (1 / shown.repeats).mean())
    np.save(folder / "noise_ceiling.npy", ceiling.astype(np.float32))
