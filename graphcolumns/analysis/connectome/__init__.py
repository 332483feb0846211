"""Numbers about a connectome, of a model or of a brain, and the nulls to hold them against."""

from graphcolumns.analysis.connectome.lengths import (
    distance_rule,
    pair_lengths,
    rule_weights,
    wire_lengths,
)

__all__ = ["distance_rule", "pair_lengths", "rule_weights", "wire_lengths"]
