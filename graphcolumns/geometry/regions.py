"""Named sets of vertices that may overlap, such as the regions of interest of a cortex."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.geometry.checks import close_names

HEMISPHERES = ("left", "right")


@dataclass(frozen=True, eq=False, repr=False)
class Regions:
    """Regions of ``V`` vertices by name. A frozen value that checks itself.

    A vertex may be in several regions, or in none. Regions may belong to families, such as the
    retinotopic areas or the regions that prefer faces.

    Args:
        masks: Whether each vertex is in each region, ``[R, V]`` bool.
        names: Name of each region; two never have the same.
        families: Family of each region (default: one family without a name).
        hemisphere: Hemisphere of each vertex, ``[V]`` int64, 0 left and 1 right, where it is known.

    Raises:
        ValueError: No region, a region without a vertex, names that are not one per region or not
            different, or values of another length.
        TypeError: Masks that are not bool.

    Example:
        >>> import torch
        >>> from graphcolumns.geometry import Regions
        >>> v1, faces = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 0]]).bool()
        >>> regions = Regions.from_masks({"V1": v1, "FFA": faces})
        >>> regions.with_rest().names
        ('V1', 'FFA', 'rest')
        >>> regions.vertices("FFA").tolist()
        [1, 2]
    """

    masks: Tensor
    names: tuple[str, ...]
    families: tuple[str, ...] = ()
    hemisphere: Tensor | None = None

    def __post_init__(self) -> None:
        _check_masks(self.masks)
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "families", tuple(self.families) or ("",) * len(self.names))
        count = len(self.masks)
        if len(self.names) != count or len(set(self.names)) != count:
            raise ValueError(
                f"names must be one per region, all different. Expected {count}. Got "
                f"{', '.join(map(repr, self.names))}."
            )
        if len(self.families) != count:
            raise ValueError(
                f"families must be one per region. Expected {count}. Got {len(self.families)}."
            )
        if not self.masks.any(1).all():
            empty = self.names[int(self.masks.any(1).int().argmin())]
            raise ValueError(
                f"a region must have at least one vertex. Got none in {empty!r}; leave it out."
            )
        _check_hemisphere(self.hemisphere, self.num_vertices)

    @classmethod
    def from_masks(
        cls,
        masks: Mapping[str, Tensor],
        families: Sequence[str] = (),
        hemisphere: Tensor | None = None,
    ) -> Regions:
        """Regions of one mask per name, ``[V]`` bool each.

        Raises:
            ValueError: There are none, or their lengths differ.
        """
        lengths = {name: len(mask) for name, mask in masks.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(
                "masks must be of the same vertices, at least one. Got "
                f"{', '.join(f'{name!r}: {n:,}' for name, n in lengths.items()) or 'none'}."
            )
        return cls(torch.stack(list(masks.values())), tuple(masks), tuple(families), hemisphere)

    @classmethod
    def from_areas(
        cls, area: Tensor, names: Sequence[str], hemisphere: Tensor | None = None
    ) -> Regions:
        """A region per area of a parcellation that occurs.

        Args:
            area: Area of each vertex, ``[V]`` int64, positions in ``names``.
            names: Name of each area.
            hemisphere: Hemisphere of each vertex, ``[V]`` int64, where it is known.

        Raises:
            ValueError: An area without a name.
        """
        if not 0 <= int(area.min()) <= int(area.max()) < len(names):
            raise ValueError(
                f"area must be in [0, {len(names)}), a name for each. Got {int(area.min())} to "
                f"{int(area.max())}."
            )
        present = area.unique()
        masks = area == present[:, None]
        return cls(masks, tuple(names[i] for i in present.tolist()), (), hemisphere)

    def __repr__(self) -> str:
        return f"Regions({self.num_regions} regions of {self.num_vertices:,} vertices)"

    @property
    def num_regions(self) -> int:
        """``R``."""
        return len(self.masks)

    @property
    def num_vertices(self) -> int:
        """``V``."""
        return self.masks.shape[1]

    def mask(self, name: str) -> Tensor:
        """Which vertices are in a region, ``[V]`` bool.

        Raises:
            ValueError: There is no such region.
        """
        if name not in self.names:
            raise ValueError(
                f"name must be one of {', '.join(map(repr, self.names))}. Got {name!r}."
                f"{close_names(name, self.names)}"
            )
        return self.masks[self.names.index(name)]

    def vertices(self, name: str) -> Tensor:
        """Ids of the vertices of a region, int64, ascending."""
        return self.mask(name).nonzero()[:, 0]

    def of_families(self, *families: str) -> Regions:
        """The regions of some families.

        Raises:
            ValueError: There is no such family.
        """
        unknown = [name for name in families if name not in self.families]
        if unknown:
            known = ", ".join(map(repr, dict.fromkeys(self.families)))
            raise ValueError(f"families must be some of {known}. Got {unknown[0]!r}.")
        return self._kept([family in families for family in self.families])

    def with_rest(self, name: str = "rest") -> Regions:
        """The same and a region of all vertices that are in none, if there are any.

        With hemispheres, and where each region is in one of them, a rest per hemisphere:
        ``"lh.rest"`` and ``"rh.rest"``.
        """
        rest = ~self.masks.any(0)
        parts = {name: rest}
        if self.hemisphere is not None and self._within_hemispheres():
            parts = {f"{'lr'[side]}h.{name}": rest & (self.hemisphere == side) for side in (0, 1)}
        parts = {key: mask for key, mask in parts.items() if mask.any()}
        if not parts:
            return self
        return Regions(
            torch.cat([self.masks, torch.stack(list(parts.values()))]),
            (*self.names, *parts),
            (*self.families, *("rest" for _ in parts)),
            self.hemisphere,
        )

    def subset(self, vertices: Tensor) -> Regions:
        """The regions of some of the vertices only; regions without a vertex are left out.

        Args:
            vertices: Ids of the vertices to keep, int64, or ``[V]`` bool.

        Raises:
            ValueError: A mask of another number of vertices.
        """
        if vertices.dtype == torch.bool and vertices.shape != (self.num_vertices,):
            raise ValueError(
                f"vertices must be one bool per vertex, [{self.num_vertices}], or ids. Got "
                f"{list(vertices.shape)}; is it a mask of another mesh?"
            )
        masks = self.masks[:, vertices]
        hemisphere = None if self.hemisphere is None else self.hemisphere[vertices]
        keep = masks.any(1)
        names = [name for name, kept in zip(self.names, keep.tolist(), strict=True) if kept]
        families = [name for name, kept in zip(self.families, keep.tolist(), strict=True) if kept]
        return Regions(masks[keep], tuple(names), tuple(families), hemisphere)

    def to(self, device: torch.device | str) -> Regions:
        """The same on ``device``."""
        hemisphere = None if self.hemisphere is None else self.hemisphere.to(device)
        return Regions(self.masks.to(device), self.names, self.families, hemisphere)

    def _within_hemispheres(self) -> bool:
        sides = torch.stack([(self.masks & (self.hemisphere == side)).any(1) for side in (0, 1)])
        return not sides.all(0).any()

    def _kept(self, keep: list[bool]) -> Regions:
        places = [place for place, kept in enumerate(keep) if kept]
        return Regions(
            self.masks[places],
            tuple(self.names[place] for place in places),
            tuple(self.families[place] for place in places),
            self.hemisphere,
        )


def hemispheres(hemisphere: Tensor) -> Regions:
    """Both hemispheres as regions ``"left"`` and ``"right"``, those that have vertices.

    Args:
        hemisphere: Hemisphere of each vertex, ``[V]`` int64, 0 left and 1 right.
    """
    return Regions.from_areas(hemisphere, HEMISPHERES, hemisphere)


def _check_masks(masks: Tensor) -> None:
    if not torch.is_tensor(masks) or masks.dtype != torch.bool:
        got = masks.dtype if torch.is_tensor(masks) else type(masks).__name__
        raise TypeError(f"masks must be a bool tensor. Got {got}; call .bool() on a tensor.")
    if masks.ndim != 2 or not masks.numel():
        raise ValueError(
            "masks must be [R, V], with at least one region and one vertex. Got "
            f"{list(masks.shape)}."
        )


def _check_hemisphere(hemisphere: Tensor | None, vertices: int) -> None:
    if hemisphere is None:
        return
    if hemisphere.dtype != torch.int64 or hemisphere.shape != (vertices,):
        raise ValueError(
            f"hemisphere must be int64, one per vertex, [{vertices}]. Got {hemisphere.dtype}, "
            f"{list(hemisphere.shape)}."
        )
    if not ((hemisphere == 0) | (hemisphere == 1)).all():
        raise ValueError("hemisphere must be 0 (left) or 1 (right). Got other values.")
