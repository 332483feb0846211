"""Fair times: interleaved rounds, medians with spread, and what the machine can do at best."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch

ROUNDS = 7
COPY_BYTES = 2**28  # far beyond any cache
PRODUCT = 1024  # side of the matrices that are multiplied

Work = Callable[[], object]


class Time(NamedTuple):
    """Seconds of one call."""

    median: float
    low: float  # the quartiles
    high: float

    def __str__(self) -> str:
        return f"{1e3 * self.median:.4g} ms"


class MachineLimits(NamedTuple):
    """What the machine did in this run."""

    bytes_per_second: float  # of a copy, reads and writes together
    flops_per_second: float  # of a float32 matrix product


def race(works: Mapping[str, Work], rounds: int = ROUNDS, device: str = "cpu") -> dict[str, Time]:
    """Times of several pieces of work, one call of each per round, the order turned every round.

    Each is called twice before, so that compilation and first allocations are not counted.

    Args:
        works: Work by name.
        rounds: Number of times that each is timed.
        device: ``"cpu"``, or ``"cuda"``, where a call ends when the device has done it.
    """
    for work in works.values():
        work()
        work()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    names = list(works)
    for index in range(rounds):
        turn = index % len(names)
        for name in names[turn:] + names[:turn]:
            seconds[name].append(clock(works[name], device))
    return {name: _time(values) for name, values in seconds.items()}


def clock(work: Work, device: str = "cpu") -> float:
    """Seconds of one call."""
    wait(device)
    start = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - start


def wait(device: str) -> None:
    """Until a GPU has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def limits(device: str = "cpu") -> MachineLimits:
    """Copy bandwidth and matrix product rate, the best of a few rounds."""
    source = torch.ones(COPY_BYTES // 4, device=device)
    target = torch.empty_like(source)
    factor = torch.ones(PRODUCT, PRODUCT, device=device)
    copies = [clock(lambda: target.copy_(source), device) for _ in range(ROUNDS)]
    products = [clock(lambda: factor @ factor, device) for _ in range(ROUNDS)]
    return MachineLimits(2 * COPY_BYTES / min(copies), 2 * PRODUCT**3 / min(products))


def _time(seconds: list[float]) -> Time:
    low, median, high = np.percentile(seconds, [25, 50, 75])
    return Time(float(median), float(low), float(high))
