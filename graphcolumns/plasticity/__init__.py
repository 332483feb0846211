"""An edge set that is pruned and regrown while the model trains.

A ``Rule`` holds criteria, schedules and a budget; ``Plasticity`` applies a rule to a model;
``presets`` are the rules of the literature, and ours. One update: ``draw_candidates`` draws pairs
that are not edges, ``select`` decides from scores which edges are pruned and which pairs are grown,
``rewire`` makes the new graph, and ``carry`` moves every parameter, moment and average with its
edge.
"""

from graphcolumns.nn.per_edge import edge_parameters
from graphcolumns.plasticity import criteria
from graphcolumns.plasticity.candidates import proposals as samplers
from graphcolumns.plasticity.candidates.draw import draw_candidates
from graphcolumns.plasticity.candidates.mesh_parts import mesh_parts
from graphcolumns.plasticity.candidates.proposals import (
    Distance,
    Everything,
    Mixture,
    Norms,
    TwoHop,
    Uniform,
)
from graphcolumns.plasticity.probe.evidence import Evidence
from graphcolumns.plasticity.rewiring.cool_down import CoolDown
from graphcolumns.plasticity.rewiring.rewiring import Rewiring, rewire
from graphcolumns.plasticity.rules import presets, schedules
from graphcolumns.plasticity.rules.acceptance import Acceptance
from graphcolumns.plasticity.rules.arrival import require_arrival
from graphcolumns.plasticity.rules.budget import Budget
from graphcolumns.plasticity.rules.newborns import Newborns
from graphcolumns.plasticity.rules.rule import Rule
from graphcolumns.plasticity.rules.rule_from_options import rule_from_options
from graphcolumns.plasticity.rules.schedules import At, Every
from graphcolumns.plasticity.rules.scoring import Scoring
from graphcolumns.plasticity.selection.constraints import Constraints
from graphcolumns.plasticity.selection.select import gumbel_scores, select
from graphcolumns.plasticity.selection.selector import Selection
from graphcolumns.plasticity.state.carry import carry, keep_edges
from graphcolumns.plasticity.state.edge_adamw import EdgeAdamW
from graphcolumns.plasticity.state.newborn import (
    epsilon,
    neighbours_median,
    node_mean,
    zero,
    zero_weight,
)
from graphcolumns.plasticity.update.plasticity import Plasticity, Update

__all__ = [
    "Acceptance",
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
    "Newborns",
    "Norms",
    "Plasticity",
    "Rewiring",
    "Rule",
    "Scoring",
    "Selection",
    "TwoHop",
    "Uniform",
    "Update",
    "carry",
    "criteria",
    "draw_candidates",
    "edge_parameters",
    "epsilon",
    "gumbel_scores",
    "keep_edges",
    "mesh_parts",
    "neighbours_median",
    "node_mean",
    "presets",
    "require_arrival",
    "rewire",
    "rule_from_options",
    "samplers",
    "schedules",
    "select",
    "zero",
    "zero_weight",
]
