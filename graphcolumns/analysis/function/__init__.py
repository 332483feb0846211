"""What the columns of a trained model do: when they respond, to what, and what they are needed for.

``model_states`` runs any model; the other measures take its result, graphs or fields. Lesions need
a model whose layers take states along a graph.
"""

from graphcolumns.analysis.function.cka import cka_matrix, linear_cka
from graphcolumns.analysis.function.decoding import (
    ProbeTransfer,
    decoding_accuracy,
    probe_transfer,
)
from graphcolumns.analysis.function.directions import (
    DirectionContrast,
    EdgeDirections,
    edge_directions,
    length_contrast,
    weight_contrast,
)
from graphcolumns.analysis.function.field_size import receptive_field_areas
from graphcolumns.analysis.function.fields_at_response import fields_at_response
from graphcolumns.analysis.function.latency import ResponseLatency, d_prime, response_latency
from graphcolumns.analysis.function.lesion_effects import (
    LesionEffects,
    LesionRow,
    lesion_effects,
)
from graphcolumns.analysis.function.lesions import Lesion, lesioned
from graphcolumns.analysis.function.model_states import ModelStates, model_states
from graphcolumns.analysis.function.ranks import RankCorrelation, rank_correlation

__all__ = [
    "DirectionContrast",
    "EdgeDirections",
    "Lesion",
    "LesionEffects",
    "LesionRow",
    "ModelStates",
    "ProbeTransfer",
    "RankCorrelation",
    "ResponseLatency",
    "cka_matrix",
    "d_prime",
    "decoding_accuracy",
    "edge_directions",
    "fields_at_response",
    "length_contrast",
    "lesion_effects",
    "lesioned",
    "linear_cka",
    "model_states",
    "probe_transfer",
    "rank_correlation",
    "receptive_field_areas",
    "response_latency",
    "weight_contrast",
]
