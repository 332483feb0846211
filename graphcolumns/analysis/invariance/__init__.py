"""How far answers stay the same, or move along, when columns are permuted or images shifted."""

from graphcolumns.analysis.invariance.kappa import (
    ErrorConsistency,
    error_consistency,
    error_consistency_table,
)
from graphcolumns.analysis.invariance.lie import LieError, lie_derivative, lie_derivative_error
from graphcolumns.analysis.invariance.permutation import permutation_error, permute_columns
from graphcolumns.analysis.invariance.shifts import ShiftConsistency, shift_consistency
from graphcolumns.analysis.invariance.translation import fourier_shift, shift_derivative

__all__ = [
    "ErrorConsistency",
    "LieError",
    "ShiftConsistency",
    "error_consistency",
    "error_consistency_table",
    "fourier_shift",
    "lie_derivative",
    "lie_derivative_error",
    "permutation_error",
    "permute_columns",
    "shift_consistency",
    "shift_derivative",
]
