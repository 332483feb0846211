"""Brain responses: noise ceilings, scores by region, baselines, ensembles, connectivity."""

from graphcolumns.analysis.brain.algonauts import AlgonautsScore, algonauts_score
from graphcolumns.analysis.brain.connectivity import (
    ConnectivityProfile,
    connectivity_profile,
    functional_connectivity,
)
from graphcolumns.analysis.brain.encoding_table import encoding_table
from graphcolumns.analysis.brain.ensemble import ensemble, ensemble_weights
from graphcolumns.analysis.brain.noise_ceiling import (
    Variances,
    largest_correlation,
    noise_ceiling,
    trial_variances,
)
from graphcolumns.analysis.brain.reliability import spearman_brown, split_half_reliability
from graphcolumns.analysis.brain.table import EncodingTable, TableRow

__all__ = [
    "AlgonautsScore",
    "ConnectivityProfile",
    "EncodingTable",
    "TableRow",
    "Variances",
    "algonauts_score",
    "connectivity_profile",
    "encoding_table",
    "ensemble",
    "ensemble_weights",
    "functional_connectivity",
    "largest_correlation",
    "noise_ceiling",
    "spearman_brown",
    "split_half_reliability",
    "trial_variances",
]
