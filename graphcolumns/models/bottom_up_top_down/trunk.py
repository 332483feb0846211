"""What a builder makes before heads and instructions are added."""

from __future__ import annotations

from typing import NamedTuple

from graphcolumns.nn.top_down import Population, Projection


class Trunk(NamedTuple):
    """Populations and projections from the image up to the one that is read.

    Attributes:
        populations: Populations by name, ``"image"`` among them.
        projections: Layers between them.
        first: Population that an instruction enters if it comes from below.
        last: Population that is read.
    """

    populations: dict[str, Population]
    projections: list[Projection]
    first: str
    last: str
