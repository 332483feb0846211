"""Files that hold a triangulated surface: GIFTI, and FreeSurfer's own format."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

TRIANGLES = b"\xff\xff\xfe"
# Of the nineties: quadrangles, with places in hundredths of a millimetre or in floats.
QUADRANGLES = (b"\xff\xff\xff", b"\xff\xff\xfd")


def read_surface(path: str | os.PathLike[str]) -> tuple[Tensor, Tensor]:
    """Vertices and triangles of a surface file.

    Args:
        path: ``.gii`` or ``.gii.gz`` is read as GIFTI, any other name as FreeSurfer: triangles, or
            the older quadrangles, each cut in two triangles as FreeSurfer cuts them. ``~`` is the
            home folder.

    Returns:
        ``(positions, faces)``: ``[N, 3]`` float32 and ``[F, 3]`` int64.

    Raises:
        FileNotFoundError: No such file.
        ValueError: The file is cut short, or holds no surface.
        ImportError: Nibabel is not installed.
    """
    need_nibabel("surface files are")
    path = Path(path).expanduser()
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


def need_nibabel(what: str) -> None:
    """Raise an ImportError that says how to install nibabel, unless it is there."""
    try:
        import nibabel  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{what} read by nibabel, which is not installed: pip install 'graphcolumns[brain]'."
        ) from error


def _gifti(path: Path) -> tuple[Any, Any]:
    from nibabel.gifti.gifti import GiftiImage

    try:
        arrays = GiftiImage.from_filename(path).darrays
    # The XML parser, zlib and numpy each have their own error for a file that is cut short.
    except Exception as error:
        raise damaged(path, "GIFTI", error) from error
    what = "one surface: one set of points and one of triangles"
    points = single(path, arrays, "NIFTI_INTENT_POINTSET", what)
    return points, single(path, arrays, "NIFTI_INTENT_TRIANGLE", what)


def single(path: Path, arrays: Sequence[Any], intent: str, what: str) -> Any:
    """The one array of a GIFTI file with an intent."""
    from nibabel.nifti1 import intent_codes

    found = [array.data for array in arrays if array.intent == intent_codes[intent]]
    if len(found) != 1:
        kinds = [str(intent_codes.niistring[array.intent]) for array in arrays]
        raise ValueError(
            f"{path} must hold {what}. Got {', '.join(kinds) or 'nothing'}; a surface is in a "
            ".surf.gii, labels are in a .label.gii, other values in a .func.gii or .shape.gii."
        )
    return found[0]


def _freesurfer(path: Path) -> tuple[Any, Any]:
    from nibabel.freesurfer.io import read_geometry

    with path.open("rb") as file:
        magic = file.read(3)
    if magic not in (TRIANGLES, *QUADRANGLES):
        raise ValueError(
            f"{path} is not a surface as FreeSurfer writes them (lh.pial, rh.white, ...): it "
            f"starts with {magic!r}, not {TRIANGLES!r} (triangles) or, in old files, "
            f"{' or '.join(map(repr, QUADRANGLES))}. A GIFTI surface must be named .gii or .gii.gz."
        )
    try:
        vertices, triangles = read_geometry(path)
    # Whatever numpy happens to meet in a file that is cut short.
    except Exception as error:
        raise damaged(path, "FreeSurfer", error) from error
    return vertices, triangles


def _check_surface(path: Path, positions: Tensor, faces: Tensor) -> None:
    if positions.ndim != 2 or positions.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError(
            f"{path} must hold vertices (N, 3) and triangles (F, 3). Got {tuple(positions.shape)} "
            f"and {tuple(faces.shape)}."
        )
    if not bool(torch.isfinite(positions).all()):
        bad = int((~torch.isfinite(positions)).any(1).nonzero()[0])
        raise ValueError(
            f"{path} is damaged: vertex {bad} is at {positions[bad].tolist()}, and places must be "
            "finite. Restore it from a copy."
        )
    if not len(faces) or not 0 <= int(faces.min()) <= int(faces.max()) < len(positions):
        raise ValueError(
            f"{path} is damaged: its {len(faces)} triangles must name some of its "
            f"{len(positions)} vertices. Restore it from a copy."
        )


def damaged(path: Path, kind: str, error: Exception) -> ValueError:
    """The error for a file that no reader understands."""
    return ValueError(
        f"{path} is damaged, cut short, or no {kind} file ({type(error).__name__}: {error}). "
        "Restore it from a copy."
    )
