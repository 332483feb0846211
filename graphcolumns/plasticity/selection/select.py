"""Which edges are dropped and which pairs grow, from their scores."""

from __future__ import annotations

import math

from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import pair_keys
from graphcolumns.plasticity.selection.constraints import Constraints
from graphcolumns.plasticity.selection.edge_pairs import EdgePairs, both_ways, edge_pairs
from graphcolumns.plasticity.selection.selector import Selection, SwapSelector
from graphcolumns.random.counter import gumbel


def select(
    graph: ColumnGraph,
    drop_score: Tensor,
    pairs: tuple[Tensor, Tensor],
    grow_score: Tensor,
    *,
    fraction: float,
    edges: int | None = None,
    length: float | None = None,
    pair_length: Tensor | None = None,
    eligible: Tensor | None = None,
    constraints: Constraints | None = None,
    margin: float | None = None,
    least: float = -math.inf,
    regrow_score: Tensor | None = None,
    overhead: float | None = None,
) -> Selection:
    r"""Drop the lowest scores and grow the highest, as the constraints and the budget allow.

    Of the eligible edges :math:`\lfloor a E \rfloor` are dropped, and as many more as the budget
    shrinks by; what grows fills the budget. Edges are taken in the order of their scores (ties: of
    their keys), and one that would break a constraint is skipped: so a swap never needs repair.
    Where there are too few pairs to grow, the best of the dropped edges stay instead.

    With ``margin`` a swap must gain: the k-th edge is dropped and the k-th pair grows only while
    :math:`G_k > S_k + \mathrm{margin}`; both scores must be in one unit, such as the loss. Under a
    budget of length, a pair must gain more than all edges that make room for it, see
    ``swap_within_length``.

    Everything is on the CPU in float64, so the choice is a function of the scores alone.

    Args:
        graph: Edges as they are.
        drop_score: Scores ``S`` of the edges, ``[E]``; low is dropped.
        pairs: Targets and sources ``[K]`` of pairs that may grow; ``Constraints.may_grow`` decides.
        grow_score: Scores ``G`` of the pairs, ``[K]``; high is grown.
        fraction: Share ``a`` of the eligible edges that is dropped, in [0, 1].
        edges: Budget, the number of edges afterwards (default: as many as now).
        length: Budget of summed length instead; what fits grows, whatever its number.
        pair_length: Lengths ``[K]``, needed with ``length``; infinitely long pairs never grow.
        eligible: Whether each edge may be dropped, ``[E]`` bool (default: all), see
            ``Constraints.may_prune``.
        constraints: Further rules (default: no new self-edges).
        margin: Least gain of a swap (default: swaps need not gain).
        least: Score that a pair must be above to grow.
        regrow_score: Scores ``G`` of the edges there are, ``[E]``: those that are dropped compete
            with the pairs, as in RigL (default: what is dropped does not grow again at once).
        overhead: Cost of an edge whatever its length, in units of length, above 0. Edges are then
            taken in the order of score / (overhead + length), the greedy solution of a knapsack;
            without overhead the shortest edges would always stay.

    Raises:
        ValueError: Scores of another shape or not numbers, a fraction outside [0, 1], both
            budgets, a length without lengths or that cannot be kept to, a combination that is not
            defined, or a graph that breaks the constraints already.
    """
    rules = Constraints() if constraints is None else constraints
    _check(graph, fraction, edges, length, pair_length, rules, overhead)
    selector = SwapSelector(graph, rules, edges, length, overhead)
    old, again = _droppable(selector, drop_score, regrow_score, eligible)
    new = _growable(selector, pairs, grow_score, pair_length, least)
    swaps = math.floor(fraction * int(old.size.sum()) + 1e-9)  # 0.29 * 100 is 28.999999999999996
    if margin is not None and length is not None:
        if regrow_score is not None:
            raise ValueError(
                "swaps that gain under a budget of length never take back what they dropped. Got "
                "regrow_score; leave it out."
            )
        return selector.result(*selector.swap_within_length(old, new, swaps, margin))
    dropped, grown = selector.swap(old, new, again, swaps)
    final = selector.without_excess(dropped, grown)
    # Fewer births let more of the dropped edges stay, so other edges are compared: until all gain.
    while margin is not None and (few := selector.gaining(final, grown, margin)):
        if again is None:
            grown = grown.at(slice(few.births))
        else:
            dropped, grown = selector.swap(old, new, again, few.edges)
        final = selector.without_excess(dropped, grown)
    return selector.result(final, grown)


