"""Records of what layers compute along edges, kept on request while a model runs.

Scores of edges are computed from records, not from the type of a layer. Nothing is recorded, and
nothing is paid, outside ``with recording(model) as records: model(inputs)``.
"""

from graphcolumns.nn.recording.attention_mass import attention_mass
from graphcolumns.nn.recording.evaluating import evaluating
from graphcolumns.nn.recording.recorder import recorders, recording
from graphcolumns.nn.recording.records import AttentionRecord, LinearRecord, Record

__all__ = [
    "AttentionRecord",
    "LinearRecord",
    "Record",
    "attention_mass",
    "evaluating",
    "recorders",
    "recording",
]
