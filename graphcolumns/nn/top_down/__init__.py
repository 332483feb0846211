"""Layers with a bottom-up and a top-down pass, and networks of them.

Values of populations are bottom-up neurons, their counter neurons the top-down ones; the three
passes of a model are in ``graphcolumns.models.bottom_up_top_down``.
"""

from graphcolumns.nn.top_down.attention import Coefficients, TopDownAttention
from graphcolumns.nn.top_down.average_pool import TopDownAveragePool
from graphcolumns.nn.top_down.batch_norm import TopDownBatchNorm
from graphcolumns.nn.top_down.conv2d import TopDownConv2d
from graphcolumns.nn.top_down.direct_feedback import DirectFeedback
from graphcolumns.nn.top_down.edges import TopDownEdges
from graphcolumns.nn.top_down.empty import EmptySubNetworkWarning, empty_sub_networks
from graphcolumns.nn.top_down.frozen_norm import FrozenNorm
from graphcolumns.nn.top_down.frozen_rms_norm import FrozenRMSNorm
from graphcolumns.nn.top_down.gates import gates_of
from graphcolumns.nn.top_down.layer import Identity, TopDownLayer
from graphcolumns.nn.top_down.linear import TopDownLinear
from graphcolumns.nn.top_down.network import Projection, TopDownNetwork
from graphcolumns.nn.top_down.open_columns import OpenColumns
from graphcolumns.nn.top_down.part import LayerPart, PartGradient
from graphcolumns.nn.top_down.passes import Neurons, PlacedProjection
from graphcolumns.nn.top_down.population import Population
from graphcolumns.nn.top_down.reshape import Reshape
from graphcolumns.nn.top_down.sub_network import SubNetwork
from graphcolumns.nn.top_down.sub_network_neurons import SubNetworkNeurons, TaskSamples
from graphcolumns.nn.top_down.top_down_gradients import top_down_gradients
from graphcolumns.nn.top_down.untied import TopDownUntied
from graphcolumns.nn.top_down.weighted import Feedback, WeightedTopDownLayer

__all__ = [
    "Coefficients",
    "DirectFeedback",
    "EmptySubNetworkWarning",
    "Feedback",
    "FrozenNorm",
    "FrozenRMSNorm",
    "Identity",
    "LayerPart",
    "Neurons",
    "OpenColumns",
    "PartGradient",
    "PlacedProjection",
    "Population",
    "Projection",
    "Reshape",
    "SubNetwork",
    "SubNetworkNeurons",
    "TaskSamples",
    "TopDownAttention",
    "TopDownAveragePool",
    "TopDownBatchNorm",
    "TopDownConv2d",
    "TopDownEdges",
    "TopDownLayer",
    "TopDownLinear",
    "TopDownNetwork",
    "TopDownUntied",
    "WeightedTopDownLayer",
    "empty_sub_networks",
    "gates_of",
    "top_down_gradients",
]
