"""Counter-based dropout: the mask is a function of (seed, edge, batch, head), never of a stream."""

from typing import Any

import torch
from torch import Tensor

_GOLDEN = -7046029254386353131  # 2^64 / golden ratio as int64, the increment of splitmix64
_MIX_1 = -4658895280553007687
_MIX_2 = -7723592293110705685


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Logical shift of the 64 bits of ``x`` (torch shifts int64 arithmetically)."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _splitmix64(counter: Tensor) -> Tensor:
    """Output ``counter`` of splitmix64 from state 0 (Steele, Lea & Flood 2014).

    int64 products wrap modulo 2^64.
    """
    x = (counter + 1) * _GOLDEN
    x = (x ^ _shift_right(x, 30)) * _MIX_1
    x = (x ^ _shift_right(x, 27)) * _MIX_2
    return x ^ _shift_right(x, 31)


# An op of its own, so that compilers leave it alone: inductor folds the index arithmetic into
# integers without bounds, and these products are meant to wrap.
@torch.library.custom_op("graphcolumns::edge_dropout", mutates_args=())
def edge_dropout(
    seed: Tensor, edges: Tensor, batch: int, heads: int, rate: float, dtype: torch.dtype
) -> Tensor:
    r"""Dropout factors of edges: ``m_{ebh} = 1[u_{ebh} >= rate] / (1 - rate)``.

    ``u`` is the splitmix64 hash of ``seed`` and the counter ``(e B + b) H + h`` as a uniform
    number in [0, 1). The forward pass, the backward pass and a recomputation draw the same mask
    on any device and with any number of threads.

    Args:
        seed: Scalar int64 tensor.
        edges: ``[K]`` edge ids.
        batch: ``B``.
        heads: ``H``.
        rate: Probability of dropping an edge for one batch element and head.
        dtype: Data type of the result.

    Returns:
        ``[K, B, H]`` factors, 0 or ``1 / (1 - rate)``.
    """
    lanes = torch.arange(batch * heads, device=edges.device)
    counter = edges.long()[:, None] * (batch * heads) + lanes
    uniform = _shift_right(_splitmix64(_splitmix64(seed) + counter), 40).to(torch.float32) / 2**24
    keep = (uniform >= rate).to(dtype) / (1.0 - rate)
    return keep.view(-1, batch, heads)


@edge_dropout.register_fake
def _fake(
    seed: Tensor, edges: Tensor, batch: int, heads: int, rate: float, dtype: torch.dtype
) -> Tensor:
    return edges.new_empty((edges.shape[0], batch, heads), dtype=dtype)


@edge_dropout.register_vmap
def _vmap(
    info: Any,
    in_dims: tuple[int | None, ...],
    seed: Tensor,
    edges: Tensor,
    batch: int,
    heads: int,
    rate: float,
    dtype: torch.dtype,
) -> tuple[Tensor, int]:
    """A mask per seed, and per list of edges: ``torch.vmap(..., randomness="different")``."""
    seeds, lists = (
        [x] * info.batch_size if dim is None else x.unbind(dim)
        for x, dim in zip((seed, edges), in_dims, strict=False)
    )
    masks = (
        edge_dropout(seed, edges, batch, heads, rate, dtype)
        for seed, edges in zip(seeds, lists, strict=True)
    )
    return torch.stack(list(masks)), 0
