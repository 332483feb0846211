"""An edge set that is pruned and regrown while the model trains.

A `Rule` is two scores and a few numbers; `Plasticity` is a rule at work on a model; `presets` are
the rules of the literature, and ours. One update: `candidates` draws pairs that are not edges,
`select` decides from scores which edges die and which pairs are born, `rewire` makes the new
graph, and `carry` brings every parameter, moment and average along with its edge.
"""

from graphcolumns.nn.per_edge import edge_parameters
from graphcolumns.plasticity import grow, presets, prune, samplers, schedules
from graphcolumns.plasticity.arrival import require_arrival
from graphcolumns.plasticity.budget import At, Budget, Every
from graphcolumns.plasticity.candidates import Everything, candidates
from graphcolumns.plasticity.carry import carry
from graphcolumns.plasticity.choice import Selection
from graphcolumns.plasticity.constraints import Constraints
from graphcolumns.plasticity.cool_down import CoolDown
from graphcolumns.plasticity.current_geometry import current_geometry
from graphcolumns.plasticity.edge_adamw import EdgeAdamW
from graphcolumns.plasticity.evidence import Evidence
from graphcolumns.plasticity.mesh_parts import mesh_parts
from graphcolumns.plasticity.newborn import epsilon, neighbours_median, node_mean, zero
from graphcolumns.plasticity.optimizer_edges import keep_edges
from graphcolumns.plasticity.origin import nearest_columns
from graphcolumns.plasticity.place_columns import Placement, place_columns
from graphcolumns.plasticity.plasticity import Plasticity, Update
from graphcolumns.plasticity.proposals import Distance, Mixture, Norms, TwoHop, Uniform
from graphcolumns.plasticity.rescale import Rescaling, remove_columns, rescale
from graphcolumns.plasticity.rewire import rewire
from graphcolumns.plasticity.rewiring import Rewiring
from graphcolumns.plasticity.rule import Rule
from graphcolumns.plasticity.select import select, soft
from graphcolumns.plasticity.slots import move_columns, swap_change, swapped, wire_cost

__all__ = [
    "At",
    "Budget",
    "Constraints",
    "CoolDown",
    "Distance",
    "EdgeAdamW",
    "Every",
    "Everything",
    "Evidence",
    "Mixture",
    "Norms",
    "Placement",
    "Plasticity",
    "Rescaling",
    "Rewiring",
    "Rule",
    "Selection",
    "TwoHop",
    "Uniform",
    "Update",
    "candidates",
    "carry",
    "current_geometry",
    "edge_parameters",
    "epsilon",
    "grow",
    "keep_edges",
    "mesh_parts",
    "move_columns",
    "nearest_columns",
    "neighbours_median",
    "node_mean",
    "place_columns",
    "presets",
    "prune",
    "remove_columns",
    "require_arrival",
    "rescale",
    "rewire",
    "samplers",
    "schedules",
    "select",
    "soft",
    "swap_change",
    "swapped",
    "wire_cost",
    "zero",
]
