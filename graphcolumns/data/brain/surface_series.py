"""Time series of the vertices of a surface, in blocks of time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from graphcolumns.data.brain.array_file import ArrayFile, ArrayLike, name_of, read_values
from graphcolumns.data.brain.cleaned_series import CleanedSeries, standardised, without_confounds
from graphcolumns.data.brain.inputs import FeatureRows, InputSource, feature_rows
from graphcolumns.data.brain.parts import recorded
from graphcolumns.data.brain.series_files import open_series
from graphcolumns.data.brain.time_folds import time_folds
from graphcolumns.data.brain.vertex_checks import check_finite_vertices
from graphcolumns.data.brain.vertex_values import ceiling_of, mask_of, regions_in
from graphcolumns.data.dataset import HeldOut
from graphcolumns.data.regression import Regression
from graphcolumns.data.streamed import StreamedDataset
from graphcolumns.geometry.checks import check_choice
from graphcolumns.geometry.regions import Regions, hemispheres


def surface_series(
    series: ArrayLike | Sequence[str],
    features: ArrayLike | None = None,
    sources: Sequence[int] | None = None,
    fold: int = 0,
    folds: int = 5,
    gap: int = 0,
    confounds: ArrayLike | None = None,
    detrend: bool = False,
    zscore: bool = True,
    mask: ArrayLike | None = None,
    noise_ceiling: ArrayLike | None = None,
    masks: str | os.PathLike[str] | None = None,
    held_out: HeldOut = "test",
    num_workers: int = 0,
) -> StreamedDataset:
    """Time courses of vertices, predicted from features of the same time or from other vertices.

    A part to train on, one for validation and one to test are contiguous blocks of time, see
    ``time_folds``. What confounds and the trend explain, mean and variance are all those of the
    training times: fitted on the whole series, residuals of the training times would tell what
    those of the held-out times add up to. Files that were cleaned before, over all times, leak in
    this way. Rows are cleaned as they are read, so that a ``.npy`` or ``.mgh`` file stays on disk.

    Args:
        series: Series ``[T, V]``: an array, or a file ``.npy``, ``.npz``, ``.func.gii``, ``.mgh``,
            ``.mgz``; or two files, of the left and the right hemisphere.
        features: Features of every time, ``[T, M, D]``: an array or a ``.npy`` file.
        sources: Ids of vertices whose values are the features in place of these, ``M`` tokens with
            one channel; they do not count as targets.
        fold: Number of the block of time to test, in ``[0, folds)``.
        folds: Number of blocks.
        gap: Number of times left out on both sides of the blocks for test and validation.
        confounds: Confounds to be regressed out, ``[T, K]``: an array or a ``.npy`` file.
        detrend: Whether the mean and a linear trend are regressed out.
        zscore: Whether every vertex is brought to mean 0 and variance 1.
        mask: Whether each vertex counts, ``[V]`` bool: an array or a ``.npy`` file.
        noise_ceiling: Explainable share of the variance of every vertex, ``[V]`` in [0, 1].
        masks: Folder of masks of regions, as of ``responses_folder``.
        held_out: Part that is scored, ``"test"`` or ``"validation"``.
        num_workers: Number of processes that read ahead, as of ``StreamedDataset``.

    Returns:
        Inputs ``{"features": [n, M, D]}``, targets ``[n, V]``, left hemisphere first. Without
        ``masks`` and with two files the regions are the hemispheres.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: Parts that do not fit together, vertices with NaN or without variance.
        ImportError: Nibabel is not installed, and a file needs it.
    """
    check_choice("held_out", held_out, get_args(HeldOut))
    raw = _sides(series)
    times, counts = len(raw[0]), [part.shape[1] for part in raw]
    width = sum(counts)
    kept = _mask(mask, sources, width)
    # Sources are no targets, but they are read.
    needed = np.split(_mask(mask, None, width) | ~_mask(None, sources, width), np.cumsum(counts))
    for number, part in enumerate(raw):
        name = name_of(part, f"series {number}" if len(raw) > 1 else "series")
        check_finite_vertices(name, part, needed[number])
    parts = time_folds(times, folds, gap)
    if not 0 <= fold < folds:
        raise ValueError(f"fold must be in [0, folds). Got {fold} of {folds}.")
    table = None if confounds is None else read_values(confounds)
    train = parts[fold].train
    clean = [without_confounds(part, table, detrend, train) for part in raw]
    if zscore:
        clean = [standardised(part, train, one) for part, one in zip(clean, needed, strict=False)]
    task = Regression(
        mask=torch.from_numpy(kept),
        noise_ceiling=ceiling_of(noise_ceiling, width),
        regions=_regions(masks, counts),
    )
    inputs = _inputs(features, sources, clean, times)
    return recorded(inputs, clean, parts[fold], task, held_out, num_workers)


def _sides(series: ArrayLike | Sequence[str]) -> list[ArrayFile | np.ndarray]:
    alone = isinstance(series, str | os.PathLike | np.ndarray | torch.Tensor)
    sources = [series] if alone else list(series)  # type: ignore[arg-type]
    if not 1 <= len(sources) <= 2:
        raise ValueError(
            f"series must be one, or two of the left and the right hemisphere. Got {len(sources)}."
        )
    opened = [open_series(source) for source in sources]  # type: ignore[arg-type]
    lengths = {len(part) for part in opened}
    if len(lengths) > 1:
        raise ValueError(
            "both hemispheres must have the same times. Got "
            f"{' and '.join(str(len(part)) for part in opened)}."
        )
    return opened


def _mask(mask: ArrayLike | None, sources: Sequence[int] | None, width: int) -> np.ndarray:
    """Which vertices count: those of the mask that are no sources."""
    found = mask_of(mask, width)
    kept = np.ones(width, dtype=bool) if found is None else found.numpy().copy()
    if sources is not None:
        ids = np.asarray(sources)
        if ids.ndim != 1 or not len(ids) or ids.min() < 0 or ids.max() >= width:
            raise ValueError(
                f"sources must be ids of vertices in [0, {width:,}), at least one. Got {sources}."
            )
        kept[ids] = False
    return kept


def _regions(masks: str | os.PathLike[str] | None, counts: list[int]) -> Regions | None:
    hemisphere = None
    if len(counts) == 2:
        hemisphere = torch.cat([torch.full((count,), side) for side, count in enumerate(counts)])
    if masks is None:
        return None if hemisphere is None else hemispheres(hemisphere)
    folder = Path(masks).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; it must hold NAME.npy per region.")
    return regions_in(folder, sum(counts), hemisphere)


def _inputs(
    features: ArrayLike | None,
    sources: Sequence[int] | None,
    series: list[CleanedSeries],
    times: int,
) -> InputSource:
    if (features is None) == (sources is None):
        raise ValueError(
            "surface_series needs either features or sources. Got "
            f"{'neither' if features is None else 'both'}."
        )
    if features is not None:
        return feature_rows(features, times, what="times")
    ids = np.asarray(sources)
    rows = [np.concatenate([part[time] for part in series])[ids, None] for time in range(times)]
    return FeatureRows(np.stack(rows))
