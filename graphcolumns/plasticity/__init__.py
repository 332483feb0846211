"""An edge set that is pruned and regrown while the model trains.

One update: `candidates` draws pairs that are not edges, `select` decides from scores which edges
die and which pairs are born, `rewire` makes the new graph, and `carry` brings every parameter,
moment and average along with its edge.
"""

from graphcolumns.plasticity import schedules
from graphcolumns.plasticity.budget import At, Budget, Every
from graphcolumns.plasticity.candidates import Everything, candidates
from graphcolumns.plasticity.carry import carry
from graphcolumns.plasticity.choice import Selection
from graphcolumns.plasticity.constraints import Constraints
from graphcolumns.plasticity.cool_down import CoolDown
from graphcolumns.plasticity.edge_adamw import EdgeAdamW
from graphcolumns.plasticity.newborn import epsilon, neighbours_median, node_mean, zero
from graphcolumns.plasticity.per_edge import edge_parameters
from graphcolumns.plasticity.proposals import Distance, Mixture, Norms, TwoHop, Uniform
from graphcolumns.plasticity.rewire import rewire
from graphcolumns.plasticity.rewiring import Rewiring
from graphcolumns.plasticity.select import select, soft

__all__ = [
    "At",
    "Budget",
    "Constraints",
    "CoolDown",
    "Distance",
    "EdgeAdamW",
    "Every",
    "Everything",
    "Mixture",
    "Norms",
    "Rewiring",
    "Selection",
    "TwoHop",
    "Uniform",
    "candidates",
    "carry",
    "edge_parameters",
    "epsilon",
    "neighbours_median",
    "node_mean",
    "rewire",
    "schedules",
    "select",
    "soft",
    "zero",
]
