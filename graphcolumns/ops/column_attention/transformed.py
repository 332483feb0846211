"""Attention along edges for function transforms: plain torch that autograd differentiates.

The forward pass of :mod:`~graphcolumns.ops.column_attention.reference`. Its backward pass there is
written by hand; here torch derives it, in either mode and any number of times.
"""

from torch import Tensor

from graphcolumns.ops.column_attention import reference
from graphcolumns.ops.column_attention.inputs import AttentionInputs


def forward(inputs: AttentionInputs) -> tuple[Tensor, Tensor | None, Tensor]:
    """Returns ``out [N, B, H, Dv]``, ``cost [N, B, H]`` or None, ``lse [N, B, H]``."""
    found = reference.forward(inputs)
    return found.out, None if inputs.cost is None else found.total, found.lse
