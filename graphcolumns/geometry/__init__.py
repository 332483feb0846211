"""Positions of columns: a frozen value with positions, units, areas and distances.

``geometry`` has the value; the other files compute its parts.
Independent of graphs; the catalogue of ready-made ones is the package ``geometries``.
"""

from graphcolumns.geometry.geodesic import geodesic_distance
from graphcolumns.geometry.geometry import Geometry, Metric, Unit
from graphcolumns.geometry.regions import Regions, hemispheres

__all__ = ["Geometry", "Metric", "Regions", "Unit", "geodesic_distance", "hemispheres"]
