"""A series without confounds, on the scale of its training times, computed as rows are read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graphcolumns.data.brain.array_file import ArrayFile, row_chunks
from graphcolumns.data.brain.resting_state import orthonormal_basis
from graphcolumns.data.brain.vertex_checks import listed


@dataclass(frozen=True)
class CleanedSeries:
    """Rows ``(x - basis @ coefficients - mean) / deviation`` of a series ``x`` that may be on disk.

    Args:
        source: Series, ``[T, V]``.
        basis: Orthonormal columns of what is regressed out, ``[T, K]``.
        coefficients: Coefficient of every column and vertex, ``[K, V]``.
        mean: Mean that is subtracted, ``[V]``.
        deviation: Standard deviation that is divided by, ``[V]``.
    """

    source: ArrayFile | np.ndarray
    basis: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, ...]:
        """``(T, V)``."""
        return tuple(self.source.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the rows."""
        return np.dtype(np.float32)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, rows: Any) -> np.ndarray:
        values = np.asarray(self.source[rows], dtype=np.float64)
        clean = values - self.basis[rows] @ self.coefficients
        return ((clean - self.mean) / self.deviation).astype(np.float32)


def without_confounds(
    source: ArrayFile | np.ndarray,
    confounds: np.ndarray | None,
    detrend: bool,
    fit: torch.Tensor | None = None,
) -> CleanedSeries:
    """A series less what confounds explain of it: the rows of ``regress_out``, from disk.

    Args:
        source: Series, ``[T, V]``.
        confounds: Confounds, ``[T, K]``.
        detrend: Whether the mean and a linear trend are regressed out too.
        fit: Times that coefficients are fitted on, int64 (default: all).

    Raises:
        ValueError: Confounds of another number of times, or not finite.
    """
    times, width = source.shape
    table = np.zeros((times, 0)) if confounds is None else np.asarray(confounds, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.shape[0] != times or table.ndim != 2 or not np.isfinite(table).all():
        raise ValueError(
            f"confounds must be finite, a row per time, [{times}, K]. Got {list(table.shape)} with "
            f"{int((~np.isfinite(table)).sum())} values that are not finite."
        )
    if detrend:
        table = np.column_stack([np.ones(times), np.linspace(-1, 1, times), table])
    basis = orthonormal_basis(table) if table.shape[1] else table
    fitted = np.arange(times) if fit is None else fit.numpy()
    # Rows of the pseudo-inverse by time: coefficients are then a sum over rows as they are read.
    solver = np.zeros_like(basis)
    solver[fitted] = np.linalg.pinv(basis[fitted], rcond=1e-10).T
    coefficients, start = np.zeros((basis.shape[1], width)), 0
    for chunk in row_chunks(source, "regress out confounds"):
        coefficients += solver[start : start + len(chunk)].T @ chunk.astype(np.float64)
        start += len(chunk)
    return CleanedSeries(source, basis, coefficients, np.zeros(width), np.ones(width))


def standardised(
    series: CleanedSeries, times: torch.Tensor, mask: np.ndarray | None
) -> CleanedSeries:
    """The same with mean 0 and variance 1 over some times, in every vertex that counts.

    Args:
        series: Series, ``[T, V]``.
        times: Times to train on, int64: others must not decide about the scale.
        mask: Whether each vertex counts, ``[V]`` bool (default: all do).

    Raises:
        ValueError: A vertex that counts has the same value at all of these times.
    """
    count, total, size = len(times), np.zeros(series.shape[1]), np.zeros(series.shape[1])
    # Two passes: differences from the mean keep their digits, whatever the unit.
    for row in times.tolist():
        total += series[row]
        size = np.maximum(size, np.abs(series.source[row]))
    mean = total / count
    squares = np.zeros_like(mean)
    for row in times.tolist():
        squares += (series[row] - mean) ** 2
    deviation = np.sqrt(squares / count)
    # A constant less its mean or trend leaves rounding alone.
    constant = deviation <= 1e-9 * size
    counted = constant if mask is None else constant & mask
    if counted.any():
        raise ValueError(
            f"vertices must vary over the training times. Got {counted.sum():,} of "
            f"{len(counted):,} that do not: {listed(np.flatnonzero(counted))}, the medial wall "
            "perhaps; leave them out with mask=..., or set zscore=False."
        )
    deviation[constant] = 1
    return replace(series, mean=mean, deviation=deviation)
