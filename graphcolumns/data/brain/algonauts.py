"""The Algonauts challenge 2023: responses of the visual cortex to natural scenes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch

from graphcolumns.data.brain.algonauts_tree import SIDES, AlgonautsTree, Part
from graphcolumns.data.brain.array_file import ArrayFile, ArrayLike
from graphcolumns.data.brain.inputs import (
    ImageInputs,
    InputSource,
    Sample,
    feature_files,
    feature_rows,
    is_folder,
)
from graphcolumns.data.brain.parts import recorded
from graphcolumns.data.brain.splits import three_way
from graphcolumns.data.brain.vertex_checks import check_finite_vertices
from graphcolumns.data.brain.vertex_values import ceiling_of, mask_of
from graphcolumns.data.dataset import HeldOut
from graphcolumns.data.regression import Regression
from graphcolumns.data.samples import collate
from graphcolumns.data.streamed import StreamedDataset
from graphcolumns.geometry.checks import check_choice
from graphcolumns.nn.batches import Inputs
from graphcolumns.nn.checks import check_counts

FeaturesBy: TypeAlias = Literal["part", "nsd"]


def algonauts2023(
    folder: str | os.PathLike[str],
    subject: int,
    size: int = 224,
    features: ArrayLike | None = None,
    features_by: FeaturesBy = "part",
    families: Sequence[str] | None = None,
    noise_ceiling: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    held_out: HeldOut = "test",
    trusted: bool = False,
    num_workers: int = 0,
    seed: int = 0,
) -> StreamedDataset:
    """Responses to natural scenes, vertex by vertex; images and responses are read when needed.

    The folder holds the files under the names that they are distributed with: below ``subj01`` to
    ``subj08`` the folders ``training_split``, ``test_split`` and ``roi_masks``. Nothing is
    downloaded. Responses are z-scored per session and averaged over repeats by the challenge.

    The responses to the official test images are not public. The training images are cut at random
    into a part to train on, one for validation and one to test, by ``seed`` alone. Whichever part
    is scored, training is on the same images: models can be chosen with ``held_out="validation"``
    and scored once with ``"test"``. Inputs for predictions on the official test images come from
    ``algonauts2023_test``.

    Args:
        folder: Folder of the challenge; ``~`` is the home folder.
        subject: Number of the subject, 1 to 8.
        size: Side of the resized images, in pixels; images are 425 x 425.
        features: Features in place of images: an array ``[n, M, D]``, such an array in a ``.npy``
            file that stays on disk, or a folder with an array ``[M, D]`` per image under its name,
            ``train-0001_nsd-00013.npy``.
        features_by: Number of an image that says its row in ``features``: ``"part"``, that among
            the training images from 1, which is in row 0; or ``"nsd"``, that in the data set of
            73,000 images, from 0.
        families: Families of regions, of ``prf-visualrois``, ``floc-bodies``, ``floc-faces``,
            ``floc-places``, ``floc-words``, ``streams`` (default: all).
        noise_ceiling: Share of the variance of every vertex that images can explain, ``[V]`` in
            [0, 1], left hemisphere first: an array or a ``.npy`` file.
        mask: Whether each vertex counts, ``[V]`` bool: an array or a ``.npy`` file.
        validation: Share of the training images for validation.
        test: Share of the training images to test.
        held_out: Part that is scored, ``"test"`` or ``"validation"``.
        trusted: Whether the pickled files ``mapping_*.npy``, which can run code, are read; their
            names must then be those of ``ROI_NAMES``, which are used without them.
        num_workers: Number of processes that read ahead, as of ``StreamedDataset``.
        seed: Seed of the three parts.

    Returns:
        Inputs ``[n, 3, size, size]`` in [0, 1], or ``{"features": [n, M, D]}``; targets ``[n, V]``
        of both hemispheres, left first. The task has the regions, named ``"lh.V1v"``.

    Raises:
        FileNotFoundError: A file or a folder is missing; the error names it.
        ValueError: Files that do not fit together, or values that are not finite.

    Source: Gifford et al., The Algonauts Project 2023 challenge: how the human brain makes sense of
    natural scenes, 2023, https://arxiv.org/abs/2301.03198.
    """
    check_choice("held_out", held_out, get_args(HeldOut))
    tree = AlgonautsTree.of(folder, subject)
    images, sides = tree.images("train"), tree.responses()
    if len(images) != len(sides[0]):
        raise ValueError(
            f"responses must have a row per training image, {len(images):,}. Got {len(sides[0]):,} "
            f"rows in {sides[0].path}."
        )
    counts = sides[0].shape[1], sides[1].shape[1]
    task = Regression(
        mask=mask_of(mask, sum(counts)),
        noise_ceiling=ceiling_of(noise_ceiling, sum(counts)),
        regions=tree.regions(counts, families, trusted=trusted),
    )
    _check_finite(sides, task.mask)
    inputs = _inputs(images, "train", size, features, features_by)
    parts = three_way(len(images), seed, (1 - validation - test, validation, test))
    return recorded(inputs, sides, parts, task, held_out, num_workers, {"targets": "z-score"})


@dataclass(frozen=True)
class ChallengeInputs:
    """Inputs without responses, in the order of the rows of responses or of a submission.

    Args:
        files: The images.
        source: Input of each of them.
    """

    files: Sequence[Path]
    source: InputSource

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        return self.source[index]

    def batches(self, batch_size: int = 32) -> Iterator[Inputs]:
        """Batches of inputs in order, as a model takes them."""
        check_counts(batch_size=batch_size)
        nothing = torch.zeros(1)
        for rows in torch.arange(len(self)).split(batch_size):
            yield collate([(self[row], nothing) for row in rows.tolist()]).inputs


def algonauts2023_test(
    folder: str | os.PathLike[str],
    subject: int,
    size: int = 224,
    features: ArrayLike | None = None,
    features_by: FeaturesBy = "part",
) -> ChallengeInputs:
    """Inputs of the official test images, to be predicted for ``write_submission``.

    Args:
        folder: Folder of the challenge; ``~`` is the home folder.
        subject: Number of the subject, 1 to 8.
        size: Side of the resized images, in pixels.
        features: Features in place of images, as of ``algonauts2023``: of the test images, or of
            all 73,000 with ``features_by="nsd"``.
        features_by: Number of an image that says its row in ``features``, ``"part"`` or ``"nsd"``.

    Raises:
        FileNotFoundError: A file or a folder is missing; the error names it.
        ValueError: Features that do not fit the images.
    """
    images = AlgonautsTree.of(folder, subject).images("test")
    return ChallengeInputs(images, _inputs(images, "test", size, features, features_by))


def algonauts2023_images(
    folder: str | os.PathLike[str], subject: int, part: Part = "train", size: int = 224
) -> ChallengeInputs:
    """Images of a subject in the order of rows, to compute features of them.

    Args:
        folder: Folder of the challenge; ``~`` is the home folder.
        subject: Number of the subject, 1 to 8.
        part: ``"train"``, all images that have responses, or ``"test"``, the official test images.
        size: Side of the resized images, in pixels.

    Returns:
        Images ``[3, size, size]`` in [0, 1] by row, read when they are needed.

    Raises:
        FileNotFoundError: A file or a folder is missing; the error names it.
        ValueError: Images whose numbers have gaps.
    """
    check_choice("part", part, get_args(Part))
    check_counts(size=size)
    images = AlgonautsTree.of(folder, subject).images(part)
    return ChallengeInputs(images, ImageInputs(images, size))


def challenge_vertices(folder: str | os.PathLike[str], subject: int) -> tuple[np.ndarray, ...]:
    """Ids in fsaverage of the vertices that have responses, left and right, ``[V]`` int64 each.

    Args:
        folder: Folder of the challenge; ``~`` is the home folder.
        subject: Number of the subject, 1 to 8.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A mask of another mesh.
    """
    tree = AlgonautsTree.of(folder, subject)
    return tuple(tree.vertices(side) for side in SIDES)


def _inputs(
    images: Sequence[Path], part: Part, size: int, features: ArrayLike | None, by: FeaturesBy
) -> InputSource:
    check_choice("features_by", by, get_args(FeaturesBy))
    check_counts(size=size)
    if features is None:
        return ImageInputs(images, size)
    if is_folder(features):
        assert isinstance(features, str | os.PathLike)
        return feature_files(features, [image.stem for image in images])
    rows = [_nsd(image) for image in images] if by == "nsd" else None
    return feature_rows(features, len(images), rows, f"{part} images")


def _nsd(image: Path) -> int:
    found = re.search(r"nsd-(\d+)$", image.stem)
    assert found is not None  # names are checked when the folder is read
    return int(found[1])


def _check_finite(sides: Sequence[ArrayFile], mask: torch.Tensor | None) -> None:
    masks = [None, None] if mask is None else np.split(mask.numpy(), [sides[0].shape[1]])
    for array, part in zip(sides, masks, strict=True):
        check_finite_vertices(str(array.path), array, part)
