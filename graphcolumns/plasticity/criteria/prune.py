"""What edges are worth, as rules take it: from `Evidence` on the edges to `[E]`, lowest dropped.

The formulas are in `graphcolumns.plasticity.criteria.catalogue`.
"""

from __future__ import annotations

from torch import Tensor

from graphcolumns.plasticity.criteria import catalogue as scores
from graphcolumns.plasticity.probe.evidence import Evidence


def mass(edges: Evidence) -> Tensor:
    """The attention that an edge gets, or the size of its weight: `Evidence.mass`."""
    return edges.mass


def bias(edges: Evidence) -> Tensor:
    """The size of the weights, of an edge bias around the mean of its column: `scores.size`."""
    return scores.size(edges.centred_weight)


def taylor(edges: Evidence) -> Tensor:
    """How much the loss rises without the edge, to first order: `scores.taylor`."""
    return scores.taylor(edges.scores)


def fisher_taylor(edges: Evidence, own: bool = True) -> Tensor:
    """The same with curvature: `scores.fisher_taylor`.

    Args:
        edges: what is known of them.
        own: the curvature of the model's own predictions, one more pass, instead of that of the
            true labels, which vanishes in a model that fits them.
    """
    curvature = edges.fisher if own else None  # first, so that one pass does for both
    return scores.fisher_taylor(edges.scores, curvature)


def attention_gradient(edges: Evidence) -> Tensor:
    """Attention times gradient: `scores.attention_gradient`."""
    return scores.attention_gradient(edges.scores)


def movement(edges: Evidence) -> Tensor:
    """Whether training moved the weights away from zero since the last update: `scores.movement`.

    Needs `Scoring(watch_movement=True)`.
    """
    if "movement" not in edges.memory:
        raise ValueError(
            "movement is accumulated from the gradients of parameters per edge, such as an edge "
            "bias or the weights of EdgeLinear. Expected a rule that watches them. Got none so "
            "far; set Scoring(watch_movement=True)."
        )
    return edges.memory["movement"]


def mest(edges: Evidence, weight: float = 0.01) -> Tensor:
    """Size and gradient of the weights, head by head: `scores.mest`."""
    return scores.mest(edges.weight, edges.weight_gradient, weight)


def relative_importance(edges: Evidence) -> Tensor:
    """The share of attention at both ends: `scores.relative_importance` of `mass`."""
    return scores.relative_importance(mass(edges), edges.graph)


def random(edges: Evidence) -> Tensor:
    """Chance, a function of (seed, update, edge): `scores.random`."""
    pairs = edges.targets, edges.sources
    return scores.random(*pairs, edges.graph.num_sources, edges.seed, edges.update)


def length(edges: Evidence) -> Tensor:
    """The longest first: `scores.length`."""
    return scores.length(edges.distance)


def age(edges: Evidence, oldest_first: bool = False) -> Tensor:
    """The youngest first, or the oldest: `scores.age`."""
    return scores.age(edges.age, oldest_first)
