"""What the passes of attention take and return: the same values for every backend."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from graphcolumns.graph.views import Views


class AttentionInputs(NamedTuple):
    """What attention along edges is computed from, as in ``column_attention``."""

    q: Tensor  # [N, B or 1, H, D]
    k: Tensor  # [M, B, H, D]
    v: Tensor  # [M, B, H, Dv]
    bias: Tensor | None  # [E] or [E, H]
    cost: Tensor | None  # [E] or [E, H]
    views: Views
    scale: float
    dropout: float
    seed: Tensor | None  # scalar int64; None without dropout


class AttentionOutputs(NamedTuple):
    """What a forward pass returns.

    Scores count from the highest bias of their column, so ``lse`` is that level, ``highest`` and
    ``log_mass`` together.
    """

    out: Tensor  # [N, B, H, Dv]
    total: Tensor  # [N, B, H], the expected cost; empty without cost
    lse: Tensor  # [N, B, H]
    highest: Tensor  # [N, B, H], 0 where nothing is received
    log_mass: Tensor  # [N, B, H], -inf there


class SavedOutputs(NamedTuple):
    """The outputs of a forward pass that its backward pass computes the attention from."""

    out: Tensor
    total: Tensor
    highest: Tensor
    log_mass: Tensor


class OutputGradients(NamedTuple):
    """The gradients that arrive at a backward pass."""

    out: Tensor
    total: Tensor | None  # None without cost
    lse: Tensor | None  # None where none arrives


class InputGradients(NamedTuple):
    """The gradients of q, k, v, bias and cost; None for a bias or a cost that was not given."""

    q: Tensor
    k: Tensor
    v: Tensor
    bias: Tensor | None
    cost: Tensor | None
