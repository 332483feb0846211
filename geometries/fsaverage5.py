"""The meshes of fsaverage5 that nilearn ships, as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor

MEASURES = ("sulcal", "curvature", "thickness", "area")
NILEARN_NAME = {"white": "white_matter"}


class Tables:
    """Coordinates, faces and measures by name and side (``"left"``, ``"right"``)."""

    def __init__(self, meshes: Mapping[str, Any], measures: Mapping[str, Any]) -> None:
        self.meshes, self.measures = meshes, measures

    def coordinates(self, surface: str, side: str) -> Tensor:
        """``[10242, 3]`` float32, mm."""
        mesh = self.meshes[NILEARN_NAME.get(surface, surface)].parts[side]
        return torch.as_tensor(mesh.coordinates, dtype=torch.float32)

    def faces(self, surface: str, side: str) -> Tensor:
        """``[F, 3]`` int64; the flat map has fewer than the others."""
        return torch.as_tensor(self.meshes[surface].parts[side].faces, dtype=torch.int64)

    def measure(self, name: str, side: str) -> Tensor:
        """``[10242]`` float32."""
        return torch.as_tensor(self.measures[name].data.parts[side], dtype=torch.float32)

    def on_flat_map(self, side: str) -> Tensor:
        """Which vertices some triangle of the flat map uses, ``[10242]`` bool."""
        used = torch.zeros(len(self.coordinates("sphere", side)), dtype=torch.bool)
        used[self.faces("flat", side).flatten()] = True
        return used


def load_tables() -> Tables:
    """Read them from nilearn, once per process: a third of a second, and a few MB that stay.

    Raises:
        ImportError: Nilearn is not installed.
    """
    try:
        import nilearn.datasets  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "fsaverage is read from nilearn, which is not installed: "
            "pip install 'graphcolumns[brain]'."
        ) from error
    return _unpacked()


# Shared tensors are never written to: a geometry gets copies of the rows that it keeps.
@cache
def _unpacked() -> Tables:
    from nilearn.datasets import load_fsaverage, load_fsaverage_data

    measures = {name: load_fsaverage_data(mesh="fsaverage5", data_type=name) for name in MEASURES}
    return Tables(load_fsaverage("fsaverage5"), measures)
