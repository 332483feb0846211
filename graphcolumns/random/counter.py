"""Random numbers as functions of what they are for: no stream, no state.

A number depends on the seed, the purpose, the update and a counter (a draw, an edge key), so it is
the same on any device, in any order of calls, at any number of threads, and after a resume.
"""

from __future__ import annotations

from hashlib import blake2b

import torch
from torch import Tensor

# splitmix64 as int64; products wrap modulo 2^64.
_GOLDEN, _MIX_1, _MIX_2 = -7046029254386353131, -4658895280553007687, -7723592293110705685


def derive(seed: int, purpose: str, update: int = 0) -> int:
    """A 63-bit seed for one purpose of one update, the same on every machine.

    Not python's ``hash`` of a string, which differs between processes.

    Raises:
        ValueError: ``seed`` is not a whole number, 0 or above.
    """
    if not hasattr(seed, "__index__") or seed < 0:
        raise ValueError(f"seed must be a whole number, 0 or above. Got {seed!r}.")
    digest = blake2b(f"{int(seed)}/{purpose}/{update}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def uniform(seed: int, purpose: str, update: int, counters: Tensor) -> Tensor:
    """Uniform numbers in (0, 1), float64 on the CPU, one per counter, int64.

    Source: Steele, Lea & Flood, Fast splittable pseudorandom number generators, OOPSLA 2014.
    """
    state = _mix(torch.tensor(derive(seed, purpose, update)))
    bits = _shift(_mix(state + counters.cpu().long()), 11)  # 53 bits: every value is exact
    return (bits.double() + 0.5) / 2**53


def gumbel(seed: int, purpose: str, update: int, counters: Tensor) -> Tensor:
    """Standard Gumbel numbers, float64 on the CPU: the largest of ``log w + gumbel`` is drawn by w.

    Taking the k largest draws k without replacement, one after the other by their weights ``w``.

    Source: Kool, van Hoof & Welling, Stochastic beams and where to find them, ICML 2019.
    """
    return -torch.log(-torch.log(uniform(seed, purpose, update, counters)))


def _mix(x: Tensor) -> Tensor:
    x = (x + 1) * _GOLDEN
    x = (x ^ _shift(x, 30)) * _MIX_1
    x = (x ^ _shift(x, 27)) * _MIX_2
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical shift right; torch shifts int64 arithmetically."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
