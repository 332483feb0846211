"""CelebA: faces with forty attributes, read from disk when they are needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import torch

from graphcolumns.data.celeba_lists import ATTRIBUTES, PARTITION, read_attributes, read_partition
from graphcolumns.data.choose_questions import choose_questions
from graphcolumns.data.dataset import HALVES, HeldOut
from graphcolumns.data.faces import Faces
from graphcolumns.data.questions import Encoding, PerImage, Questions
from graphcolumns.data.streamed import StreamedDataset
from graphcolumns.geometry.checks import check_choice
from graphcolumns.nn.checks import check_counts
from graphcolumns.random.streams import generator

IMAGES = "img_align_celeba"
PARTS = {"train": 0, "validation": 1, "test": 2}


def celeba(
    path: str | os.PathLike[str],
    size: int = 64,
    instructions: Sequence[str] | None = None,
    encoding: Encoding = "ids",
    training: PerImage = "one",
    held_out: HeldOut = "test",
    grey: bool = False,
    train_count: int | None = None,
    test_count: int | None = None,
    num_workers: int = 0,
    seed: int = 0,
) -> StreamedDataset:
    """Faces, and an instruction: has this face that attribute, such as ``Smiling``?

    The folder holds the files under the names that they are distributed with: the attributes in
    ``list_attr_celeba.txt``, the parts in ``list_eval_partition.txt`` (162,770 images to train on,
    19,867 for validation, 19,962 to test), and the images in ``img_align_celeba``. Images are read
    when they are needed, and resized from 178 x 218 to ``size`` x ``size`` pixels. Nothing is
    downloaded.

    Held-out images come with every instruction, 40 samples per image: take fewer of either for a
    quick look.

    Args:
        path: The folder; ``~`` is the home folder.
        size: Side of the resized images, in pixels.
        instructions: Names of the attributes to keep, whose ids are then their places in this list
            (default: all, in the order of the file).
        encoding: ``"ids"``: the input ``"instruction"`` holds ids ``[n]`` int64. ``"one_hot"``: one
            value per attribute ``[n, A]`` float32. ``"none"``: the inputs are the images alone;
            needs one attribute.
        training: ``"one"`` random attribute per training image, the same one whenever it is seen,
            or ``"every"``.
        held_out: ``"test"``, or ``"validation"``.
        grey: One channel instead of three.
        train_count: Number of training images, the first ones (default: all).
        test_count: Number of held-out images, the first ones (default: all).
        num_workers: Processes that read ahead, as of ``StreamedDataset``.
        seed: Seed of the instructions.

    Returns:
        Inputs ``{"image": [n, 3 or 1, size, size] in [0, 1], "instruction": ...}``, or images
        alone; targets ``[n]``, the classes ``no`` (0) and ``yes`` (1).

    Raises:
        FileNotFoundError: The folder, one of the two lists or the folder of images is missing.
        ValueError: A list is not what it should be, or an unknown name.

    Source: Liu, Luo, Wang & Tang, Deep learning face attributes in the wild, ICCV 2015,
    https://arxiv.org/abs/1411.7766.
    """
    check_choice("training", training, get_args(PerImage))
    check_choice("held_out", held_out, get_args(HeldOut))
    for name, count in (("train_count", train_count), ("test_count", test_count)):
        if count is not None:
            check_counts(**{name: count})
    if size < 1:
        raise ValueError(f"size must be at least 1. Got {size}.")
    folder = _checked(Path(path).expanduser())
    faces = read_attributes(folder / ATTRIBUTES)
    part = read_partition(folder / PARTITION, faces.names)
    questions = Questions((faces.attributes,), instructions, encoding)
    assert questions.kept is not None
    kept = torch.tensor([faces.attributes.index(name) for name in questions.kept])
    halves: list[Faces] = []
    for half, number, count, every in zip(
        HALVES,
        (PARTS["train"], PARTS[held_out]),
        (train_count, test_count),
        (training == "every", True),
        strict=True,
    ):
        rows = (part == number).nonzero()[:count, 0]
        allowed = torch.ones(len(rows), len(kept), dtype=torch.bool)
        image, place = choose_questions(allowed, every, generator(seed, f"{half} instructions"))
        row, ids = rows[image], kept[place]
        files = [folder / IMAGES / faces.names[i] for i in rows.tolist()]
        answers = faces.answers[row, ids].long()
        halves.append(Faces(files, image, questions.coded(ids), answers, size, grey))
    return StreamedDataset(
        halves[0],
        halves[1],
        2,
        questions.task,
        held_out,
        classes=("no", "yes"),
        num_workers=num_workers,
    )


def _checked(folder: Path) -> Path:
    """The folder, if everything is in it."""
    there = {
        **{name: (folder / name).is_file() for name in (ATTRIBUTES, PARTITION)},
        IMAGES: (folder / IMAGES).is_dir(),
    }
    if not all(there.values()):
        missing = ", ".join(name for name, found in there.items() if not found)
        raise FileNotFoundError(
            f"There is no {missing} in {folder}. celeba(path) reads the lists {ATTRIBUTES} and "
            f"{PARTITION} and the images in the folder {IMAGES}."
        )
    return folder
