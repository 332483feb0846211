"""Cortical surfaces: the average of forty brains, and surfaces from files."""

from __future__ import annotations

import os
from typing import Literal, get_args

import torch
from torch import Tensor

from geometries.fsaverage5 import MEASURES, Tables, load_tables
from geometries.hemispheres import Hemisphere, check_choice, joined, sides_of
from geometries.hull import outward_faces
from geometries.labels import with_areas
from geometries.medial_wall import wall_of
from geometries.surface_files import read_surface
from graphcolumns.geometry import Geometry, Metric

Surface = Literal["pial", "white", "inflated", "sphere", "flat"]
MedialWall = bool | Literal["flat map"]

LEVELS = (2, 3, 4, 5)
OWN_ORIGIN = ("inflated", "sphere", "flat")  # surfaces whose hemispheres lie on one another
GAP = 10.0  # mm between hemispheres that are laid side by side
TORN = 3.0  # a triangle of a flat map with an edge this many medians long spans a cut


def fsaverage(
    level: int = 3,
    hemisphere: Hemisphere = "both",
    surface: Surface = "pial",
    medial_wall: MedialWall = False,
    metric: Metric | None = None,
) -> Geometry:
    """The average cortex of FreeSurfer, from the fsaverage5 meshes inside nilearn. No download.

    fsaverage is a nested icosphere: the first ``10 * 4**level + 2`` vertices of a hemisphere are
    the mesh of that level, so a result on one level is a slice of that on the next. Per hemisphere,
    with and without the medial wall (left, right), and edges of the pial surface without it:

    =====  =======  ================  ============  =============
    level  columns  without the wall  flat          mean edge, mm
    =====  =======  ================  ============  =============
    2      162      149, 148          147, 148      19.3, 18.9
    3      642      588, 587          580, 585      11.1, 11.1
    4      2562     2341, 2346        2294, 2317    6.0, 6.0
    5      10242    9354, 9361        9201, 9247    3.1, 3.1
    =====  =======  ================  ============  =============

    The medial wall, where the hemisphere was cut from the rest of the brain, has no cortex: it is
    the complement of FreeSurfer's cortex label. ``medial_wall`` gives it as a mask.

    Args:
        level: 2 to 5.
        hemisphere: ``"left"``, ``"right"``, or ``"both"``: left first.
        surface: ``"pial"``, ``"white"``, ``"inflated"``, ``"sphere"`` (for registration, radius 100
            mm) or ``"flat"`` (positions ``[N, 2]``), which has no place for 153 and 114 vertices of
            cortex along its cuts (level 5). Hemispheres of the last three share their place; both
            are laid side by side, 10 mm apart.
        medial_wall: Keep its columns; not on a flat map, which has no place for them. ``"flat
            map"`` leaves out what earlier versions took for the wall: the vertices that no triangle
            of the flat map uses. They miss 264 and 290 vertices of the wall, and the 153 and 114 of
            cortex are among them.
        metric: Default: ``"great-circle"`` on the sphere of one hemisphere, ``"euclidean"`` on flat
            maps, ``"geodesic"`` (along edges; no path between hemispheres) on all others.

    Returns:
        Columns in mm, with faces (counter-clockwise from outside; on a flat map without those that
        span a cut) and the attributes ``vertex`` (int64, id in the mesh of its hemisphere),
        ``hemisphere`` (int64, 0 left, 1 right), ``sulcal`` (depth), ``curvature``, ``thickness``
        (mm), ``area`` (mm^2, as shipped for the vertex of level 5) and ``sphere`` (``[N, 3]``,
        place on the registration sphere of its hemisphere, radius 100 mm).

    Raises:
        ValueError: An unknown level, hemisphere, surface or wall, a flat medial wall, a metric that
            the surface has not.
        ImportError: Nilearn is not installed.

    Source: Fischl, Sereno and Dale, Cortical surface-based analysis II, NeuroImage 9 (1999). The
    data are FreeSurfer's and are read from the user's nilearn, never copied.
    """
    check_choice("level", level, LEVELS)
    check_choice("hemisphere", hemisphere, get_args(Hemisphere))
    check_choice("surface", surface, get_args(Surface))
    _check_wall(medial_wall, surface)
    sides = sides_of(hemisphere)
    chosen = metric or _default_metric(surface, len(sides))
    if chosen == "great-circle" and (surface != "sphere" or len(sides) == 2):
        raise ValueError(
            "metric 'great-circle' needs surface='sphere' and one hemisphere: two have two centres."
            f" Got surface={surface!r}, hemisphere={hemisphere!r}."
        )
    tables = load_tables()
    halves = [_half(tables, side, level, surface, medial_wall) for side in sides]
    if surface in OWN_ORIGIN and len(sides) == 2:
        halves = [
            _beside(half, _outline(tables, side, surface, medial_wall), side)
            for half, side in zip(halves, sides, strict=True)
        ]
    return joined(halves, chosen)


def medial_wall(level: int = 5, hemisphere: Hemisphere = "both") -> Tensor:
    """Which vertices of a level of fsaverage are in the medial wall. Needs no nilearn.

    Values of all 20,484 vertices of fsaverage5 become those of the columns of ``fsaverage(5)`` by
    ``values[..., ~medial_wall(5)]``. The wall has 888 vertices on the left and 881 on the right:
    those whose signal never changes in a recording of fMRI at rest on fsaverage5, which has data on
    the cortex label of FreeSurfer only.

    Args:
        level: 2 to 5.
        hemisphere: ``"left"``, ``"right"``, or ``"both"``: left first.

    Returns:
        A bool per vertex, in the order of ``fsaverage(level, hemisphere, medial_wall=True)``.

    Raises:
        ValueError: An unknown level or hemisphere.

    Example:
        >>> from geometries import cortex
        >>> wall = cortex.medial_wall(5, "left")
        >>> int(wall.sum()), int((~wall).sum())
        (888, 9354)

    Source: Vos de Wael et al., BrainSpace, Communications Biology 3 (2020),
    https://doi.org/10.1038/s42003-020-0794-7, whose package (0.3.0) has the recording.
    """
    check_choice("level", level, LEVELS)
    check_choice("hemisphere", hemisphere, get_args(Hemisphere))
    return torch.cat([wall_of(side)[: 10 * 4**level + 2] for side in sides_of(hemisphere)])


