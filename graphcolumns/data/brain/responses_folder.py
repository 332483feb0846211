"""Features or images, responses and masks in one folder of ``.npy`` files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal, get_args

import torch

from graphcolumns.data.brain.array_file import ArrayFile, absolute_path, read_values
from graphcolumns.data.brain.inputs import ImageInputs, InputSource, feature_rows
from graphcolumns.data.brain.numbered_images import numbered_images
from graphcolumns.data.brain.parts import recorded
from graphcolumns.data.brain.splits import ThreeWay, three_way
from graphcolumns.data.brain.vertex_checks import check_finite_vertices
from graphcolumns.data.brain.vertex_values import ceiling_of, hemisphere_of, mask_of, regions_in
from graphcolumns.data.dataset import HeldOut
from graphcolumns.data.image_files import find_images
from graphcolumns.data.regression import Regression
from graphcolumns.data.streamed import StreamedDataset
from graphcolumns.geometry.checks import check_choice
from graphcolumns.nn.checks import check_counts

Kind = Literal["features", "images"]
FIRST_NUMBER = r"\D*(\d+).*"


def responses_folder(
    folder: str | os.PathLike[str],
    inputs: Kind | None = None,
    size: int = 224,
    missing: bool = False,
    validation: float = 0.1,
    test: float = 0.1,
    held_out: HeldOut = "test",
    num_workers: int = 0,
    seed: int = 0,
) -> StreamedDataset:
    """Responses to images, whatever recorded them: features and responses stay on disk.

    ====================== ============================== =======================================
    file                   shape                          meaning
    ====================== ============================== =======================================
    ``responses.npy``      ``[n, V]`` floating            responses of all vertices to an image
    ``features.npy``       ``[n, M, D]``                  tokens of an image; or images:
    ``images/``            n files                        in the order of their first number,
                                                          or of their names if none has a number
    ``masks/NAME.npy``     ``[V]`` bool                   optional: a region; in a sub-folder, of
                                                          the family of that name
    ``mask.npy``           ``[V]`` bool                   optional: which vertices count
    ``noise_ceiling.npy``  ``[V]`` in [0, 1]              optional: explainable share of variance
    ``hemisphere.npy``     ``[V]`` integers               optional: 0 left, 1 right
    ``split.npy``          ``[n]`` integers               optional: 0 train, 1 validation, 2 test
    ====================== ============================== =======================================

    Pickled arrays are refused, because to load them runs code.

    Args:
        folder: The folder; ``~`` is the home folder.
        inputs: ``"features"`` or ``"images"`` (default: those that the folder holds).
        size: Side of the resized images, in pixels.
        missing: Whether NaN is a response that was not measured; without it NaN is refused.
        validation: Share of the images for validation, without ``split.npy``.
        test: Share of the images to test, without ``split.npy``.
        held_out: Part that is scored, ``"test"`` or ``"validation"``; training is on the same
            images for both.
        num_workers: Number of processes that read ahead, as of ``StreamedDataset``.
        seed: Seed of the parts, without ``split.npy``.

    Returns:
        Inputs ``{"features": [n, M, D]}`` or ``[n, 3, size, size]``, targets ``[n, V]``.

    Raises:
        FileNotFoundError: A file is missing; the error names it.
        ValueError: Files that do not fit together, or values that are not finite.
    """
    check_choice("held_out", held_out, get_args(HeldOut))
    check_counts(size=size)
    folder = absolute_path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"there is no folder {folder}; it must hold responses.npy, and features.npy or images/."
        )
    responses = _responses(folder / "responses.npy")
    count, width = responses.shape
    _check_not_transposed(responses, folder / "features.npy")
    source = _inputs(folder, inputs, size, count)
    hemisphere = hemisphere_of(folder / "hemisphere.npy", width)
    task = Regression(
        mask=mask_of(_if_there(folder / "mask.npy"), width),
        noise_ceiling=ceiling_of(_if_there(folder / "noise_ceiling.npy"), width),
        missing=missing,
        regions=regions_in(folder / "masks", width, hemisphere),
    )
    if not missing:
        remedy = "leave these vertices out with mask.npy, or set missing=True"
        mask = None if task.mask is None else task.mask.numpy()
        check_finite_vertices(str(responses.path), responses, mask, remedy)
    split = _if_there(folder / "split.npy")
    shares = 1 - validation - test, validation, test
    parts = three_way(count, seed, shares) if split is None else _parts(split, count)
    return recorded(source, [responses], parts, task, held_out, num_workers)


def _if_there(path: Path) -> Path | None:
    return path if path.is_file() else None


def _responses(path: Path) -> ArrayFile:
    responses = ArrayFile(path)
    if len(responses.shape) != 2 or 0 in responses.shape or responses.dtype.kind != "f":
        raise ValueError(
            f"{path} must hold floating responses [n, V]. Got {responses.dtype}, "
            f"{list(responses.shape)}."
        )
    return responses


def _check_not_transposed(responses: ArrayFile, features: Path) -> None:
    if not features.is_file():
        return
    images, (count, width) = ArrayFile(features).shape[0], responses.shape
    if images == width and images != count:
        raise ValueError(
            f"{responses.path} must be [n, V], images first. Got [{count}, {width}], and "
            f"{images:,} rows of features; transpose the responses."
        )


def _inputs(folder: Path, kind: Kind | None, size: int, count: int) -> InputSource:
    features, images = folder / "features.npy", folder / "images"
    if kind is None:
        there = [features.is_file(), images.is_dir()]
        if not any(there):
            raise FileNotFoundError(f"there is neither {features} nor a folder {images}.")
        if all(there):
            raise ValueError(
                f"inputs must be one of {', '.join(map(repr, get_args(Kind)))} where {folder} "
                "holds both. Got None."
            )
        kind = "features" if there[0] else "images"
    check_choice("inputs", kind, get_args(Kind))
    if kind == "features":
        return feature_rows(features, count)
    files = _images(images)
    if len(files) != count:
        raise ValueError(
            f"responses must have a row per image, {len(files):,}. Got {count:,} rows in "
            f"{folder / 'responses.npy'}."
        )
    return ImageInputs(files, size)


def _images(folder: Path) -> list[Path]:
    files = find_images(folder).images if folder.is_dir() else []
    if files and not any(re.search(r"\d", file.stem) for file in files):
        return files
    return numbered_images(folder, FIRST_NUMBER, "0001.png")


def _parts(path: Path, count: int) -> ThreeWay:
    values = read_values(path)
    if values.shape != (count,):
        raise ValueError(
            f"{path} must hold the part of each of the {count:,} images, [{count}]. Got "
            f"{list(values.shape)}."
        )
    known = {0, 1, 2} >= set(values.tolist())
    if not known or 0 not in values:
        raise ValueError(
            f"{path} must hold 0 (train), 1 (validation) and 2 (test), and 0 at least once. Got "
            f"{', '.join(map(str, sorted(set(values.tolist()))[:5]))}."
        )
    train, validation, test = (torch.from_numpy((values == k).nonzero()[0]) for k in range(3))
    return ThreeWay(train, validation, test)
