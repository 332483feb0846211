"""The Natural Scenes Dataset: betas of single trials at the vertices of a surface."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from PIL import Image

from graphcolumns.data.brain.array_file import ArrayFile, ArrayLike, absolute_path, read_values
from graphcolumns.data.brain.averaged_betas import SETTINGS, average_betas
from graphcolumns.data.brain.inputs import InputSource, Sample, feature_rows
from graphcolumns.data.brain.nsd_files import (
    NsdSpace,
    beta_files,
    need_h5py,
    nsd_trials,
    open_betas,
)
from graphcolumns.data.brain.parts import recorded
from graphcolumns.data.brain.splits import ThreeWay, three_way
from graphcolumns.data.brain.vertex_values import ceiling_of, mask_of, regions_in
from graphcolumns.data.dataset import HeldOut
from graphcolumns.data.regression import Regression
from graphcolumns.data.streamed import StreamedDataset
from graphcolumns.geometry import Regions
from graphcolumns.geometry.checks import check_choice
from graphcolumns.nn.checks import check_counts


def nsd_betas(
    folder: str | os.PathLike[str],
    subject: int,
    trials: ArrayLike,
    inputs: ArrayLike,
    output: str | os.PathLike[str],
    size: int = 224,
    space: NsdSpace = "fsaverage",
    sessions: int | None = None,
    vertices: ArrayLike | None = None,
    masks: str | os.PathLike[str] | None = None,
    shares: Sequence[float] = (0.8, 0.1, 0.1),
    test_images: ArrayLike | None = None,
    held_out: HeldOut = "test",
    num_workers: int = 0,
    seed: int = 0,
) -> StreamedDataset:
    r"""Responses to images, averaged over repeats, of all vertices or some, with noise ceilings.

    Reads ``nsddata_betas/ppdata/subjNN/<space>/betas_fithrf_GLMdenoise_RR/lh.betas_session01.mgh``
    (``.hdf5`` for ``nativesurface``) and so on. Every vertex is z-scored over the trials of a
    session, and its responses to an image are averaged. That is done once: the responses are
    written to the folder ``output`` and read from there whenever they are needed. All images of
    one subject on all of fsaverage are 13 GB. Nothing is downloaded.

    The variance of a vertex over repeats of an image is noise, the rest of the variance of single
    trials is signal. With their ratio :math:`\mathrm{ncsnr}^2`, the noise ceiling of averages is
    :math:`\mathrm{ncsnr}^2 / (\mathrm{ncsnr}^2 + \overline{1/n})`, with the mean over images.
    ``output`` keeps ``ncsnr.npy`` and ``repeats.npy`` for ceilings of other images.

    Args:
        folder: Folder of the data set, which holds ``nsddata_betas``; ``~`` is the home folder.
        subject: Number of the subject, 1 to 8.
        trials: Image of every trial, ``[T]``, session after session, counted from 0; -1 leaves a
            trial out: an array, a ``.npy`` file, or ``nsd_expdesign.mat``, see ``nsd_trials``.
        inputs: Features of all images by number, ``[images, M, D]``, an array or a ``.npy`` file;
            or ``nsd_stimuli.hdf5``, whose ``imgBrick`` holds the images.
        output: Folder for the averaged responses; one with the same settings is used again.
        size: Side of the resized images, in pixels.
        space: Vertices that betas are of, ``"fsaverage"`` or ``"nativesurface"``.
        sessions: Number of sessions, the first ones (default: those that are there).
        vertices: Whether each vertex is kept, ``[V]`` bool, left hemisphere first: an array or a
            ``.npy`` file (default: all).
        masks: Folder of masks of regions, as of ``responses_folder``, of all vertices.
        shares: Shares of the images to train on, for validation and to test.
        test_images: Numbers of the images to test, such as those that all subjects saw: an array or
            a ``.npy`` file; the others are divided by the first two shares.
        held_out: Part that is scored, ``"test"`` or ``"validation"``.
        num_workers: Number of processes that read ahead, as of ``StreamedDataset``.
        seed: Seed of the parts.

    Returns:
        Inputs ``{"features": [n, M, D]}`` or ``[n, 3, size, size]``, targets ``[n, V]``.

    Raises:
        FileNotFoundError: A file or a session is missing; the error names it.
        FileExistsError: ``output`` holds something else.
        ValueError: Files that do not fit together, or vertices with NaN or without variance.
        ImportError: Nibabel or h5py is not installed.

    Source: Allen et al., A massive 7T fMRI dataset to bridge cognitive neuroscience and artificial
        intelligence, Nature Neuroscience 2022, https://doi.org/10.1038/s41593-021-00962-x.
    """
    check_choice("held_out", held_out, get_args(HeldOut))
    check_choice("space", space, get_args(NsdSpace))
    check_counts(size=size)
    files = beta_files(folder, subject, space, sessions)
    shown = _trials(trials, subject, len(files["lh"]))
    per_session = len(shown) // len(files["lh"])
    widths = [open_betas(paths[0], per_session).shape[1] for paths in files.values()]
    kept = mask_of(vertices, sum(widths))
    if kept is not None and not kept.any():
        raise ValueError("vertices must keep at least one. Got none; leave them out to keep all.")
    regions = _regions(masks, widths, kept)
    ids = np.unique(shown[shown >= 0])
    source = _inputs(inputs, ids, size)
    parts = _parts(ids, shares, test_images, seed)
    place = Path(output).expanduser()
    settings: dict[str, Any] = {"subject": subject, "space": space, "sessions": len(files["lh"])}
    settings |= {"trials": _digest(shown), "vertices": None if kept is None else _digest(kept)}
    if not _is_there(place, settings):
        average_betas(files, shown, place, settings, None if kept is None else kept.numpy())
    responses = ArrayFile(place / "responses.npy")
    width = responses.shape[1]
    ceiling = place / "noise_ceiling.npy"
    task = Regression(
        noise_ceiling=ceiling_of(ceiling if ceiling.is_file() else None, width),
        regions=regions,
    )
    return recorded(source, [responses], parts, task, held_out, num_workers, {"targets": "z-score"})


@dataclass(frozen=True)
class StimulusImages:
    """Images in the data set ``imgBrick`` of ``nsd_stimuli.hdf5``, ``[images, Y, X, 3]`` uint8.

    Args:
        path: The file.
        ids: Number of the image of every row, int64.
        size: Side of the resized images, in pixels.
    """

    path: Path
    ids: np.ndarray
    size: int

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> Sample:
        # A file that is open cannot be shared by processes, so each image opens it.
        with need_h5py(self.path).File(self.path, "r") as file:
            pixels = Image.fromarray(file["imgBrick"][int(self.ids[row])])
        small = pixels.resize((self.size, self.size), Image.Resampling.BILINEAR)
        return torch.from_numpy(np.asarray(small, np.float32) / 255).permute(2, 0, 1).contiguous()


def _trials(source: ArrayLike, subject: int, sessions: int) -> np.ndarray:
    if isinstance(source, str | os.PathLike) and Path(source).suffix == ".mat":
        # The design has all 40 sessions, of 750 trials each; not all subjects finished them.
        return nsd_trials(source, subject)[: 750 * sessions]
    trials = read_values(source)
    if trials.ndim != 1 or trials.dtype.kind not in "iu" or not (trials >= 0).any():
        raise ValueError(
            "trials must hold the number of an image for every trial, [T] whole numbers, -1 for "
            f"none. Got {trials.dtype}, {list(trials.shape)}."
        )
    if len(trials) % sessions:
        raise ValueError(
            f"trials must have as many values for each of the {sessions} sessions. Got "
            f"{len(trials):,}."
        )
    return trials.astype(np.int64)


def _inputs(source: ArrayLike, ids: np.ndarray, size: int) -> InputSource:
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    if path is None or path.suffix not in (".hdf5", ".h5"):
        return feature_rows(source, len(ids), ids.tolist())
    path = absolute_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    with need_h5py(path).File(path, "r") as file:
        shape = tuple(file["imgBrick"].shape) if "imgBrick" in file else ()
    if len(shape) != 4 or shape[3] != 3 or shape[0] <= ids.max():
        raise ValueError(
            f"{path} must hold images imgBrick [n, Y, X, 3], up to number {ids.max():,}. Got "
            f"{list(shape) or 'no imgBrick'}."
        )
    return StimulusImages(path, ids, size)


def _regions(
    masks: str | os.PathLike[str] | None, widths: list[int], kept: torch.Tensor | None
) -> Regions | None:
    if masks is None:
        return None
    folder = Path(masks).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; it must hold NAME.npy per region.")
    hemisphere = torch.tensor([0, 1]).repeat_interleave(torch.tensor(widths))
    regions = regions_in(folder, sum(widths), hemisphere)
    return regions if regions is None or kept is None else regions.subset(kept)


def _parts(
    ids: np.ndarray, shares: Sequence[float], test_images: ArrayLike | None, seed: int
) -> ThreeWay:
    if test_images is None:
        return three_way(len(ids), seed, shares)
    chosen = read_values(test_images)
    test = torch.from_numpy(np.isin(ids, chosen))
    if not test.any() or test.all():
        raise ValueError(
            "test_images must be some of the images that were shown, not all. Got "
            f"{int(test.sum()):,} of {len(ids):,}."
        )
    rest = (~test).nonzero()[:, 0]
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(rest)))
    held = max(1, round(len(rest) * shares[1] / (shares[0] + shares[1])))
    if held >= len(rest):
        raise ValueError(f"an image must be left to train on. Got {len(rest)} beside the test.")
    validation, train = rest[order[:held]].sort().values, rest[order[held:]].sort().values
    return ThreeWay(train, validation, test.nonzero()[:, 0])


def _digest(values: np.ndarray | torch.Tensor) -> str:
    return hashlib.blake2b(np.asarray(values).tobytes(), digest_size=16).hexdigest()


def _is_there(output: Path, settings: dict[str, Any]) -> bool:
    """Whether the responses were written before."""
    if not output.exists():
        return False
    written = output / SETTINGS
    if not written.is_file():
        raise FileExistsError(
            f"output must be a folder of averaged betas, or a new one. {output} has no {SETTINGS}; "
            "give another folder."
        )
    found = json.loads(written.read_text(encoding="utf8"))
    differing = [key for key in settings if found.get(key) != settings[key]]
    if differing:
        raise FileExistsError(
            f"{output} holds betas with another value of {differing[0]}. Expected "
            f"{settings[differing[0]]!r}. Got {found.get(differing[0])!r}; give another folder."
        )
    return True
