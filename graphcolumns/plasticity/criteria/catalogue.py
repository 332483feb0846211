"""Scores: how much edges are worth (lowest drop first) and candidates would be (highest grow)."""

from graphcolumns.plasticity.criteria.activity import growth_curve, hebbian, homeostatic
from graphcolumns.plasticity.criteria.growth import (
    advantage,
    distance,
    insertion,
    mixture,
    momentum,
    one_sided,
    random,
    rigl_abs,
    would_be_attention,
)
from graphcolumns.plasticity.criteria.topology import ch2_l3n, matching_index
from graphcolumns.plasticity.criteria.worth import (
    age,
    attention_gradient,
    fisher_taylor,
    length,
    mass,
    mest,
    movement,
    relative_importance,
    size,
    taylor,
)

__all__ = [
    "advantage",
    "age",
    "attention_gradient",
    "ch2_l3n",
    "distance",
    "fisher_taylor",
    "growth_curve",
    "hebbian",
    "homeostatic",
    "insertion",
    "length",
    "mass",
    "matching_index",
    "mest",
    "mixture",
    "momentum",
    "movement",
    "one_sided",
    "random",
    "relative_importance",
    "rigl_abs",
    "size",
    "taylor",
    "would_be_attention",
]
