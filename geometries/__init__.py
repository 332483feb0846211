"""A catalogue of geometries: functions that return a ``graphcolumns.geometry.Geometry``."""
