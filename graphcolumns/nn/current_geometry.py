"""Where the columns of a model are now."""

from __future__ import annotations

import torch
from torch import nn

from graphcolumns.geometry import Geometry
from graphcolumns.nn.column_places import ColumnPlaces
from graphcolumns.nn.positions import LearnedPositions


@torch.no_grad()
def current_geometry(model: nn.Module, geometry: Geometry | None = None) -> Geometry:
    """The geometry at the positions that a model has learned or swapped so far, as a value.

    Candidates for new edges must be drawn, and edges measured, where the columns are, not where
    they started: call this at every update and pass the result to ``Distance`` and to ``rewire``.
    The model moves on; the value does not.

    Args:
        model: A model; its ``LearnedPositions`` or ``ColumnPlaces`` says where its columns are.
        geometry: Result for a model whose columns do not move.

    Raises:
        ValueError: Several modules say where columns are, or none does and no geometry is given.
    """
    kinds = LearnedPositions | ColumnPlaces
    owners = [part for part in model.modules() if isinstance(part, kinds)]
    if len(owners) > 1:
        names = " and ".join(sorted({type(part).__name__ for part in owners}))
        raise ValueError(
            f"one module must say where the columns are. Got {len(owners)} {names}; pass the part "
            "of the model that holds the one meant."
        )
    if owners:
        return owners[0].geometry()
    if geometry is None:
        raise ValueError(
            "the columns of the model do not move, so their geometry must be given. Got None."
        )
    return geometry