def load(
    path: str | os.PathLike[str],
    metric: Metric | None = None,
    areas: str | os.PathLike[str] | None = None,
) -> Geometry:
    """A surface from a file, in mm.

    Args:
        path: GIFTI (``.gii``, ``.gii.gz``) or a surface of FreeSurfer (``lh.pial``, ``rh.white``,
            ...; also the old format of quadrangles). ``~`` is the home folder.
        metric: ``"geodesic"`` (along edges, the default) or ``"euclidean"``.
        areas: A file with the area of each vertex, that ``labels.read_labels`` reads: ``.annot``,
            ``.label``, ``.label.gii``, ``.csv``, ``.npy`` (default: no areas).

    Returns:
        A column per vertex, with positions ``[N, 3]`` and faces. Vertices that no face uses are
        kept; on metric ``"geodesic"`` no path leads to them.

    Raises:
        FileNotFoundError: No such file.
        ValueError: A file that is cut short or holds no surface, or another metric.
        ImportError: Nibabel is not installed.
    """
    chosen = metric or "geodesic"
    check_choice("metric", chosen, ("geodesic", "euclidean"))
    positions, faces = read_surface(path)
    surface = Geometry(positions, metric=chosen, unit="mm", faces=faces)
    return surface if areas is None else with_areas(surface, areas)


def _default_metric(surface: str, num_sides: int) -> Metric:
    if surface == "flat":
        return "euclidean"
    return "great-circle" if surface == "sphere" and num_sides == 1 else "geodesic"


def _half(
    tables: Tables, side: str, level: int, surface: str, wall: MedialWall
) -> dict[str, Tensor]:
    """Positions, faces and attributes of one hemisphere."""
    keep = _kept(tables, side, surface, wall)[: 10 * 4**level + 2]
    faces, vertex = _faces(tables, side, level, surface), keep.nonzero()[:, 0]
    new_id = keep.cumsum(0) - 1
    return {
        "positions": _positions(tables, side, surface)[vertex],
        "faces": new_id[faces[keep[faces].all(1)]],
        "vertex": vertex,
        "hemisphere": torch.full_like(vertex, int(side == "right")),
        "sphere": tables.coordinates("sphere", side)[vertex],
        **{name: tables.measure(name, side)[vertex] for name in MEASURES},
    }


def _kept(tables: Tables, side: str, surface: str, wall: MedialWall) -> Tensor:
    """Which vertices of level 5 are columns, ``[10242]`` bool."""
    if wall is True:
        return torch.ones_like(wall_of(side))
    if wall == "flat map":
        return tables.on_flat_map(side)
    return ~wall_of(side) & tables.on_flat_map(side) if surface == "flat" else ~wall_of(side)


def _positions(tables: Tables, side: str, surface: str) -> Tensor:
    positions = tables.coordinates(surface, side)
    return positions[:, :2] if surface == "flat" else positions


def _faces(tables: Tables, side: str, level: int, surface: str) -> Tensor:
    """Shipped on level 5; below, the hull of the sphere, which on level 5 would give the same."""
    if level == LEVELS[-1]:
        return tables.faces("flat" if surface == "flat" else "sphere", side)
    faces = outward_faces(tables.coordinates("sphere", side)[: 10 * 4**level + 2])
    if surface != "flat":
        return faces
    faces = faces[tables.on_flat_map(side)[faces].all(1)]
    return _untorn(_positions(tables, side, surface), faces)


def _untorn(positions: Tensor, faces: Tensor) -> Tensor:
    """Faces that do not span a cut of the flat map, which draws them out."""
    corners = positions[faces]
    longest = torch.linalg.vector_norm(corners - corners.roll(1, dims=1), dim=2).amax(1)
    return faces[longest <= TORN * longest.median()]


def _outline(tables: Tables, side: str, surface: str, wall: MedialWall) -> Tensor:
    """The first coordinate of all vertices of level 5 that have a place on the surface."""
    x = tables.coordinates(surface, side)[:, 0]
    return x[_kept(tables, side, surface, wall)] if surface == "flat" else x


def _beside(half: dict[str, Tensor], x: Tensor, side: str) -> dict[str, Tensor]:
    """The hemisphere moved along x to its side of 0, by the same length on all levels."""
    shift = torch.zeros(half["positions"].shape[1])
    shift[0] = -GAP / 2 - x.max() if side == "left" else GAP / 2 - x.min()
    return half | {"positions": half["positions"] + shift}


def _check_wall(wall: object, surface: str) -> None:
    if not isinstance(wall, bool) and wall != "flat map":
        raise ValueError(
            f"medial_wall must be True, to keep it, False or 'flat map'. Got {_short(wall)}; "
            "columns of your own choice are kept by graphcolumns.geometry.part.part."
        )
    if surface == "flat" and wall is True:
        raise ValueError(
            "a flat map has no medial wall. Got surface='flat' with medial_wall=True; leave "
            "medial_wall out, or choose another surface."
        )


def _short(value: object) -> str:
    return f"a tensor {list(value.shape)}" if torch.is_tensor(value) else repr(value)
