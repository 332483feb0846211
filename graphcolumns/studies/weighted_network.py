"""The connectome that the weights of a trained network make, beside its nulls."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from graphcolumns.analysis.connectome import (
    SmallWorld,
    modularity,
    small_world,
    strongest_pairs,
    wiring_cost,
)
from graphcolumns.analysis.connectome.nulls import draw_by_distance, null_values, rewire_degrees
from graphcolumns.analysis.connectome.segregation import matrix_clustering, matrix_path_length
from graphcolumns.analysis.connectome.small_world import random_matrix
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import EdgeLinear
from graphcolumns.studies.study_run import StudyRun

# Density of the random graphs of the published demonstration, whose sigma is of a sparser graph.
UNMATCHED = 0.18


def weighted_network(
    run: StudyRun, density: float = 0.1, sparser: float = 0.03, nulls: int = 20, seed: int = 0
) -> dict[str, float]:
    r"""Modularity, wiring and small-world measures of the strongest weights.

    Sizes of weights are symmetrised, and the strongest ``density`` of all pairs make a graph
    without directions. Its modularity Q, the best of ten runs of Louvain's method, is compared with
    the mean of ``nulls`` graphs of the same degrees, and of the same mean length.

    Args:
        run: Trained run of a model with one layer of signed weights on edges.
        density: Share of all pairs that is kept.
        sparser: Share that is kept for ``sparse_excess`` and ``sparse_ratio``, because a price may
            leave fewer weights than ``density``.
        nulls: Number of graphs of each null.
        seed: Seed of the nulls and of Louvain's method.

    Returns:
        ``modularity``; ``modularity_excess`` and ``modularity_z`` over graphs of the same degrees;
        ``weighted_excess``, the excess with weights, which nulls keep pair by pair;
        ``length_excess`` over graphs of the same mean length; ``wiring_ratio`` and ``wiring_z``
        against permuted positions; ``sparse_excess`` and ``sparse_ratio``, excess of modularity and
        wiring ratio of fewer pairs; ``weighted_ratio``, that of all weights without a threshold;
        ``propensity``, ``omega`` and ``sigma``, see :class:`.SmallWorld`; ``unmatched_sigma``, with
        random graphs of density .18; ``large_weights``, the share of the weights whose size is
        above a hundredth of the largest.

    Raises:
        ValueError: The model has no layer of signed weights, or several.
    """
    size = edge_sizes(run)
    graph, weights = strongest_pairs(run.graph, size, density)
    cost, world = wiring_cost(graph, run.geometry), small_world(graph, seed=seed)
    return {
        **_modularity(graph, weights, run.geometry, nulls, seed),
        "wiring_ratio": cost.ratio,
        "wiring_z": cost.z,
        **_sparse(run, size, sparser, nulls, seed),
        "weighted_ratio": weighted_ratio(run.graph, size, cost.pair_mean),
        "propensity": world.propensity,
        "omega": world.omega,
        "sigma": world.sigma,
        "unmatched_sigma": unmatched_sigma(world, run.graph.num_columns, seed),
        "large_weights": float((size > 0.01 * size.max()).double().mean()),
    }


def edge_sizes(run: StudyRun) -> Tensor:
    """Size of the weight of every edge of the run, ``[E]``."""
    layers = [part for part in run.model.modules() if isinstance(part, EdgeLinear)]
    if len(layers) != 1 or layers[0].heads != 1:
        raise ValueError(
            "the weights of a network are those of one EdgeLinear with one head. Got "
            f"{len(layers)} such layers in {type(run.model).__name__}."
        )
    return layers[0].weight.detach().abs()


def weighted_ratio(graph: ColumnGraph, size: Tensor, pair_mean: float) -> float:
    r"""Length of all weights over its mean under permuted positions.

    :math:`\sum |w| d / (\bar d \sum |w|)` over edges between different columns.

    Args:
        graph: Edges with lengths.
        size: Size of the weight of every edge, ``[E]``.
        pair_mean: Mean distance :math:`\bar d` of all pairs of columns.
    """
    assert graph.distance is not None
    between = graph.source != graph.target
    paid, length = size[between].double(), graph.distance[between].double()
    return float(paid @ length / (pair_mean * paid.sum()))


def unmatched_sigma(world: SmallWorld, columns: int, seed: int = 0) -> float:
    """Sigma of a graph whose random graphs have another density, .18: a control.

    Args:
        world: Clustering and path length of the graph.
        columns: Number of its columns.
        seed: Seed of the random graph.
    """
    edges = round(UNMATCHED * columns * (columns - 1) / 2)
    random = random_matrix(columns, edges, seed)
    clustering, length = matrix_clustering(random).mean(), matrix_path_length(random)
    return float(world.clustering / clustering * length / world.path_length)


def _sparse(run: StudyRun, size: Tensor, density: float, nulls: int, seed: int) -> dict[str, float]:
    graph, _ = strongest_pairs(run.graph, size, density)
    found = null_values(
        *(graph, partial(modularity, seed=seed), rewire_degrees, nulls, seed),
        options={"undirected": True},
    )
    ratio = wiring_cost(graph, run.geometry).ratio
    return {"sparse_excess": found.observed - found.mean, "sparse_ratio": ratio}


def _modularity(
    graph: ColumnGraph, weights: Tensor, geometry: Geometry, nulls: int, seed: int
) -> dict[str, float]:
    options = {"undirected": True}

    def binary(graph: ColumnGraph, weights: Tensor | None = None) -> float:
        return modularity(graph, seed=seed)

    def weighted(graph: ColumnGraph, weights: Tensor) -> float:
        return modularity(graph, weights, seed=seed)

    degrees = null_values(graph, binary, rewire_degrees, nulls, seed, options=options)
    lengths = null_values(
        graph, binary, draw_by_distance, nulls, seed, geometry=geometry, options=options
    )
    strong = null_values(graph, weighted, rewire_degrees, nulls, seed, weights, options=options)
    return {
        "modularity": degrees.observed,
        "modularity_excess": degrees.observed - degrees.mean,
        "modularity_z": degrees.z,
        "weighted_excess": strong.observed - strong.mean,
        "length_excess": lengths.observed - lengths.mean,
    }
