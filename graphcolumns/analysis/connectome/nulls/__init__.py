"""Null models of a connectome: random graphs that keep some of its properties and nothing else."""

from graphcolumns.analysis.connectome.nulls.binned_lengths import rewire_within_lengths
from graphcolumns.analysis.connectome.nulls.by_distance import draw_by_distance
from graphcolumns.analysis.connectome.nulls.degrees import rewire_degrees
from graphcolumns.analysis.connectome.nulls.relabel import flip_directions, permute_positions
from graphcolumns.analysis.connectome.nulls.slots import NullDraw
from graphcolumns.analysis.connectome.nulls.strengths import anneal_strengths
from graphcolumns.analysis.connectome.nulls.values import NullValues, null_values

__all__ = [
    "NullDraw",
    "NullValues",
    "anneal_strengths",
    "draw_by_distance",
    "flip_directions",
    "null_values",
    "permute_positions",
    "rewire_degrees",
    "rewire_within_lengths",
]
