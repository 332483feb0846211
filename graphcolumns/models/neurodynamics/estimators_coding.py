"""What estimators that code by lateral inhibition share: signals to codes and back."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_array, validate_data
from torch import Tensor

from graphcolumns.models.neurodynamics.dictionary_residual import relative_residual
from graphcolumns.nn.dynamics import LCA, solve
from graphcolumns.nn.dynamics.sparse_coding.checks import UNIT_NORM
from graphcolumns.nn.dynamics.sparse_coding.lca import method_for


class LCACoding(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Sparse codes in a dictionary; ``LCACoder`` and ``LCADictionaryLearning`` derive from it."""

    def _encode(self, X: Any, dictionary: np.ndarray, alpha: float) -> np.ndarray:
        """Codes of signals, in the type of the signals."""
        options: Any = self
        signals = torch.tensor(X, device=options.device)
        atoms = torch.tensor(dictionary, device=options.device).to(signals)
        circuit = LCA(atoms, alpha, hard=options.hard_threshold, nonnegative=options.positive_code)
        solution = solve(
            circuit,
            signals,
            method=method_for(circuit),
            stop=relative_residual,
            tolerance=options.transform_tol,
            max_steps=options.transform_max_iter,
        )
        missing = int((~solution.converged).sum())
        if missing:
            warnings.warn(
                f"codes of {missing} of {len(signals)} samples have not converged; raise "
                "transform_max_iter or transform_tol.",
                ConvergenceWarning,
                stacklevel=3,
            )
        codes: np.ndarray = solution.output.cpu().numpy()
        return codes

    def _decode(self, X: Any, dictionary: np.ndarray) -> np.ndarray:
        """Signals from codes."""
        codes = check_array(X, dtype=[np.float64, np.float32])
        if codes.shape[1] != len(dictionary):
            raise ValueError(
                f"X must have one code per atom. Expected {len(dictionary)} columns. Got "
                f"{codes.shape[1]}."
            )
        signals: np.ndarray = codes @ dictionary.astype(codes.dtype, copy=False)
        return signals

    def _signals(self, X: Any, reset: bool) -> np.ndarray:
        """Signals as floating numbers, checked."""
        return validate_data(self, X, dtype=[np.float64, np.float32], order="C", reset=reset)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def check_above_zero(**numbers: Any) -> None:
    """Raises ValueError for numbers that are not above 0 and finite."""
    for name, value in numbers.items():
        if not (value > 0 and np.isfinite(value)):
            raise ValueError(f"{name} must be positive and finite. Got {value!r}.")


def require_features(signals: np.ndarray, atoms: np.ndarray) -> None:
    """Raises ValueError unless signals have as many values as atoms."""
    if signals.shape[1] != atoms.shape[1]:
        raise ValueError(
            f"dictionary must have as many features as X. Expected {signals.shape[1]}. Got "
            f"{atoms.shape[1]}."
        )


def unit_atoms(name: str, atoms: Any) -> np.ndarray:
    """A dictionary as an array of unit atoms.

    Args:
        name: Name of the parameter, for messages.
        atoms: One atom per row, ``[n_components, n_features]``.

    Raises:
        ValueError: Atoms without unit norm, or no dictionary at all.
    """
    if torch.is_tensor(atoms):
        atoms = _host(atoms)
    checked: np.ndarray = check_array(atoms, dtype=[np.float64, np.float32], input_name=name)
    norms = np.linalg.norm(checked, axis=1)
    if (np.abs(norms - 1) > UNIT_NORM).any():
        raise ValueError(
            f"{name} must have atoms of unit norm. Got norms from {norms.min():.4g} to "
            f"{norms.max():.4g}; pass sklearn.preprocessing.normalize({name})."
        )
    return checked


def _host(atoms: Tensor) -> np.ndarray:
    array: np.ndarray = atoms.detach().cpu().numpy()
    return array
