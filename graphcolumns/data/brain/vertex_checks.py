"""What values per vertex have to be: of the same mesh, and finite."""

from __future__ import annotations

import numpy as np

from graphcolumns.data.brain.array_file import ArrayFile, row_chunks

NAMED = 5  # vertices that a message names
# Vertices of one hemisphere.
MESHES = {
    163842: "fsaverage",
    40962: "fsaverage6",
    10242: "fsaverage5",
    2562: "fsaverage4",
    642: "fsaverage3",
    162: "fsaverage2",
    32492: "fs_LR 32k",
    7842: "fs_LR 8k",
    59292: "fs_LR 59k",
    163852: "fs_LR 164k",
}


def mesh_named(count: int) -> str | None:
    """The mesh that has this number of vertices, in one hemisphere or in both; None if none has.

    Example:
        >>> mesh_named(10242), mesh_named(327684), mesh_named(7)
        ('fsaverage5, one hemisphere', 'fsaverage, both hemispheres', None)
    """
    if count in MESHES:
        return f"{MESHES[count]}, one hemisphere"
    half, odd = divmod(count, 2)
    return f"{MESHES[half]}, both hemispheres" if half in MESHES and not odd else None


def check_vertices(name: str, shape: tuple[int, ...], num_vertices: int) -> None:
    """Raise unless there is one value per vertex, ``[V]``; the error names the meshes.

    Args:
        name: Name or path of the values.
        shape: Shape of the values.
        num_vertices: Number of vertices, ``V``.
    """
    if shape == (num_vertices,):
        return
    if len(shape) != 1:
        raise ValueError(
            f"{name} must hold one value per vertex, [{num_vertices:,}]. Got {list(shape)}."
        )
    raise ValueError(
        f"{name} must hold one value per vertex, {_counted(num_vertices)}. Got "
        f"{_counted(shape[0])}; give the values of the same mesh."
    )


def _counted(count: int) -> str:
    mesh = mesh_named(count)
    return f"{count:,}" + (f" (the number of {mesh})" if mesh else "")


def check_finite_vertices(
    name: str,
    values: ArrayFile | np.ndarray,
    mask: np.ndarray | None = None,
    remedy: str = "leave these vertices out with mask=...",
) -> None:
    """Raise unless all values of the vertices that count are finite. Reads all of them once.

    Args:
        name: Name or path of the values.
        values: Values, ``[n, V]``.
        mask: Whether each vertex counts, ``[V]`` bool (default: all do).
        remedy: Last words of the message.
    """
    bad = np.zeros(values.shape[1], dtype=bool)
    for chunk in row_chunks(values, f"check {name.rsplit('/', 1)[-1]}"):
        bad |= ~np.isfinite(chunk).all(0)
    if mask is not None:
        bad &= mask
    if bad.any():
        raise ValueError(
            f"{name} must be finite. Got NaN or infinity in {bad.sum():,} of {len(bad):,} "
            f"vertices: {listed(np.flatnonzero(bad))}; {remedy}."
        )


def listed(ids: np.ndarray) -> str:
    """The first ids, for a message."""
    more = ", ..." if len(ids) > NAMED else ""
    return ", ".join(map(str, ids[:NAMED].tolist())) + more


def read_mask(name: str, values: np.ndarray, num_vertices: int) -> np.ndarray:
    """A mask of vertices, ``[V]`` bool, from bool or from whole numbers 0 and 1."""
    check_vertices(name, values.shape, num_vertices)
    if values.dtype != bool and not np.isin(values, (0, 1)).all():
        wrong = values[~np.isin(values, (0, 1))][0]
        raise ValueError(f"{name} must hold bool, or 0 and 1. Got {wrong}.")
    return values.astype(bool)
