"""Scores: how much edges are worth (lowest drop first) and candidates would be (highest grow)."""

from graphcolumns.plasticity.scores.activity import growth_curve, hebbian, homeostatic
from graphcolumns.plasticity.scores.grow import (
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
from graphcolumns.plasticity.scores.prune import (
    age,
    attention_gradient,
    bias,
    fisher_taylor,
    length,
    mass,
    mest,
    movement,
    relative_importance,
    taylor,
)
from graphcolumns.plasticity.scores.topology import ch2_l3n, matching_index

__all__ = [
    "advantage",
    "age",
    "attention_gradient",
    "bias",
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
    "taylor",
    "would_be_attention",
]
