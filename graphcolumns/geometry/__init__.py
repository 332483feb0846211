"""Where columns are: positions, the metric between them, and the unit of its lengths."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from graphcolumns.geometry.hilbert import hilbert_key

Metric = Literal["euclidean", "great-circle", "torus"]
Unit = Literal["mm", "rad", "pixel"]

# Points further than this fraction of the radius from the sphere are an error, not rounding.
SPHERE_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Geometry:
    """The positions of `N` columns and how far apart they are. A frozen value that checks itself.

    Distances between target `t` and source `s`, with `d = x_t - x_s`:

    - `"euclidean"`: `|d|`;
    - `"torus"`: `|d - L round(d / L)|`, the nearest image in a box of periods `L`;
    - `"great-circle"`: `R atan2(|x_t x x_s|, x_t . x_s)`, the arc on a sphere of radius `R`.

    Args:
        positions: `[N, 2]` or `[N, 3]`, float32 (float64 is kept, for gradient checks).
        metric: `"euclidean"`, `"great-circle"` (3-D only) or `"torus"`.
        unit: unit of every length, positions included: `"mm"`, `"rad"` or `"pixel"`.
        faces: triangles of a mesh, column ids `[F, 3]` int64.
        period: torus only, the side of the box per axis; positions lie in `[0, period)`.
        radius: great-circle only, the radius of the sphere around the origin.
        areas: area label of each column, `[N]` int64, from 0.
        learnable: whether a model may move the positions.
        anchors: ids of columns that stay where they are when positions are learned, `[A]` int64.

    Raises:
        ValueError: a value breaks a rule above.
        TypeError: a tensor has the wrong type.
    """

    positions: Tensor
    metric: Metric = "euclidean"
    unit: Unit = "pixel"
    faces: Tensor | None = None
    period: tuple[float, ...] | None = None
    radius: float | None = None
    areas: Tensor | None = None
    learnable: bool = False
    anchors: Tensor | None = None

    def __post_init__(self) -> None:
        # Reading values breaks a traced graph; a traced Geometry comes from a checked one.
        if torch.compiler.is_compiling():
            return
        _check_choice("metric", self.metric, get_args(Metric))
        _check_choice("unit", self.unit, get_args(Unit))
        _check_positions(self.positions)
        _check_torus(self)
        _check_sphere(self)
        _check_areas(self.areas, self.num_columns)
        _check_ids("faces", self.faces, 2, self.num_columns)
        _check_ids("anchors", self.anchors, 1, self.num_columns)

    def __repr__(self) -> str:
        return (
            f"Geometry(num_columns={self.num_columns}, dimensions={self.positions.shape[1]}, "
            f"metric={self.metric!r}, unit={self.unit!r})"
        )

    @property
    def num_columns(self) -> int:
        """`N`."""
        return self.positions.shape[0]

    def distance(self, target: Tensor, source: Tensor, sources: Geometry | None = None) -> Tensor:
        """Length of each (target, source) pair, in `unit`.

        Differentiable in the positions; the gradient at distance 0 is 0, never NaN.

        Args:
            target: column ids, any shape, usually `[E]`.
            source: column ids of the same shape.
            sources: the geometry that `source` refers to (default: this one).

        Returns:
            Lengths in the shape of `target`.

        Raises:
            ValueError: `sources` measures in another metric, unit, period or radius.
        """
        if sources is not None:
            self.require_same_space(sources)
        origin = self.positions if sources is None else sources.positions
        a, b = self.positions[target.long()], origin[source.long()]
        if self.metric == "great-circle":
            assert self.radius is not None
            return self.radius * _angle(a, b)
        delta = a - b
        if self.metric == "torus":
            box = delta.new_tensor(self.period)
            delta = delta - box * torch.round(delta / box)
        return torch.linalg.vector_norm(delta, dim=-1)

    def reorder(self) -> tuple[Geometry, Tensor]:
        """The same columns along a Hilbert curve, so that neighbours have near ids.

        Returns:
            `(geometry, permutation)`: `geometry.positions == self.positions[permutation]`, with
            `permutation` `[N]` int64. A result `y` in the new order is
            `y[permutation.argsort()]` in the old one.

        Source: Skilling, Programming the Hilbert curve, AIP Conf. Proc. 707 (2004).
        """
        permutation = torch.argsort(hilbert_key(self.positions.detach()), stable=True)
        new_id = torch.argsort(permutation)
        moved = replace(
            self,
            positions=self.positions[permutation],
            faces=None if self.faces is None else new_id[self.faces],
            areas=None if self.areas is None else self.areas[permutation],
            anchors=None if self.anchors is None else new_id[self.anchors],
        )
        return moved, permutation

    def require_columns(self, num_columns: int) -> None:
        """Raise a ValueError unless there are `num_columns` columns."""
        if self.num_columns != num_columns:
            raise ValueError(
                f"the geometry must place {num_columns} columns, one per end of an edge. "
                f"Got {self}; a bipartite graph needs the geometry of its columns and that of its "
                "sources."
            )

    def require_same_space(self, other: Geometry) -> None:
        """Raise a ValueError unless lengths between the columns of both are defined."""
        for name in ("metric", "unit", "period", "radius"):
            ours, theirs = getattr(self, name), getattr(other, name)
            if ours != theirs:
                raise ValueError(
                    f"targets and sources must be in one space. Got {name} {ours!r} for the "
                    f"targets and {theirs!r} for the sources."
                )
        axes = self.positions.shape[1], other.positions.shape[1]
        if axes[0] != axes[1]:
            raise ValueError(f"targets and sources must have as many axes. Got {axes}.")

    def to(self, device: torch.device | str) -> Geometry:
        """The same geometry with its tensors on `device`."""
        tensors = ("positions", "faces", "areas", "anchors")
        given = {name: getattr(self, name) for name in tensors if getattr(self, name) is not None}
        moved: dict[str, Any] = {name: tensor.to(device) for name, tensor in given.items()}
        return replace(self, **moved)


def _angle(a: Tensor, b: Tensor) -> Tensor:
    """Angle between rows of `a` and `b`, accurate for near and for antipodal points alike."""
    dot = (a * b).sum(-1)
    # a x b = a x (b - a) = a x (b + a), and the shorter of the two second factors loses no digits.
    short = torch.where((dot >= 0)[..., None], b - a, b + a)
    return torch.atan2(torch.linalg.vector_norm(torch.linalg.cross(a, short), dim=-1), dot)


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}. Got {value!r}.")


def _check_positions(positions: Tensor) -> None:
    if not torch.is_tensor(positions) or positions.dtype not in (torch.float32, torch.float64):
        got = positions.dtype if torch.is_tensor(positions) else type(positions).__name__
        raise TypeError(
            f"positions must be a float32 tensor. Got {got}; call .float() on a tensor."
        )
    if positions.ndim != 2 or positions.shape[1] not in (2, 3) or positions.shape[0] < 1:
        raise ValueError(
            "positions must have shape (N, 2) or (N, 3) with at least one column. "
            f"Got {tuple(positions.shape)}."
        )
    bad = ~torch.isfinite(positions).all(1)
    if bad.any():
        i = int(bad.nonzero()[0])
        raise ValueError(
            f"positions must be finite. Column {i} is at {positions[i].tolist()} "
            f"({int(bad.sum())} such columns); drop these columns or fill in their positions."
        )


def _check_torus(geometry: Geometry) -> None:
    period, positions = geometry.period, geometry.positions
    if geometry.metric != "torus":
        if period is not None:
            raise ValueError(f"period belongs to metric 'torus'. Got metric {geometry.metric!r}.")
        return
    axes = positions.shape[1]
    sides = period if isinstance(period, tuple | list) else ()
    if len(sides) != axes or not all(0 < side < float("inf") for side in sides):
        raise ValueError(
            f"metric 'torus' needs a positive finite period per axis, {axes} in all. Got {period}."
        )
    outside = ((positions < 0) | (positions >= positions.new_tensor(sides))).any(1)
    if outside.any():
        i = int(outside.nonzero()[0])
        raise ValueError(
            f"torus positions must lie in [0, period), period {tuple(sides)}. Column {i} is at "
            f"{positions[i].tolist()}; wrap them with torch.remainder(positions, period)."
        )


def _check_sphere(geometry: Geometry) -> None:
    radius, positions = geometry.radius, geometry.positions
    if geometry.metric != "great-circle":
        if radius is not None:
            raise ValueError(
                f"radius belongs to metric 'great-circle'. Got metric {geometry.metric!r}."
            )
        return
    if positions.shape[1] != 3:
        raise ValueError(
            f"metric 'great-circle' needs positions (N, 3). Got {tuple(positions.shape)}."
        )
    if radius is None or not 0 < radius < float("inf"):
        raise ValueError(f"metric 'great-circle' needs a positive finite radius. Got {radius}.")
    norm = torch.linalg.vector_norm(positions, dim=1)
    off = (norm - radius).abs() > SPHERE_TOLERANCE * radius
    if off.any():
        i = int(off.nonzero()[0])
        raise ValueError(
            f"great-circle positions must lie on the sphere of radius {radius} around the origin. "
            f"Column {i} is at {float(norm[i])} from it; rescale the positions or the radius."
        )


def _check_areas(areas: Tensor | None, num_columns: int) -> None:
    if areas is None:
        return
    if not torch.is_tensor(areas) or areas.dtype != torch.int64:
        raise TypeError(f"areas must be an int64 tensor. Got {getattr(areas, 'dtype', areas)}.")
    if areas.shape != (num_columns,) or bool((areas < 0).any()):
        raise ValueError(
            f"areas must hold one label >= 0 per column, shape ({num_columns},). "
            f"Got shape {tuple(areas.shape)}, smallest {areas.min() if areas.numel() else None}."
        )


def _check_ids(name: str, ids: Tensor | None, ndim: int, num_columns: int) -> None:
    if ids is None:
        return
    if not torch.is_tensor(ids) or ids.dtype != torch.int64:
        raise TypeError(f"{name} must be an int64 tensor. Got {getattr(ids, 'dtype', ids)}.")
    if ids.ndim != ndim or (ndim == 2 and ids.shape[1] != 3):
        expected = "(F, 3)" if ndim == 2 else "(A,)"
        raise ValueError(f"{name} must have shape {expected}. Got {tuple(ids.shape)}.")
    bad = ids[(ids < 0) | (ids >= num_columns)]
    if len(bad):
        raise ValueError(f"{name} must be column ids in [0, {num_columns}). Got {int(bad[0])}.")
