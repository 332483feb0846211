"""Edges drawn at random, uniformly or near ones more often."""

from __future__ import annotations

from typing import Literal

import numpy as np

from graphcolumns.connect import draws
from graphcolumns.connect.checks import check_length, num_others
from graphcolumns.connect.measured_graph import graph_from_rows
from graphcolumns.connect.mesh_race import race_on_mesh
from graphcolumns.connect.race import exponential_race
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph

Kernel = Literal["exponential", "gaussian", "power"]


def distance_decay(
    geometry: Geometry,
    degree: int,
    length: float,
    kernel: Kernel = "exponential",
    seed: int = 0,
    self_loops: bool = True,
) -> ColumnGraph:
    """Each column receives from ``degree`` columns drawn at random, near ones more often.

    Sources are drawn one after the other without replacement, each in proportion to the kernel of
    its distance ``d`` to the target: ``"exponential"`` ``exp(-d / length)``, ``"gaussian"``
    ``exp(-d^2 / (2 length^2))``, ``"power"`` ``(1 + d / length)^-2``. The draw is exact, see
    ``exponential_race``; the same seed gives the same graph at any number of threads. On metric
    ``"geodesic"`` what no path reaches is never drawn.

    Args:
        geometry: The columns.
        degree: In-edges per column.
        length: Scale of the kernel, in the unit of the geometry.
        kernel: ``"exponential"``, ``"gaussian"`` or ``"power"``.
        seed: Seed of the draw, 0 or above.
        self_loops: The column itself is one of them, always.

    Raises:
        ValueError: An impossible degree, a length that is not positive, an unknown kernel; on
            metric ``"geodesic"``, a degree above the number of columns that a path joins.

    Source: Ercsey-Ravasz et al., A predictive network model of cerebral cortical connectivity
    based on a distance rule, Neuron 80 (2013), for the exponential kernel.
    """
    others = num_others(geometry, degree, self_loops)
    check_length("length", length, geometry)
    race = race_on_mesh if geometry.metric == "geodesic" else exponential_race
    ids = race(geometry, others, draws.log_kernel(kernel, length), draws.numpy_generator(seed))
    return graph_from_rows(geometry, ids, self_loops)


def random(geometry: Geometry, degree: int, seed: int = 0, self_loops: bool = True) -> ColumnGraph:
    """Each column receives from ``degree`` columns drawn uniformly without replacement.

    Args:
        geometry: The columns; it only measures.
        degree: In-edges per column.
        seed: Seed of the draw, 0 or above.
        self_loops: The column itself is one of them, always.

    Raises:
        ValueError: ``degree`` is below 1 or above the number of columns to choose from, or no path
            leads along the edge on metric ``"geodesic"``.
    """
    n, others = geometry.num_columns, num_others(geometry, degree, self_loops)
    ids = draws.distinct(n, others, n - 1, draws.numpy_generator(seed))
    # Drawn among n - 1 places: those from the column's own place on stand for the next column.
    return graph_from_rows(geometry, ids + (ids >= np.arange(n)[:, None]), self_loops)
