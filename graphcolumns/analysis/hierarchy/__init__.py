"""Hierarchy of columns: levels that their edges, or the layers of these, put them in."""

from graphcolumns.analysis.hierarchy.figure import (
    HierarchyAxis,
    hierarchy_axis,
    hierarchy_figure,
)
from graphcolumns.analysis.hierarchy.laminar import LaminarHierarchy, laminar_hierarchy
from graphcolumns.analysis.hierarchy.trophic import (
    TrophicLevels,
    trophic_incoherence,
    trophic_levels,
)

__all__ = [
    "HierarchyAxis",
    "LaminarHierarchy",
    "TrophicLevels",
    "hierarchy_axis",
    "hierarchy_figure",
    "laminar_hierarchy",
    "trophic_incoherence",
    "trophic_levels",
]
