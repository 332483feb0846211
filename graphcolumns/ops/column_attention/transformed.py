"""Attention along edges for function transforms: plain torch that autograd differentiates.

The forward pass of :mod:`~graphcolumns.ops.column_attention.reference`. Its backward pass there is
written by hand; here torch derives it, in either mode and any number of times.
"""

from torch import Tensor

from graphcolumns.ops.column_attention import reference


def forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    cost: Tensor | None,
    source: Tensor,
    target: Tensor,
    scale: float,
    dropout: float,
    seed: Tensor | None,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Returns ``out [N, B, H, Dv]``, ``cost [N, B, H]`` or None, ``lse [N, B, H]``."""
    given = (q, k, v, bias, cost, source, target, scale, dropout, seed)
    out, total, lse, *_ = reference.forward(*given)
    return out, None if cost is None else total, lse
