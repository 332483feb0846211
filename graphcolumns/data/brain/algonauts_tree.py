"""Files of the Algonauts challenge 2023: which there are, and that none is missing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch

from graphcolumns.data.brain.array_file import ArrayFile, absolute_path, read_values
from graphcolumns.data.brain.numbered_images import numbered_images
from graphcolumns.data.brain.roi_names import ROI_NAMES, roi_names
from graphcolumns.data.brain.vertex_checks import check_vertices
from graphcolumns.geometry import Regions
from graphcolumns.geometry.checks import check_choice

Side: TypeAlias = Literal["lh", "rh"]
SIDES: tuple[Side, ...] = get_args(Side)
Space: TypeAlias = Literal["challenge", "fsaverage"]
Part: TypeAlias = Literal["train", "test"]

FSAVERAGE = 163842  # vertices of a hemisphere
EXAMPLES = {"train": "train-0001_nsd-00013.png", "test": "test-0001_nsd-00845.png"}


def subject_name(subject: int) -> str:
    """The folder of a subject: ``subj01``."""
    if isinstance(subject, bool) or not isinstance(subject, int) or not 1 <= subject <= 99:
        raise ValueError(f"subject must be a whole number from 1, 8 in the data. Got {subject!r}.")
    return f"subj{subject:02}"


@dataclass(frozen=True)
class AlgonautsTree:
    """The files of one subject.

    Args:
        root: Folder of the subject.
    """

    root: Path

    @classmethod
    def of(cls, folder: str | os.PathLike[str], subject: int) -> AlgonautsTree:
        """The files of a subject below the folder of the challenge.

        Raises:
            FileNotFoundError: There is no such folder or subject.
        """
        folder = absolute_path(folder)
        root = folder / subject_name(subject)
        if not root.is_dir():
            if (folder / "training_split").is_dir():
                raise FileNotFoundError(
                    f"folder must be that of the challenge, which holds subj01 to subj08. Got "
                    f"{folder}, that of one subject; pass {folder.parent}."
                )
            if not folder.is_dir():
                raise FileNotFoundError(
                    f"there is no folder {folder}. Expected that of the challenge, which holds "
                    "subj01 to subj08."
                )
            there = sorted(path.name for path in folder.glob("subj*") if path.is_dir())
            raise FileNotFoundError(
                f"there is no folder {root}. The folder of the challenge holds subj01 to subj08; "
                f"{folder} holds {', '.join(there) or 'none of them'}."
            )
        return cls(root)

    def images(self, part: Part) -> list[Path]:
        """The images of a part, in the order of the responses."""
        name = {"train": "training", "test": "test"}[part]
        folder = self.root / f"{name}_split" / f"{name}_images"
        return numbered_images(folder, rf"{part}-(\d+)_nsd-\d+", EXAMPLES[part])

    def responses(self) -> tuple[ArrayFile, ArrayFile]:
        """Responses to the training images of the left and the right hemisphere, ``[n, V]``."""
        folder = self.root / "training_split" / "training_fmri"
        left, right = (ArrayFile(folder / f"{side}_training_fmri.npy") for side in SIDES)
        for array in (left, right):
            if len(array.shape) != 2 or 0 in array.shape or array.dtype.kind != "f":
                raise ValueError(
                    f"{array.path} must hold floating responses [n, V]. Got {array.dtype}, "
                    f"{list(array.shape)}."
                )
        if len(left) != len(right):
            raise ValueError(
                "both hemispheres must have responses to the same images. Got "
                f"{len(left):,} rows in {left.path} and {len(right):,} in {right.path.name}."
            )
        return left, right

    def vertices(self, side: Side) -> np.ndarray:
        """Ids in fsaverage of the vertices that have responses, ``[V]`` int64, ascending."""
        path = self.root / "roi_masks" / f"{side}.all-vertices_fsaverage_space.npy"
        values = read_values(path)
        check_vertices(str(path), values.shape, FSAVERAGE)
        return np.flatnonzero(values)

    def regions(
        self,
        num_vertices: tuple[int, int],
        families: Sequence[str] | None = None,
        space: Space = "challenge",
        trusted: bool = False,
    ) -> Regions:
        """The regions of both hemispheres that have a vertex, named ``"lh.V1v"``.

        Args:
            num_vertices: Number of vertices of the left and the right hemisphere.
            families: Names of families, of ``ROI_NAMES`` (default: all).
            space: Vertices that the masks are of: those with responses, or all of fsaverage.
            trusted: Whether the files with the names of regions may run code.

        Raises:
            FileNotFoundError: A mask is missing.
            ValueError: A mask of other vertices or with other ids, or no region.
        """
        families = tuple(ROI_NAMES if families is None else families)
        for family in families:
            check_choice("families", family, tuple(ROI_NAMES))
        masks, kept = {}, []
        for place, side in enumerate(SIDES):
            for family in families:
                path = self.root / "roi_masks" / f"{side}.{family}_{space}_space.npy"
                mapping = self.root / "roi_masks" / f"mapping_{family}.npy" if trusted else None
                names = roi_names(family, mapping, trusted)
                ids = _ids(path, num_vertices[place], names)
                for key, name in names.items():
                    if (ids == key).any():
                        whole = [np.zeros(count, dtype=bool) for count in num_vertices]
                        whole[place] = ids == key
                        masks[f"{side}.{name}"] = torch.from_numpy(np.concatenate(whole))
                        kept.append(family)
        if not masks:
            raise ValueError(
                f"masks in {self.root / 'roi_masks'} must hold a region. Got 0 at every vertex of "
                f"{', '.join(families) or 'no family'}."
            )
        sides = [torch.full((count,), place) for place, count in enumerate(num_vertices)]
        return Regions.from_masks(masks, kept, torch.cat(sides))


def _ids(path: Path, num_vertices: int, names: dict[int, str]) -> np.ndarray:
    """Region of every vertex, 0 for none."""
    ids = read_values(path)
    check_vertices(str(path), ids.shape, num_vertices)
    known = np.isin(ids, [0, *names])
    if not known.all():
        raise ValueError(
            f"{path} must hold ids from 0 to {max(names)}. Got {ids[~known][0]} at "
            f"{(~known).sum():,} vertices."
        )
    return ids
