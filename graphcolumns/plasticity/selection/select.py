"""Which edges die and which are born, from their scores."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import edge_keys, pair_keys
from graphcolumns.plasticity.selection.constraints import Constraints
from graphcolumns.plasticity.selection.edge_pairs import EdgePairs, edge_pairs
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

    Of the eligible edges :math:`\lfloor a E \rfloor` die, and as many more as the budget shrinks
    by; births fill the budget. Edges are taken in the order of their scores (ties: of their keys),
    and one that would break a constraint is skipped: so a swap never needs repair. Where there
    are too few pairs to grow, the best of the dropped edges stay instead.

    With `margin` a swap must gain: the k-th drop and the k-th birth happen only while
    :math:`G_k > S_k + \mathrm{margin}`; both scores must be in one unit, such as the loss. Under a
    budget of length, a birth must gain more than all deaths that make room for it, see `exchange`.

    Everything is on the CPU in float64, so the choice is a function of the scores alone.

    Args:
        graph: the edges.
        drop_score: `S`, `[E]`; low is dropped.
        pairs: targets and sources `[K]` of pairs that may grow; `Constraints.may_grow` decides.
        grow_score: `G`, `[K]`; high is grown.
        fraction: `a`, in [0, 1].
        edges: budget, the number of edges afterwards (default: as many as now).
        length: budget of summed length instead; births are those that fit, whatever their number.
        pair_length: `[K]`, needed with `length`; infinitely long pairs never grow.
        eligible: edges that may die, `[E]` bool (default: all), see `Constraints.may_die`.
        constraints: further rules (default: no new self-edges).
        margin: least gain of a swap (default: swaps need not gain).
        least: no pair grows whose score is not above this.
        regrow_score: `G` of the edges there are, `[E]`: those that are dropped compete with the
            pairs, as in RigL (default: what is dropped does not grow again at once).
        overhead: take edges in the order of score / (overhead + length) instead, the greedy
            solution of a knapsack. It is what an edge costs whatever its length, in units of
            length, above 0: without it the shortest edges would always stay.

    Raises:
        ValueError: scores of another shape or not numbers, a fraction outside [0, 1], both
            budgets, a length without lengths or that cannot be kept to, a combination that is not
            defined, or a graph that breaks the constraints already.
    """
    rules = Constraints() if constraints is None else constraints
    _check(graph, fraction, edges, length, pair_length, rules)
    _check_order(length, margin, overhead, regrow_score)
    choice = SwapSelector(graph, rules, edges, length, overhead)
    die = torch.ones(graph.num_edges, dtype=torch.bool) if eligible is None else eligible.cpu()
    die = die & rules.may_die(graph).cpu()
    distance = None if length is None else graph.distance
    both = rules.symmetric
    old = _droppable(graph, drop_score, distance, die, both).best(False, overhead)
    again = None if regrow_score is None else _rescored(graph, old, regrow_score, distance, both)
    may = rules.may_grow(graph, *pairs).cpu() & (grow_score.cpu() > least)
    if pair_length is not None:  # no edge of a measured graph may be without length
        may &= pair_length.detach().cpu().isfinite()
    targets, sources, score = (x.cpu()[may] for x in (*pairs, grow_score))
    reach = None if length is None or pair_length is None else pair_length.cpu()[may]
    new = edge_pairs(graph, targets, sources, score, reach, both).best(True, overhead)
    swaps = math.floor(fraction * int(old.size.sum()) + 1e-9)  # 0.29 * 100 is 28.999999999999996
    if margin is not None and length is not None:
        return choice.result(*choice.exchange(old, new, swaps, margin))
    dropped, grown = choice.swap(old, new, again, swaps)
    dies = choice.without_excess(dropped, grown)
    while margin is not None and (few := choice.gaining(dropped.at(dies), grown, margin)):
        if again is None:
            grown = grown.at(slice(few.births))
        else:
            dropped, grown = choice.swap(old, new, again, few.edges)
        dies = choice.without_excess(dropped, grown)
    return choice.result(dropped.at(dies), grown)


def gumbel_scores(
    log_weight: Tensor, graph: ColumnGraph, pairs: tuple[Tensor, Tensor], seed: int, update: int,
    purpose: str,
) -> Tensor:  # fmt: skip
    r"""Scores whose k highest are k draws without replacement by weight: Gumbel top-k.

    Every pair has a Gumbel number of its own, a function of (seed, purpose, update, pair), so the
    draw depends neither on the order of the pairs nor on which others there are. CHTs drops and
    grows by :math:`w = \mathrm{score}^T`, which is `T * score.log()`, with `T` from 1 to 9. To
    drop by weight, negate the result.

    Args:
        log_weight: `[K]`; `-inf` is drawn last.
        graph: tells how many sources there are.
        pairs: targets and sources, `[K]`.
        seed: 0 or above.
        update: number of the update.
        purpose: `"drop"` or `"grow"`, so that the two draws are independent.
    """
    keys = pair_keys(*pairs, graph.num_sources)
    return log_weight.cpu().double() + gumbel(seed, purpose, update, keys)


def _droppable(
    graph: ColumnGraph, score: Tensor, length: Tensor | None, die: Tensor, both: bool
) -> EdgePairs:
    """EdgePairs of which every edge may die."""
    old = edge_pairs(graph, graph.target, graph.source, score, length, both)
    if not both:  # each unit is an edge, in the order of the edges
        return old.at(die)
    keys = edge_keys(graph).cpu()
    ends = (old.target, old.source), (old.source, old.target)
    there, back = (torch.searchsorted(keys, pair_keys(*e, graph.num_sources)) for e in ends)
    return old.at(die[there] & die[back])


def _rescored(
    graph: ColumnGraph, old: EdgePairs, score: Tensor, length: Tensor | None, both: bool
) -> EdgePairs:
    """The units of `old`, in their order, with other scores."""
    every = edge_pairs(graph, graph.target, graph.source, score, length, both)
    keys = [pair_keys(some.target, some.source, graph.num_sources) for some in (every, old)]
    return every.at(torch.searchsorted(*keys))


def _check(
    graph: ColumnGraph,
    fraction: float,
    edges: int | None,
    length: float | None,
    pair_length: Tensor | None,
    rules: Constraints,
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


def _check_order(
    length: float | None,
    margin: float | None,
    overhead: float | None,
    regrow_score: Tensor | None,
) -> None:
    if overhead is not None and (length is None or not overhead > 0):
        raise ValueError(
            f"overhead must be positive and needs a budget of length. Got overhead={overhead} and "
            f"length={length}."
        )
    if None not in (length, margin) and regrow_score is not None:
        raise ValueError(
            "swaps that gain under a budget of length never take back what they dropped. Got "
            "regrow_score; leave it out."
        )
