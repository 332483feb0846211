"""Topography: whether columns that are close together are alike, in weights and in responses."""

from graphcolumns.analysis.topography.by_distance import (
    TuningByDistance,
    edge_tuning_correlation,
    tuning_by_distance,
)
from graphcolumns.analysis.topography.kernels import kernel_smoothness, kernel_spatial_loss
from graphcolumns.analysis.topography.moran import MoranTest, moran_test, morans_i
from graphcolumns.analysis.topography.neighbours import rook_neighbours
from graphcolumns.analysis.topography.orientation import cluster_size, orientation_entropy
from graphcolumns.analysis.topography.permuted import permuted_null
from graphcolumns.analysis.topography.selectivity import category_selectivity
from graphcolumns.analysis.topography.sparsity import (
    active_percent,
    hoyer_sparsity,
    treves_rolls_sparsity,
)
from graphcolumns.analysis.topography.tdann import (
    MapSmoothness,
    tdann_smoothness,
    tdann_spatial_loss,
)

__all__ = [
    "MapSmoothness",
    "MoranTest",
    "TuningByDistance",
    "active_percent",
    "category_selectivity",
    "cluster_size",
    "edge_tuning_correlation",
    "hoyer_sparsity",
    "kernel_smoothness",
    "kernel_spatial_loss",
    "moran_test",
    "morans_i",
    "orientation_entropy",
    "permuted_null",
    "rook_neighbours",
    "tdann_smoothness",
    "tdann_spatial_loss",
    "treves_rolls_sparsity",
    "tuning_by_distance",
]
