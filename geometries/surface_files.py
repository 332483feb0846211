"""Files that hold a triangulated surface: GIFTI, and FreeSurfer's own format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

FREESURFER_TRIANGLES = b"\xff\xff\xfe"


def read_surface(path: Path) -> tuple[Tensor, Tensor]:
    """Vertices and triangles of a surface file.

    Args:
        path: `.gii` or `.gii.gz` is read as GIFTI, any other name as FreeSurfer.

    Returns:
        `(positions, faces)`: `[N, 3]` float32 and `[F, 3]` int64.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is cut short, or holds no surface.
        ImportError: nibabel is not installed.
    """
    try:
        import nibabel  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "surface files are read by nibabel, which is not installed: "
            "pip install 'graphcolumns[brain]'."
        ) from error
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no file {path}. It must be a surface: GIFTI (.gii, .gii.gz) or FreeSurfer "
            "(lh.pial, rh.white, ...)."
        )
    gifti = path.name.endswith((".gii", ".gii.gz"))
    vertices, triangles = _gifti(path) if gifti else _freesurfer(path)
    positions = torch.from_numpy(np.array(vertices, dtype=np.float32))
    faces = torch.from_numpy(np.array(triangles, dtype=np.int64))
    _check_surface(path, positions, faces)
    return positions, faces


def _gifti(path: Path) -> tuple[Any, Any]:
    from nibabel.gifti.gifti import GiftiImage
    from nibabel.nifti1 import intent_codes

    try:
        arrays = GiftiImage.from_filename(path).darrays
    # The XML parser, zlib and numpy each have their own error for a file that is cut short.
    except Exception as error:
        raise _damaged(path, "GIFTI", error) from error
    found = []
    for intent in ("NIFTI_INTENT_POINTSET", "NIFTI_INTENT_TRIANGLE"):
        code = intent_codes[intent]
        found.append([array.data for array in arrays if array.intent == code])
    if [len(group) for group in found] != [1, 1]:
        raise ValueError(
            f"{path} must hold one surface: one set of points and one of triangles. Got "
            f"{len(found[0])} and {len(found[1])}; a file of values per vertex (.func.gii, "
            ".shape.gii, .label.gii) has none, give its .surf.gii."
        )
    return found[0][0], found[1][0]


def _freesurfer(path: Path) -> tuple[Any, Any]:
    from nibabel.freesurfer.io import read_geometry

    with path.open("rb") as file:
        magic = file.read(3)
    if magic != FREESURFER_TRIANGLES:
        raise ValueError(
            f"{path} is not a surface of triangles as FreeSurfer writes them (lh.pial, rh.white, "
            f"...): it starts with {magic!r}, not {FREESURFER_TRIANGLES!r}. A GIFTI surface must "
            "be named .gii or .gii.gz."
        )
    try:
        vertices, triangles = read_geometry(path)
    # Whatever numpy happens to meet in a file that is cut short.
    except Exception as error:
        raise _damaged(path, "FreeSurfer", error) from error
    return vertices, triangles


def _check_surface(path: Path, positions: Tensor, faces: Tensor) -> None:
    if positions.ndim != 2 or positions.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError(
            f"{path} must hold vertices (N, 3) and triangles (F, 3). Got {tuple(positions.shape)} "
            f"and {tuple(faces.shape)}."
        )
    if not len(faces) or not 0 <= int(faces.min()) <= int(faces.max()) < len(positions):
        raise ValueError(
            f"{path} is damaged: its {len(faces)} triangles must name some of its "
            f"{len(positions)} vertices. Restore it from a copy."
        )


def _damaged(path: Path, kind: str, error: Exception) -> ValueError:
    return ValueError(
        f"{path} is damaged, cut short, or no {kind} file ({type(error).__name__}: {error}). "
        "Restore it from a copy."
    )
