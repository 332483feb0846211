"""How much wire a graph needs where its columns are, and where its connectivity alone puts them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import networkx as nx
import numpy as np
import torch
from scipy.sparse.csgraph import shortest_path
from sklearn.manifold import smacof

from graphcolumns.analysis.connectome.wiring import wiring_cost
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.placement import place_columns
from graphcolumns.studies.study_run import StudyRun


def placement_ratios(run: StudyRun, rounds: int = 200, seed: int = 0) -> dict[str, float]:
    """Wiring ratio and economy of the graph of a run at several positions of its columns.

    A ratio is the length of all joined pairs over its mean under permutations of the same
    positions, so that 1 is what shuffled positions give. Economy also knows the shortest pairs of
    these positions: 0 shuffled, 1 cheapest.

    Args:
        run: Run of one sheet.
        rounds: Number of rounds of swaps.
        seed: Seed of the start of metric MDS and of the swaps.

    Returns:
        ``NAME_ratio`` and ``NAME_economy`` for positions NAME: ``given`` (at the end of the run),
        ``first`` (at its start), ``mds`` (metric MDS of the number of edges between two columns),
        ``spectral`` (eigenvectors of the Laplacian), ``swapped`` (the first positions, shuffled,
        then exchanged while that saves wire).
    """
    places: dict[str, Callable[[], Geometry]] = {
        "given": lambda: run.geometry,
        "first": lambda: _first_geometry(run),
        "mds": lambda: mds_geometry(run.graph, seed),
        "spectral": lambda: spectral_geometry(run.graph),
        "swapped": lambda: _swapped(run, rounds, seed),
    }
    found: dict[str, float] = {}
    for name, place in places.items():
        cost = wiring_cost(run.graph, place())
        found |= {f"{name}_ratio": cost.ratio, f"{name}_economy": cost.economy}
    return found


def _first_geometry(run: StudyRun) -> Geometry:
    """Positions of the columns of a run before it began."""
    positions = getattr(run.untrained, "positions", None)
    return run.geometry if positions is None else _plain(positions.geometry().positions)


def mds_geometry(graph: ColumnGraph, seed: int = 0) -> Geometry:
    """Positions in a plane by metric multidimensional scaling of steps along edges.

    Columns that no path joins are as far apart as the longest path is long, plus one step.

    Args:
        graph: Edges among columns, taken both ways.
        seed: Seed of the random start.

    Source: Kruskal, Multidimensional scaling by optimizing goodness of fit to a nonmetric
    hypothesis, Psychometrika 29 (1964); de Leeuw, Applications of convex analysis to
    multidimensional scaling, 1977, for the algorithm.
    """
    steps = shortest_path(_adjacency(graph), unweighted=True)
    finite = np.isfinite(steps)
    steps[~finite] = steps[finite].max() + 1
    # The arguments of the class MDS differ from version to version.
    positions, _ = smacof(steps, n_components=2, n_init=4, random_state=seed)
    return _plain(torch.from_numpy(positions).float())


def spectral_geometry(graph: ColumnGraph) -> Geometry:
    """Positions in a plane by the second and third eigenvector of the Laplacian.

    Args:
        graph: Edges among columns, taken both ways.

    Source: Hall, An r-dimensional quadratic placement algorithm, Management Science 17 (1970).
    """
    found = nx.spectral_layout(nx.from_numpy_array(_adjacency(graph)))
    places = np.stack([found[column] for column in range(graph.num_columns)])
    return _plain(torch.from_numpy(places).float())


def _swapped(run: StudyRun, rounds: int, seed: int) -> Geometry:
    first = _first_geometry(run)
    generator = torch.Generator().manual_seed(seed)
    shuffled = replace(first, anchors=None).permute(
        torch.randperm(len(first.positions), generator=generator)
    )
    found = place_columns(run.graph, shuffled, rounds=rounds, temperature=1.0, seed=seed)
    return found.geometry


def _plain(positions: torch.Tensor) -> Geometry:
    return Geometry(positions.detach().cpu())


def _adjacency(graph: ColumnGraph) -> np.ndarray:
    """0 and 1, ``[N, N]``, symmetric and without self-edges."""
    matrix = np.zeros((graph.num_columns, graph.num_columns))
    matrix[graph.target.cpu().numpy(), graph.source.cpu().numpy()] = 1
    matrix = np.maximum(matrix, matrix.T)
    np.fill_diagonal(matrix, 0)
    return matrix
