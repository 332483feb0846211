"""Layers with a bottom-up and a top-down pass, and networks of them.

Values of populations are bottom-up neurons, their counter neurons the top-down ones; the three
passes of a model are in ``graphcolumns.models.bottom_up_top_down``.
"""

from graphcolumns.nn.top_down.edges import TopDownEdges
from graphcolumns.nn.top_down.gates import gates_of
from graphcolumns.nn.top_down.layer import Identity, TopDownLayer
from graphcolumns.nn.top_down.linear import TopDownLinear
from graphcolumns.nn.top_down.network import Neurons, Projection, TopDownNetwork
from graphcolumns.nn.top_down.population import Population
from graphcolumns.nn.top_down.weighted import Feedback, WeightedTopDownLayer

__all__ = [
    "Feedback",
    "Identity",
    "Neurons",
    "Population",
    "Projection",
    "TopDownEdges",
    "TopDownLayer",
    "TopDownLinear",
    "TopDownNetwork",
    "WeightedTopDownLayer",
    "gates_of",
]
