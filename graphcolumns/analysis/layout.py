"""How a geometry is laid out on paper: one panel per sheet, or per side of a surface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull

from graphcolumns.geometry import Geometry

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
Axes3 = Sequence[tuple[float, float, float]]

FLAT = 1e-6  # a direction whose extent is below this share of the longest has none
PARTS = 4  # separate surfaces that are shown; more are only in the table


@dataclass(frozen=True, eq=False)
class Panel:
    """Some columns on a page.

    Args:
        title: What is seen, or "".
        members: Ids of the columns ``[n]``.
        places: Across and up on the page ``[n, 2]``, in the unit of the geometry.
        grid: Rows and columns when the members fill a grid in row-major order, the first row on
            top; they are then drawn as an image.
        triangles: Places in ``members`` ``[F, 3]``, those behind first; drawn as a shaded surface.
        shade: Brightness of each triangle in (0, 1], ``[F]``.
        depth: How far each column is towards the reader, 0 in the middle, ``[n]``; edges whose
            middle lies behind 0 are those of the other side. None: all edges are shown.
        outlines: Corners ``[k, 2]`` of areas that are shown behind the columns, by name.
    """

    title: str
    members: Ids
    places: Floats
    grid: tuple[int, int] | None = None
    triangles: Ids | None = None
    shade: Floats | None = None
    depth: Floats | None = None
    outlines: Mapping[str, Floats] = field(default_factory=dict)

    def shows(self, column: int) -> bool:
        """Whether a column can be seen: a face of it is not covered by another."""
        local = np.flatnonzero(self.members == column)
        if not len(local) or self.triangles is None:
            return bool(len(local))
        corners = self.places[self.triangles]
        own = np.flatnonzero((self.triangles == local[0]).any(1))
        # The last face that is drawn over the middle of its own face is the one that is seen.
        tops = [_covering(corners, corners[face].mean(0))[-1] for face in own]
        return bool(np.isin(tops, own).any())


def panels(geometry: Geometry) -> list[Panel]:
    """The panels that show a geometry.

    Columns in a plane: one panel, an image if they fill a grid (rows run down, as in images).
    Stacked sheets: one panel per sheet. A surface: two sides of each separate part; a sphere
    without faces gets those of its convex hull. Any other columns in space: two sides.
    """
    positions = _numpy(geometry)
    faces = _faces(geometry, positions)
    if faces is not None:
        return _surfaces(positions, faces, geometry)
    plane = _plane(positions)
    if plane is not None:
        return [_flat("", np.arange(len(positions)), positions[:, plane])]
    sheets = level_sheets(geometry)
    if sheets is not None:
        return [
            _flat(f"sheet {area}", members, positions[members, 1:])
            for area, members in enumerate(sheets)
        ]
    ids = np.arange(len(positions))
    sides = {"from the front": (1, 2), "from the side": (0, 2)}
    return [Panel(name, ids, positions[:, axes]) for name, axes in sides.items()]


def is_spatial(geometry: Geometry) -> bool:
    """Whether the columns fill three dimensions, so that turning them shows more."""
    return _plane(_numpy(geometry)) is None


def triangles(geometry: Geometry) -> Ids | None:
    """The faces ``[F, 3]`` of a surface in space: its own, or of a sphere those of its hull."""
    return _faces(geometry, _numpy(geometry)) if is_spatial(geometry) else None


def _numpy(geometry: Geometry) -> Floats:
    return geometry.positions.detach().cpu().double().numpy()


def _plane(positions: Floats) -> list[int] | None:
    """The two axes in which the columns lie, or None."""
    if positions.shape[1] == 2:
        return [0, 1]
    extent = np.ptp(positions, axis=0)
    wide = np.flatnonzero(extent > FLAT * max(extent.max(), 1e-300)).tolist()
    if len(wide) == 3:
        return None
    # A single line or point is shown with another axis, which is constant.
    return (wide + [axis for axis in (1, 2, 0) if axis not in wide])[:2]


def _faces(geometry: Geometry, positions: Floats) -> Ids | None:
    if geometry.faces is not None and len(geometry.faces):
        return geometry.faces.cpu().numpy()
    spatial = _plane(positions) is None and len(positions) > 3
    if geometry.metric == "great-circle" and spatial:
        return ConvexHull(positions).simplices.astype(np.int64)
    return None


def level_sheets(geometry: Geometry) -> list[Ids] | None:
    """Members of each sheet of a stack, the lowest first; None for other columns."""
    if geometry.areas is None or geometry.positions.shape[1] != 3:
        return None
    areas, height = geometry.areas.cpu().numpy(), _numpy(geometry)[:, 0]
    sheets = [np.flatnonzero(areas == area) for area in range(areas.max() + 1)]
    level = all(len(s) and np.ptp(height[s]) == 0 for s in sheets)
    return sheets if level else None


def _flat(title: str, members: Ids, places: Floats) -> Panel:
    """Positions in a plane are (row, column); rows run down."""
    rows, columns = np.unique(places[:, 0]), np.unique(places[:, 1])
    size = (len(rows), len(columns))
    page = np.stack([places[:, 1], -places[:, 0]], axis=1)
    if len(rows) * len(columns) != len(places) or min(size) < 2:
        return Panel(title, members, page)
    order = np.lexsort((places[:, 1], places[:, 0]))
    return Panel(title, members[order], page[order], grid=size)


def _surfaces(positions: Floats, faces: Ids, geometry: Geometry) -> list[Panel]:
    n = len(positions)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    links = coo_array((np.ones(len(edges)), edges.T), shape=(n, n))
    part = connected_components(links, directed=False)[1]
    sizes = np.bincount(part[faces[:, 0]], minlength=part.max() + 1)
    # Largest first, but parts of about the same size (hemispheres) in the order of their columns.
    shown = sorted(np.argsort(-sizes, kind="stable")[:PARTS].tolist())
    result: list[Panel] = []
    for index in shown:
        own = faces[part[faces[:, 0]] == index]
        if len(own):
            result += _sides(positions, own, _name(geometry, own, len(shown), len(result) // 2))
    return result


def _name(geometry: Geometry, faces: Ids, parts: int, index: int) -> str:
    attributes = geometry.attributes or {}
    if "hemisphere" in attributes:
        return "right, " if int(attributes["hemisphere"][faces[0, 0]]) else "left, "
    return f"part {index}, " if parts > 1 else ""


def _sides(positions: Floats, faces: Ids, name: str) -> list[Panel]:
    """A surface from the left and from the right (x runs right, z up); a flat one from above."""
    members = np.unique(faces)
    own = positions[members]
    local = np.searchsorted(members, faces)
    plane = _plane(own)
    if plane is not None:
        shade = np.ones(len(faces))
        return [Panel(name.rstrip(", "), members, own[:, plane], None, local, shade)]
    sides = {"seen from the left": -1.0, "seen from the right": 1.0}
    return [
        seen_surface(f"{name}{text}", members, own, local, [(0, x, 0), (0, 0, 1), (x, 0, 0)])
        for text, x in sides.items()
    ]


def seen_surface(title: str, members: Ids, own: Floats, faces: Ids, axes: Axes3) -> Panel:
    """What a far eye sees: the faces that look at it, far ones first.

    Args:
        title: What is seen.
        members: Ids of the columns ``[n]``.
        own: Positions of the columns ``[n, 3]``.
        faces: Places in ``members`` ``[F, 3]``.
        axes: Directions across and up on the page, and towards the reader.
    """
    across, up, towards = (own @ np.array(axis, dtype=np.float64) for axis in axes)
    corners = own[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1)
    facing = np.abs(normal @ np.array(axes[2])) / np.where(length > 0, length, 1)
    order = np.argsort(towards[faces].mean(1), kind="stable")
    shade = 0.6 + 0.4 * facing[order]
    depth = towards - (towards.max() + towards.min()) / 2
    return Panel(title, members, np.stack([across, up], 1), None, faces[order], shade, depth)


def _covering(corners: Floats, point: Floats) -> Ids:
    """Triangles ``[F, 3, 2]`` on the page that a point lies in, in their order."""
    x, y = np.moveaxis(corners - point, -1, 0)
    turn = x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1)
    # A little room, so that a triangle seen from its edge still holds its own middle.
    room = 1e-9 * np.abs(turn).max()
    return np.flatnonzero((turn >= -room).all(1) | (turn <= room).all(1))
