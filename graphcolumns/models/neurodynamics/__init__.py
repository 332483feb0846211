"""Circuits that learn: models whose forward pass runs a dynamical system."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from graphcolumns.models.neurodynamics.dictionary import SparseDictionary
from graphcolumns.models.neurodynamics.energy_transformer import EnergyColumnformer
from graphcolumns.models.neurodynamics.energy_transformer_sheet import energy_sheet
from graphcolumns.models.neurodynamics.predictive_coding import Link, PredictiveCodingModel
from graphcolumns.models.neurodynamics.predictive_coding_builders import (
    generative_predictive_coding,
    layered_predictive_coding,
    predictive_columns,
)
from graphcolumns.models.neurodynamics.predictive_coding_initialiser import Initialiser
from graphcolumns.models.neurodynamics.soft_hebb import SoftHebb, SoftHebbLayer
from graphcolumns.models.neurodynamics.sparse_sheet import SparseSheet, sparsity

if TYPE_CHECKING:
    from graphcolumns.models.neurodynamics.estimators_coder import LCACoder
    from graphcolumns.models.neurodynamics.estimators_learning import LCADictionaryLearning

__all__ = [
    "EnergyColumnformer",
    "Initialiser",
    "LCACoder",
    "LCADictionaryLearning",
    "Link",
    "PredictiveCodingModel",
    "SoftHebb",
    "SoftHebbLayer",
    "SparseDictionary",
    "SparseSheet",
    "energy_sheet",
    "generative_predictive_coding",
    "layered_predictive_coding",
    "predictive_columns",
    "sparsity",
]

# Loaded at first use: scikit-learn is not needed for the other models.
_ESTIMATORS = {"LCACoder": "estimators_coder", "LCADictionaryLearning": "estimators_learning"}


def __getattr__(name: str) -> Any:
    if name not in _ESTIMATORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ESTIMATORS[name]}"), name)
