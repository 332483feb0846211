"""Numbers about a connectome, of a model or of a brain, and the nulls to hold them against."""

from graphcolumns.analysis.connectome.connectome_table import connectome_table
from graphcolumns.analysis.connectome.counts import (
    Degrees,
    WeightStatistics,
    column_degrees,
    edge_density,
    edge_reciprocity,
    weight_statistics,
)
from graphcolumns.analysis.connectome.distance_fit import (
    DistanceFit,
    DistanceFits,
    fit_distance_rules,
)
from graphcolumns.analysis.connectome.figures import (
    adjacency_figure,
    degree_figure,
    distance_rule_figure,
    null_figure,
    save_figure,
)
from graphcolumns.analysis.connectome.lengths import (
    distance_rule,
    pair_lengths,
    rule_weights,
    wire_lengths,
)
from graphcolumns.analysis.connectome.rich_club import RichClub, rich_club
from graphcolumns.analysis.connectome.segregation import (
    Communities,
    clustering,
    column_clustering,
    component_share,
    find_communities,
    modularity,
    path_length,
)
from graphcolumns.analysis.connectome.side_by_side import SideBySide, compare_connectomes
from graphcolumns.analysis.connectome.small_world import SmallWorld, small_world
from graphcolumns.analysis.connectome.strongest import strongest_pairs
from graphcolumns.analysis.connectome.table import ConnectomeTable, MetricRow
from graphcolumns.analysis.connectome.walks import communicability_matrix, mean_communicability
from graphcolumns.analysis.connectome.wiring import WiringCost, wiring_cost
from graphcolumns.analysis.connectome.write import write_connectome

__all__ = [
    "Communities",
    "ConnectomeTable",
    "Degrees",
    "DistanceFit",
    "DistanceFits",
    "MetricRow",
    "RichClub",
    "SideBySide",
    "SmallWorld",
    "WeightStatistics",
    "WiringCost",
    "adjacency_figure",
    "clustering",
    "column_clustering",
    "column_degrees",
    "communicability_matrix",
    "compare_connectomes",
    "component_share",
    "connectome_table",
    "degree_figure",
    "distance_rule",
    "distance_rule_figure",
    "edge_density",
    "edge_reciprocity",
    "find_communities",
    "fit_distance_rules",
    "mean_communicability",
    "modularity",
    "null_figure",
    "pair_lengths",
    "path_length",
    "rich_club",
    "rule_weights",
    "save_figure",
    "small_world",
    "strongest_pairs",
    "weight_statistics",
    "wire_lengths",
    "wiring_cost",
    "write_connectome",
]
