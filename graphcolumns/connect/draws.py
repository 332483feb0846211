"""Random numbers for wiring: reproducible from a seed, at any number of threads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
LogKernel = Callable[[Floats], Floats]


def numpy_generator(seed: int) -> np.random.Generator:
    """A counter-based generator, ``seed`` 0 or above."""
    if not hasattr(seed, "__index__") or seed < 0:
        raise ValueError(f"seed must be a whole number, 0 or above. Got {seed!r}.")
    return np.random.Generator(np.random.Philox(seed))


def distinct(num_rows: int, count: int, choices: int, generator: np.random.Generator) -> Ids:
    """``count`` different numbers below ``choices`` in each row, every set equally likely.

    Returns:
        ``[num_rows, count]``, ascending in each row.
    """
    if 2 * count > choices:
        keep = np.ones((num_rows, choices), dtype=bool)
        left_out = distinct(num_rows, choices - count, choices, generator)
        np.put_along_axis(keep, left_out, False, axis=1)
        return np.nonzero(keep)[1].reshape(num_rows, count)
    ids = generator.integers(max(choices, 1), size=(num_rows, count))
    while True:
        ids.sort(axis=1)
        repeated = np.zeros(ids.shape, dtype=bool)
        repeated[:, 1:] = ids[:, 1:] == ids[:, :-1]
        if not repeated.any():
            return ids
        # Drawing repeats anew prefers no number, so it prefers no set.
        ids[repeated] = generator.integers(choices, size=int(repeated.sum()))


def log_kernel(kernel: str, length: float) -> LogKernel:
    """Logarithm of the kernel ``k(d)``, never increasing in the distance ``d``.

    ``"exponential"`` ``exp(-d / length)``, ``"gaussian"`` ``exp(-d^2 / (2 length^2))``, ``"power"``
    ``(1 + d / length)^-2``.

    Raises:
        ValueError: An unknown kernel; the error lists the known ones.
    """
    kernels: dict[str, LogKernel] = {
        "exponential": lambda distance: -distance / length,
        "gaussian": lambda distance: -((distance / length) ** 2) / 2,
        "power": lambda distance: -2 * np.log1p(distance / length),
    }
    if kernel not in kernels:
        raise ValueError(f"kernel must be one of {', '.join(map(repr, kernels))}. Got {kernel!r}.")
    return kernels[kernel]
