"""Hierarchy of columns: levels that their edges, or the layers of these, put them in."""

from graphcolumns.analysis.hierarchy.laminar import LaminarHierarchy, laminar_hierarchy
from graphcolumns.analysis.hierarchy.trophic import (
    TrophicLevels,
    trophic_incoherence,
    trophic_levels,
)

__all__ = [
    "LaminarHierarchy",
    "TrophicLevels",
    "laminar_hierarchy",
    "trophic_incoherence",
    "trophic_levels",
]
