"""Edges that pass nothing on: closed by a bias of ``-inf``, or dropped.

Their weight is exactly 0, but 0 times NaN is NaN. So what such an edge would bring is replaced by
zeros before it is multiplied, and its gradients are zeros too. A NaN on an open edge stays one.
"""

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import get_proxy_mode

from graphcolumns.ops.context import accumulator
from graphcolumns.ops.segment import segment_max

CLOSED = float("-inf")


def edge_values(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Per-edge values ``[E]`` or ``[E, H]`` as ``[E, 1, 1 or H]``, to broadcast over the batch."""
    values = values.to(dtype)
    return values[:, None, None] if values.dim() == 1 else values[:, None, :]


def closed_edges(bias: Tensor | None) -> Tensor | None:
    """``[E, 1, 1 or H]`` bool, or None where it is known that no edge is closed."""
    if bias is None:
        return None
    closed = edge_values(bias.detach() == CLOSED, torch.bool)
    return closed if not can_look(bias) or bool(closed.any()) else None


def silent_edges(closed: Tensor | None, keep: Tensor | None) -> Tensor | None:
    """Closed or dropped edges: their values do not count. ``keep`` holds dropout factors."""
    if keep is None:
        return closed
    dropped = keep == 0.0
    return dropped if closed is None else dropped | closed


def without(values: Tensor, silent: Tensor | None, fill: float = 0.0) -> Tensor:
    """``values [E, B, H]`` or ``[E, B, H, D]`` with ``fill`` where ``silent``."""
    if silent is None:
        return values
    return values.masked_fill(silent[..., None] if values.dim() > silent.dim() else silent, fill)


def centred(
    bias: Tensor | None, target: Tensor, num_columns: int
) -> tuple[Tensor | None, Tensor | None]:
    """``bias`` less the highest of its column, and that level ``[N]`` or ``[N, H]``.

    The difference of two numbers that lie close together is exact. So a constant that is added to
    all in-edges of a column leaves it before it meets the products of queries and keys.
    """
    if bias is None:
        return None, None
    bias = bias.to(accumulator(bias.dtype))
    level = segment_max(bias, target, num_columns)
    level = level.masked_fill(level.isinf(), 0.0)
    return bias - level.index_select(0, target), level


def finite(level: Tensor) -> Tensor:
    """``level`` with 0 for columns that receive nothing: ``-inf`` less ``-inf`` would be NaN."""
    return level.masked_fill(level == CLOSED, 0.0)


def raised(lse: Tensor, level: Tensor | None) -> Tensor:
    """``lse [N, B, H]`` with the level of the biases added back."""
    return lse if level is None else lse + edge_values(level, lse.dtype)


def sound(*results: Tensor | None) -> bool:
    """Whether no number is NaN or infinite."""
    return all(bool(x.sum().isfinite()) for x in results if x is not None)


def can_look(x: Tensor) -> bool:
    """Whether ``x`` has values: not while something is traced or transformed."""
    if torch.compiler.is_compiling() or get_proxy_mode() is not None or x.is_meta:
        return False
    plain = type(x) in (Tensor, torch.nn.Parameter)
    return plain and not torch._C._functorch.is_functorch_wrapped_tensor(x)
