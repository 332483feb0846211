"""Where columns are: positions, the metric between them, and the unit of its lengths."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from graphcolumns.geometry import checks
from graphcolumns.geometry.bisection import bisection_order
from graphcolumns.geometry.geodesic import geodesic_distance, pair_distance
from graphcolumns.geometry.hilbert import hilbert_key

__all__ = ["Geometry", "Metric", "Unit", "geodesic_distance"]

Metric = Literal["euclidean", "geodesic", "great-circle", "torus"]
Unit = Literal["mm", "rad", "pixel"]


@dataclass(frozen=True, eq=False)
class Geometry:
    """The positions of ``N`` columns and how far apart they are. A frozen value that checks itself.

    Distances between target ``t`` and source ``s``, with ``d = x_t - x_s``:

    - ``"euclidean"``: ``|d|``;
    - ``"torus"``: ``|d - L round(d / L)|``, the nearest image in a box of periods ``L``;
    - ``"great-circle"``: ``R atan2(|x_t x x_s|, x_t . x_s)``, the arc on a sphere of radius ``R``;
    - ``"geodesic"``: the shortest path along the edges of ``faces``. It zigzags where the shortest
      way across the surface is straight, so it is some 10 % longer, see ``geodesic_distance``;
      ``inf`` between parts that no path joins. Not differentiable.

    Args:
        positions: ``[N, 2]`` or ``[N, 3]``, float32, or float64, which keeps the digits of
            coordinates that are large beside the spread of the columns (UTM, ECEF).
        metric: ``"euclidean"``, ``"geodesic"`` (needs ``faces``), ``"great-circle"`` (3-D only) or
            ``"torus"``.
        unit: Unit of every length, positions included: ``"mm"``, ``"rad"`` or ``"pixel"``.
        faces: Triangles of a mesh, column ids ``[F, 3]`` int64.
        period: Torus only, the side of the box per axis; positions lie in ``[0, period)``.
        radius: Great-circle only, the radius of the sphere around the origin.
        areas: Area label of each column, ``[N]`` int64, from 0.
        learnable: Whether a model may move the positions.
        anchors: Ids of columns that stay where they are when positions are learned, ``[A]`` int64.
        attributes: Anything else known of each column, by name: tensors ``[N, ...]``.
        spacing: Learnable only, the least distance between two columns that learning keeps.

    A geometry can be copied, pickled, and saved by ``torch.save``; ``torch.load`` reads it with
    ``weights_only=True`` and checks it as the constructor does.

    Raises:
        ValueError: A value breaks a rule above.
        TypeError: A tensor has the wrong type.
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
    attributes: Mapping[str, Tensor] | None = None
    spacing: float | None = None

    def __post_init__(self) -> None:
        # Reading values breaks a traced graph; a traced Geometry comes from a checked one.
        if torch.compiler.is_compiling():
            return
        checks.check_choice("metric", self.metric, get_args(Metric))
        checks.check_choice("unit", self.unit, get_args(Unit))
        checks.check_positions(self.positions)
        checks.check_torus(self)
        checks.check_sphere(self)
        checks.check_areas(self.areas, self.num_columns)
        checks.check_mesh_ids("faces", self.faces, 2, self.num_columns)
        checks.check_mesh_ids("anchors", self.anchors, 1, self.num_columns)
        checks.check_mesh(self)
        checks.check_attributes(self.attributes, self.num_columns)
        checks.check_spacing(self)

    def __reduce__(self) -> tuple[type[Geometry], tuple[Any, ...]]:
        # Through the constructor, so that a file is checked.
        return Geometry, tuple(_plain(getattr(self, entry.name)) for entry in fields(self))

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A pickle that bypasses the constructor, as those of earlier versions do.
        self.__init__(**state)  # type: ignore[misc]

    def __repr__(self) -> str:
        return (
            f"Geometry(num_columns={self.num_columns}, dimensions={self.positions.shape[1]}, "
            f"metric={self.metric!r}, unit={self.unit!r})"
        )

    @property
    def num_columns(self) -> int:
        """``N``."""
        return self.positions.shape[0]

    def distance(self, target: Tensor, source: Tensor, sources: Geometry | None = None) -> Tensor:
        """Length of each (target, source) pair, in ``unit``.

        Differentiable in the positions (but for metric "geodesic"); the gradient at distance 0 is
        0, never NaN.

        Args:
            target: Column ids, any shape, usually ``[E]``.
            source: Column ids of the same shape.
            sources: The geometry that ``source`` refers to (default: this one).

        Returns:
            Lengths in the shape of ``target``.

        Raises:
            ValueError: ``sources`` measures in another metric, unit, period, radius or mesh.
        """
        if sources is not None:
            self.require_same_space(sources)
        if self.metric == "geodesic":
            return pair_distance(self, target, source)
        origin = self.positions if sources is None else sources.positions
        a, b = self.positions[target.long()], origin[source.long()]
        if self.metric == "great-circle":
            assert self.radius is not None
            # Squares of a radius of 1e20 do not fit float32; a power of two costs no digit.
            unit = 2.0 ** -math.frexp(self.radius)[1]
            return self.radius * _angle(a * unit, b * unit)
        delta = a - b
        if self.metric == "torus":
            box = delta.new_tensor(self.period)
            delta = delta - box * torch.round(delta / box)
        return torch.linalg.vector_norm(delta, dim=-1)

    def reorder(
        self, order: Literal["hilbert", "bisection"] = "hilbert"
    ) -> tuple[Geometry, Tensor]:
        """The same columns in an order in which neighbours have near ids.

        Args:
            order: ``"hilbert"``, along a Hilbert curve; or ``"bisection"``, by recursive
                coordinate bisection: ranges of ids are compact boxes, and fewer edges join two of
                them where columns lie on a folded surface.

        Returns:
            ``(geometry, permutation)``: ``geometry.positions == self.positions[permutation]``, with
            ``permutation`` ``[N]`` int64. A result ``y`` in the new order is
            ``y[permutation.argsort()]`` in the old one.

        Raises:
            ValueError: An unknown order.

        Source: Skilling, Programming the Hilbert curve, AIP Conf. Proc. 707 (2004); Berger and
        Bokhari, A partitioning strategy for nonuniform problems on multiprocessors, IEEE
        Transactions on Computers 36 (1987).
        """
        positions = self.positions.detach()
        if order == "hilbert":
            permutation = torch.argsort(hilbert_key(positions), stable=True)
        elif order == "bisection":
            permutation = bisection_order(positions)
        else:
            raise ValueError(f'order must be "hilbert" or "bisection". Got {order!r}.')
        return self.permute(permutation), permutation

    def permute(self, permutation: Tensor) -> Geometry:
        """The same columns in another order: column ``n`` of the result is ``permutation[n]`` here.

        Args:
            permutation: Every column id once, ``[N]`` int64.

        Raises:
            ValueError: It is not a permutation.
        """
        new_id = torch.argsort(permutation)
        if not torch.equal(permutation[new_id], torch.arange(self.num_columns).to(permutation)):
            raise ValueError(
                f"permutation must hold each of the {self.num_columns} column ids once. "
                f"Got {list(permutation.shape)}."
            )
        return replace(
            self,
            positions=self.positions[permutation],
            faces=None if self.faces is None else new_id[self.faces],
            areas=None if self.areas is None else self.areas[permutation],
            anchors=None if self.anchors is None else new_id[self.anchors],
            attributes=_each(self.attributes, lambda values: values[permutation]),
        )

    def require_columns(self, num_columns: int) -> None:
        """Raise a ValueError unless there are ``num_columns`` columns."""
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
        if self.metric == "geodesic" and other is not self:
            raise ValueError(
                "metric 'geodesic' measures along one mesh, and targets and sources are on two: no "
                "path leads from one to the other. Use metric='euclidean' for both."
            )

    def to(self, device: torch.device | str) -> Geometry:
        """The same geometry with its tensors on ``device``."""
        tensors = ("positions", "faces", "areas", "anchors")
        given = {name: getattr(self, name) for name in tensors if getattr(self, name) is not None}
        moved: dict[str, Any] = {name: tensor.to(device) for name, tensor in given.items()}
        moved["attributes"] = _each(self.attributes, lambda values: values.to(device))
        return replace(self, **moved)


def _plain(value: Any) -> Any:
    """A field as ``torch.load(weights_only=True)`` can read it: no NumPy numbers, a plain dict."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple | list):
        return tuple(_plain(entry) for entry in value)
    return value.item() if isinstance(value, numbers.Number) and hasattr(value, "item") else value


def _each(
    attributes: Mapping[str, Tensor] | None, change: Callable[[Tensor], Tensor]
) -> dict[str, Tensor] | None:
    """The same names with changed tensors."""
    if attributes is None:
        return None
    return {name: change(values) for name, values in attributes.items()}


def _angle(a: Tensor, b: Tensor) -> Tensor:
    """Angle between rows of ``a`` and ``b``, accurate for near and for antipodal points alike."""
    dot = (a * b).sum(-1)
    # a x b = a x (b - a) = a x (b + a), and the shorter of the two second factors loses no digits.
    short = torch.where((dot >= 0)[..., None], b - a, b + a)
    return torch.atan2(torch.linalg.vector_norm(torch.linalg.cross(a, short), dim=-1), dot)


# Nothing but the constructor runs when a file is read, and it checks.
torch.serialization.add_safe_globals([Geometry])
