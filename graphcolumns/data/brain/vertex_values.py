"""Values per vertex that go with responses: masks, noise ceilings, hemispheres, regions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from graphcolumns.data.brain.array_file import ArrayLike, name_of, open_array, read_values
from graphcolumns.data.brain.vertex_checks import check_vertices, listed, read_mask
from graphcolumns.geometry import Regions


def mask_of(source: ArrayLike | None, num_vertices: int) -> Tensor | None:
    """Whether each vertex counts, ``[V]`` bool, from an array or a file; None for None.

    Args:
        source: Array or ``.npy`` file of bool, or of 0 and 1.
        num_vertices: Number of vertices.
    """
    if source is None:
        return None
    array = open_array(source)
    return torch.from_numpy(read_mask(name_of(array, "mask"), np.array(array[:]), num_vertices))


def ceiling_of(source: ArrayLike | None, num_vertices: int) -> Tensor | None:
    """The noise ceiling of every vertex, ``[V]`` float32, from an array or a file; None for None.

    Args:
        source: Array or ``.npy`` file of shares of variance, in [0, 1].
        num_vertices: Number of vertices.
    """
    if source is None:
        return None
    array = open_array(source)
    name = name_of(array, "noise_ceiling")
    check_vertices(name, tuple(array.shape), num_vertices)
    values = np.array(array[:], dtype=np.float32)
    bad = np.isnan(values)
    if bad.any():
        raise ValueError(
            f"{name} must be finite. Got NaN in {bad.sum():,} of {len(bad):,} vertices: "
            f"{listed(np.flatnonzero(bad))}; set them to 0."
        )
    return torch.from_numpy(values)


def hemisphere_of(path: Path, num_vertices: int) -> Tensor | None:
    """The hemisphere of every vertex, ``[V]`` int64, 0 left and 1 right; None without a file."""
    if not path.is_file():
        return None
    values = read_values(path)
    check_vertices(str(path), values.shape, num_vertices)
    if not np.isin(values, (0, 1)).all():
        wrong = values[~np.isin(values, (0, 1))][0]
        raise ValueError(f"{path} must hold 0 (left) or 1 (right). Got {wrong}.")
    return torch.from_numpy(values.astype(np.int64))


def regions_in(folder: Path, num_vertices: int, hemisphere: Tensor | None = None) -> Regions | None:
    """A region per file ``<name>.npy`` of masks, ``[V]`` bool; None without a folder.

    A sub-folder is the family of the regions in it.

    Args:
        folder: Folder of masks.
        num_vertices: Number of vertices.
        hemisphere: Hemisphere of each vertex, ``[V]`` int64.

    Raises:
        FileNotFoundError: The folder holds no mask.
        ValueError: A mask of other vertices, or without any.
    """
    if not folder.is_dir():
        return None
    files = sorted(folder.rglob("*.npy"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no mask; it must hold NAME.npy [V] per region.")
    masks = {
        file.stem: torch.from_numpy(read_mask(str(file), read_values(file), num_vertices))
        for file in files
    }
    if len(masks) < len(files):
        raise ValueError(f"regions in {folder} must have different names, in sub-folders too.")
    families = ["" if file.parent == folder else file.parent.name for file in files]
    return Regions.from_masks(masks, families, hemisphere)
