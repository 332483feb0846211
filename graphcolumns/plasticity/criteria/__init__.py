"""Criteria: how much an edge is worth, and how much a candidate would be.

A criterion is a function from :class:`~graphcolumns.plasticity.Evidence` on ``P`` pairs to one
number per pair, ``[P]``. It changes neither the model nor the graph. ``Scoring(prune=...)`` prunes
the edges of the lowest values, ``Scoring(grow=...)`` grows the candidates of the highest. One file
holds one family.
"""

from graphcolumns.plasticity.criteria import homeostasis
from graphcolumns.plasticity.criteria.activity import hebbian
from graphcolumns.plasticity.criteria.controls import age, chance, distance_kernel, length
from graphcolumns.plasticity.criteria.gradient import (
    advantage,
    attention_gradient,
    gradient_size,
    mest,
    movement,
)
from graphcolumns.plasticity.criteria.loss_change import (
    deletion_cost,
    fisher_taylor,
    insertion_gain,
)
from graphcolumns.plasticity.criteria.magnitude import (
    candidate_mass,
    mass,
    relative_importance,
    weight_size,
)
from graphcolumns.plasticity.criteria.topology import ch2_l3n, matching_index

__all__ = [
    "advantage",
    "age",
    "attention_gradient",
    "candidate_mass",
    "ch2_l3n",
    "chance",
    "deletion_cost",
    "distance_kernel",
    "fisher_taylor",
    "gradient_size",
    "hebbian",
    "homeostasis",
    "insertion_gain",
    "length",
    "mass",
    "matching_index",
    "mest",
    "movement",
    "relative_importance",
    "weight_size",
]
