"""Predictions in the files that the Algonauts challenge 2023 takes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch

from graphcolumns.data.brain.algonauts_tree import SIDES, AlgonautsTree, subject_name
from graphcolumns.data.brain.vertex_checks import check_finite_vertices


def write_submission(
    folder: str | os.PathLike[str],
    subject: int,
    lh: np.ndarray | torch.Tensor,
    rh: np.ndarray | torch.Tensor,
    challenge: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> tuple[Path, Path]:
    """Writes ``subjNN/lh_pred_test.npy`` and ``rh_pred_test.npy``, float32.

    Both files are whole or absent: they are written under another name first.

    Args:
        folder: Folder of the submission, which is made if it is missing; ``~`` is the home folder.
        subject: Number of the subject, 1 to 8.
        lh: Predictions for the left hemisphere, ``[n, V]``, in the order of the test images.
        rh: Predictions for the right hemisphere, ``[n, V]``.
        challenge: Folder of the challenge, whose numbers of test images and of vertices are then
            required.
        overwrite: Whether files that exist are replaced.

    Returns:
        Paths of both files.

    Raises:
        ValueError: Another shape, or values that are not finite.
        FileExistsError: A file is there, and ``overwrite`` is False.
        FileNotFoundError: A file of the challenge is missing.
    """
    place = Path(folder).expanduser() / subject_name(subject)
    values = [_predictions(name, part) for name, part in zip(SIDES, (lh, rh), strict=True)]
    _check_shapes(values, challenge, subject)
    paths = [place / f"{side}_pred_test.npy" for side in SIDES]
    there = [path for path in paths if path.exists()]
    if there and not overwrite:
        raise FileExistsError(
            f"a submission must not replace another one. {there[0]} exists; pass overwrite=True "
            "or another folder."
        )
    place.mkdir(parents=True, exist_ok=True)
    new = [path.with_name(path.name + ".tmp") for path in paths]
    for path, array in zip(new, values, strict=True):
        with path.open("wb") as file:
            np.save(file, array)
    for path, final in zip(new, paths, strict=True):
        path.replace(final)
    return paths[0], paths[1]


def _predictions(name: str, values: np.ndarray | torch.Tensor) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().float().numpy()
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype.kind != "f" or 0 in array.shape:
        raise ValueError(
            f"{name} must hold floating predictions [n, V], images and vertices. Got "
            f"{array.dtype}, {list(array.shape)}."
        )
    array = array.astype(np.float32)
    check_finite_vertices(f"{name} predictions", array, remedy="the challenge takes no such values")
    return array


def _check_shapes(
    values: list[np.ndarray], challenge: str | os.PathLike[str] | None, subject: int
) -> None:
    if len(values[0]) != len(values[1]):
        raise ValueError(
            "lh and rh must be predictions for the same images. Got "
            f"{len(values[0]):,} and {len(values[1]):,}."
        )
    if challenge is None:
        return
    tree = AlgonautsTree.of(challenge, subject)
    images, responses = len(tree.images("test")), tree.responses()
    for name, array, known in zip(SIDES, values, responses, strict=True):
        expected = (images, known.shape[1])
        if array.shape != expected:
            raise ValueError(
                f"{name} must be [{expected[0]:,}, {expected[1]:,}], the test images and vertices "
                f"of {tree.root}. Got {list(array.shape)}."
            )
