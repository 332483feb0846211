"""Graphs with the degrees of a graph and, nearly, the strengths of its columns."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from graphcolumns.analysis.connectome.nulls.annealing import Annealing
from graphcolumns.analysis.connectome.nulls.checks import check_positive
from graphcolumns.analysis.connectome.nulls.slots import NullDraw, edge_slots
from graphcolumns.analysis.connectome.nulls.swaps import Swaps
from graphcolumns.analysis.connectome.pairs import check_real
from graphcolumns.connect.draws import numpy_generator
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph


def anneal_strengths(
    graph: ColumnGraph,
    weights: Tensor | None = None,
    geometry: Geometry | None = None,
    seed: int = 0,
    tolerance: float = 0.05,
    rounds: int = 2000,
    swaps_per_edge: float = 10,
    undirected: bool = False,
) -> NullDraw:
    r"""A random graph of the observed degrees in which columns have nearly their strengths.

    The graph is rewired as by ``rewire_degrees`` and then annealed: swaps of the targets of two
    edges, and exchanges of the weights of two edges of one source, are accepted with probability
    :math:`\min(1, e^{-\Delta / T})` while the temperature falls. The energy is
    :math:`\sum_i (s_i - \hat s_i)^2`, where the strength :math:`s_i` is the sum of the weights of
    in-edges and :math:`\hat s_i` is observed. Weights stay with the sources of their edges, so that
    degrees and the sums of the weights of out-edges are exact. The error is the root of the energy
    over that of :math:`\sum_i \hat s_i^2`, and annealing ends when it is within the tolerance.
    Self-edges stay, with their weights, and are in no strength.

    The paper exchanges weights on a rewired graph that stays. Where edges are few and weights
    heavy-tailed that cannot reach the strengths, as a large weight needs an edge from a column that
    sends much to one that receives much.

    Args:
        graph: Edges among columns.
        weights: Weight of every edge, ``[E]``, 0 or above, required.
        geometry: Positions of the columns, which measure the edges.
        seed: Seed of the draw, 0 or above.
        tolerance: Largest error, relative to the strengths.
        rounds: Largest number of rounds of swaps, of which one tries up to half of the columns; an
            eighth of them come first, and mostly suffice.
        swaps_per_edge: Mean number of swaps per edge of the rewiring.
        undirected: Whether every edge has its reverse, and keeps it. A column has one strength.

    Raises:
        ValueError: No weights, or some below 0; a tolerance that is not reached, or what
            ``rewire_degrees`` raises.

    Source: Milisav et al., A simulated annealing algorithm for randomizing weighted networks,
    Nature Computational Science 5 (2025).
    """
    options = {"swaps_per_edge": swaps_per_edge, "tolerance": tolerance, "rounds": rounds}
    for name, value in options.items():
        check_positive(name, value)
    weights = require_weights(weights)
    state = edge_slots(graph, weights, undirected, self_edges=False)
    generator = numpy_generator(seed)
    if len(state.source):
        values = weights.detach().double().cpu().numpy()[state.origin]
        start = Annealing(state, values, np.zeros(graph.num_columns), generator)
        wanted = start.sums()
        Swaps(state, generator).run(swaps_per_edge)
        Annealing(state, values, wanted, generator).run(tolerance, rounds)
    return state.draw(graph, weights, geometry)


def require_weights(weights: Tensor | None) -> Tensor:
    """The weights, or an error if there are none or some are below 0."""
    if weights is None:
        raise ValueError("anneal_strengths needs a weight per edge. Got None; pass weights=.")
    check_real(weights)
    if bool((weights < 0).any()):
        raise ValueError(
            "weights must be 0 or above, as those of both signs would cancel. Got "
            f"{float(weights.min())}; pass the graph of one sign at a time."
        )
    return weights
