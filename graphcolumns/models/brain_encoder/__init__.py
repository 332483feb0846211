"""Brain encoders: learned queries attend to the tokens of an image and answer for vertices.

``model`` joins tokens, a decoder and a read-out; ``decoder`` has the attention of queries,
``readout`` the way from queries to vertices, ``build`` the variants by name. Both steps are sparse:
tokens to queries and queries to vertices are graphs, which rules of plasticity may change.
"""

from graphcolumns.models.brain_encoder.build import (
    brain_encoder,
    cross_attention_encoder,
    linear_encoder,
    spatial_feature_encoder,
)
from graphcolumns.models.brain_encoder.cross import CrossAttentionDecoder
from graphcolumns.models.brain_encoder.decoder import DecoderLayer, QueryDecoder
from graphcolumns.models.brain_encoder.linear import LinearEncoder
from graphcolumns.models.brain_encoder.model import BrainEncoder
from graphcolumns.models.brain_encoder.on_edges import Decoder
from graphcolumns.models.brain_encoder.options import DecoderOptions
from graphcolumns.models.brain_encoder.position import TokenPosition, sine_positions
from graphcolumns.models.brain_encoder.query_attention import Projected, QueryAttention
from graphcolumns.models.brain_encoder.query_edges import one_per_vertex, region_edges
from graphcolumns.models.brain_encoder.readout import VertexReadout
from graphcolumns.models.brain_encoder.spatial import SpatialDecoder

__all__ = [
    "BrainEncoder",
    "CrossAttentionDecoder",
    "Decoder",
    "DecoderLayer",
    "DecoderOptions",
    "LinearEncoder",
    "Projected",
    "QueryAttention",
    "QueryDecoder",
    "SpatialDecoder",
    "TokenPosition",
    "VertexReadout",
    "brain_encoder",
    "cross_attention_encoder",
    "linear_encoder",
    "one_per_vertex",
    "region_edges",
    "sine_positions",
    "spatial_feature_encoder",
]
