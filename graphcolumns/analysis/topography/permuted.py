"""A measure of a map against the map with its columns permuted."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from graphcolumns.analysis.connectome.nulls.values import NullValues, Tail, check_null_values
from graphcolumns.analysis.topography.inputs import Floats, as_numbers
from graphcolumns.connect.draws import numpy_generator
from graphcolumns.random.counter import derive


def permuted_null(
    measure: Callable[[Floats], float],
    values: Any,
    count: int = 99,
    seed: int = 0,
    tail: Tail = "greater",
) -> NullValues:
    """A measure of a map, and the same measure when the columns exchange their places.

    Columns keep what they respond to, and positions and edges stay: only which column is where
    changes. Where lengths of edges are measured, ``null_values`` with ``permute_positions`` is the
    same null of a graph.

    Args:
        measure: Function of values in the shape of ``values``, float64, that returns a finite
            number.
        values: Values with the columns in the last dimension: responses ``[S, N]``, a map ``[N]``.
        count: Number of permutations, 2 or more.
        seed: Seed of the permutations; permutation ``k`` has a seed of its own, whatever ``count``.
        tail: Values that count as extreme: ``"greater"``, ``"less"`` or ``"two-sided"``.

    Raises:
        ValueError: Values that are not finite, fewer than two columns or permutations, an unknown
            tail, a measure that is not finite.

    Example:
        >>> import torch
        >>> from graphcolumns.analysis.topography import morans_i, permuted_null, rook_neighbours
        >>> graph = rook_neighbours(6, 6)
        >>> ramp = torch.arange(36.0)
        >>> permuted_null(lambda x: morans_i(x, graph), ramp, count=19).p
        0.05
    """
    check_null_values(count, tail)
    found = as_numbers("values", values)
    if found.ndim < 1 or found.shape[-1] < 2:
        raise ValueError(
            "values must have at least two columns in their last dimension. Got "
            f"{list(found.shape)}."
        )
    observed = _finite(measure(found), "the map")
    draws = []
    for k in range(count):
        order = numpy_generator(derive(seed, "permuted columns", k)).permutation(found.shape[-1])
        draws.append(_finite(measure(found[..., order]), f"permutation {k}"))
    return NullValues(observed, np.array(draws), tail)


def _finite(value: float, name: str) -> float:
    if not math.isfinite(value):
        raise ValueError(
            f"a measure must be finite. Got {value} of {name}; leave out columns that are constant."
        )
    return float(value)
