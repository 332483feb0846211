"""Transformer-like models of the brain as sparse graphs of columns."""

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.ops import Attention, column_attention, edge_linear, untied_linear

__version__ = "0.1.0.dev0"

__all__ = [
    "Attention",
    "ColumnGraph",
    "Geometry",
    "column_attention",
    "edge_linear",
    "untied_linear",
]
