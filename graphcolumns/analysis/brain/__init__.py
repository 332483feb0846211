"""Brain responses and encoders: ceilings, scores, baselines, connectivity, attention, maps."""

from graphcolumns.analysis.brain.activity_file import activity_file, read_activity_file
from graphcolumns.analysis.brain.algonauts import AlgonautsScore, algonauts_score
from graphcolumns.analysis.brain.alternating_ridge import SpaceFeatureWeights, alternating_ridge
from graphcolumns.analysis.brain.attention_figure import attention_figure, mean_map_figure
from graphcolumns.analysis.brain.attention_maps import attention_maps
from graphcolumns.analysis.brain.banded import banded_ridge
from graphcolumns.analysis.brain.baselines import (
    BASELINES,
    cls_ridge,
    mean_token_ridge,
    ridge,
)
from graphcolumns.analysis.brain.connectivity import (
    ConnectivityProfile,
    connectivity_profile,
    functional_connectivity,
)
from graphcolumns.analysis.brain.design import RidgeResult
from graphcolumns.analysis.brain.encoding_table import encoding_table
from graphcolumns.analysis.brain.ensemble import ensemble, ensemble_weights
from graphcolumns.analysis.brain.factorised import factorised
from graphcolumns.analysis.brain.field_figure import field_figure
from graphcolumns.analysis.brain.gradient_maps import gradient_maps
from graphcolumns.analysis.brain.noise_ceiling import (
    Variances,
    largest_correlation,
    noise_ceiling,
    trial_variances,
)
from graphcolumns.analysis.brain.predict import Predicted, predict_responses
from graphcolumns.analysis.brain.query_fields import QueryFields, query_fields
from graphcolumns.analysis.brain.query_names import query_names
from graphcolumns.analysis.brain.region_activity import RegionActivity, region_activity
from graphcolumns.analysis.brain.reliability import spearman_brown, split_half_reliability
from graphcolumns.analysis.brain.ridge_cv import ridge_cv
from graphcolumns.analysis.brain.surface_figure import surface_figure
from graphcolumns.analysis.brain.surface_maps import SurfaceMap, accuracy_maps
from graphcolumns.analysis.brain.surface_view import surface_view, write_surface_page
from graphcolumns.analysis.brain.table import EncodingTable, TableRow
from graphcolumns.analysis.brain.token_maps import TokenMaps
from graphcolumns.analysis.brain.top_images import Ranking, rank_images
from graphcolumns.analysis.brain.top_images_figure import top_images_figure
from graphcolumns.analysis.brain.vertex_columns import on_columns, vertex_columns

__all__ = [
    "BASELINES",
    "AlgonautsScore",
    "ConnectivityProfile",
    "EncodingTable",
    "Predicted",
    "QueryFields",
    "Ranking",
    "RegionActivity",
    "RidgeResult",
    "SpaceFeatureWeights",
    "SurfaceMap",
    "TableRow",
    "TokenMaps",
    "Variances",
    "accuracy_maps",
    "activity_file",
    "algonauts_score",
    "alternating_ridge",
    "attention_figure",
    "attention_maps",
    "banded_ridge",
    "cls_ridge",
    "connectivity_profile",
    "encoding_table",
    "ensemble",
    "ensemble_weights",
    "factorised",
    "field_figure",
    "functional_connectivity",
    "gradient_maps",
    "largest_correlation",
    "mean_map_figure",
    "mean_token_ridge",
    "noise_ceiling",
    "on_columns",
    "predict_responses",
    "query_fields",
    "query_names",
    "rank_images",
    "read_activity_file",
    "region_activity",
    "ridge",
    "ridge_cv",
    "spearman_brown",
    "split_half_reliability",
    "surface_figure",
    "surface_view",
    "top_images_figure",
    "trial_variances",
    "vertex_columns",
    "write_surface_page",
]
