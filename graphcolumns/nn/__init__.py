"""Layers: columns that attend along edges, with weights of their own."""

from graphcolumns.nn.attention import ColumnAttention
from graphcolumns.nn.column import Column
from graphcolumns.nn.column_conv import ColumnConv
from graphcolumns.nn.column_places import ColumnPlaces
from graphcolumns.nn.current_geometry import current_geometry
from graphcolumns.nn.edge_bias import EdgeBias
from graphcolumns.nn.edge_linear import EdgeLinear
from graphcolumns.nn.embed import PatchEmbed
from graphcolumns.nn.expert_map import ExpertMap
from graphcolumns.nn.long_range import clamp_long_edges
from graphcolumns.nn.mixture import Mixture
from graphcolumns.nn.pool import LearnedPool
from graphcolumns.nn.positions import LearnedPositions
from graphcolumns.nn.readout import ColumnReadout, MeanReadout, SpatialReadout
from graphcolumns.nn.topology_state import keep_topology
from graphcolumns.nn.untied import UntiedLinear
from graphcolumns.nn.untied_layer_norm import UntiedLayerNorm

__all__ = [
    "Column",
    "ColumnAttention",
    "ColumnConv",
    "ColumnPlaces",
    "ColumnReadout",
    "EdgeBias",
    "EdgeLinear",
    "ExpertMap",
    "LearnedPool",
    "LearnedPositions",
    "MeanReadout",
    "Mixture",
    "PatchEmbed",
    "SpatialReadout",
    "UntiedLayerNorm",
    "UntiedLinear",
    "clamp_long_edges",
    "current_geometry",
    "keep_topology",
]