def _droppable(
    selector: SwapSelector, score: Tensor, regrow_score: Tensor | None, eligible: Tensor | None
) -> tuple[EdgePairs, EdgePairs | None]:
    """Edges that may be dropped, lowest score first; the same with their score for growing."""
    graph, both = selector.graph, selector.both
    length = None if selector.length is None else graph.distance
    ends = graph.target, graph.source
    may = selector.rules.may_prune(graph).cpu()
    may = may if eligible is None else may & eligible.cpu()
    every = edge_pairs(graph, *ends, score, length, both)
    if both:
        may = both_ways(may, graph, every.target, every.source)
    places = may.nonzero()[:, 0]
    places = places[every.at(places).order(False, selector.overhead)]
    old = every.at(places)
    del every  # of millions of edges each list is a large part of the memory
    if regrow_score is None:
        return old, None
    return old, edge_pairs(graph, *ends, regrow_score, length, both).at(places)


def _growable(
    selector: SwapSelector,
    pairs: tuple[Tensor, Tensor],
    score: Tensor,
    length: Tensor | None,
    least: float,
) -> EdgePairs:
    """Pairs that may grow, highest score first."""
    graph = selector.graph
    may = selector.rules.may_grow(graph, *pairs).cpu() & (score.cpu() > least)
    if length is not None:  # no edge of a measured graph may be without length
        may &= length.detach().cpu().isfinite()
    targets, sources, score = (x.cpu()[may] for x in (*pairs, score))
    reach = None if selector.length is None or length is None else length.cpu()[may]
    new = edge_pairs(graph, targets, sources, score, reach, selector.both)
    return new.at(new.order(True, selector.overhead))


def gumbel_scores(
    log_weight: Tensor, graph: ColumnGraph, pairs: tuple[Tensor, Tensor], seed: int, update: int,
    purpose: str,
) -> Tensor:  # fmt: skip
    r"""Scores whose k highest are k draws without replacement by weight: Gumbel top-k.

    Every pair has a Gumbel number of its own, a function of (seed, purpose, update, pair), so the
    draw depends neither on the order of the pairs nor on which others there are. CHTs drops and
    grows by :math:`w = \mathrm{score}^T`, which is ``T * score.log()``, with ``T`` from 1 to 9. To
    drop by weight, negate the result.

    Args:
        log_weight: Logarithms of the weights, ``[K]``; ``-inf`` is drawn last.
        graph: Graph of the pairs, which tells the number of sources.
        pairs: Targets and sources, ``[K]``.
        seed: Seed of the run, 0 or above.
        update: Number of the update.
        purpose: ``"drop"`` or ``"grow"``, so that the two draws are independent.
    """
    keys = pair_keys(*pairs, graph.num_sources)
    return log_weight.cpu().double() + gumbel(seed, purpose, update, keys)


def _check(
    graph: ColumnGraph,
    fraction: float,
    edges: int | None,
    length: float | None,
    pair_length: Tensor | None,
    rules: Constraints,
    overhead: float | None,
) -> None:
    rules.check(graph)
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction must be in [0, 1]. Got {fraction}.")
    if edges is not None and length is not None:
        raise ValueError(f"give one budget. Got edges={edges} and length={length}.")
    if length is not None and (graph.distance is None or pair_length is None):
        raise ValueError(
            "a budget of length needs a graph with distances, and pair_length. Got "
            f"{'no distances' if graph.distance is None else 'no pair_length'}; call "
            "graph.remeasure(geometry), or give pair_length."
        )
    if length is not None and rules.same_in_degree:
        raise ValueError(
            "with a budget of length the number of edges is free, so swaps are not one for one. "
            "Got same_in_degree=True; use a budget of edges."
        )
    if rules.same_in_degree and edges not in (None, graph.num_edges):
        raise ValueError(
            f"with same_in_degree the number of edges stays {graph.num_edges}. Got edges={edges}."
        )
    if edges is not None and edges < rules.min_in * graph.num_columns:
        raise ValueError(
            f"{graph.num_columns} columns of at least {rules.min_in} in-edges need more than "
            f"edges={edges}. Raise the budget or lower min_in."
        )
    if overhead is not None and (length is None or not overhead > 0):
        raise ValueError(
            f"overhead must be positive and needs a budget of length. Got overhead={overhead} and "
            f"length={length}."
        )
