"""What the library asks of a model and of a module, in one place."""

from typing import NamedTuple

from torch import Tensor


class ModelOutput(NamedTuple):
    """What a forward pass gives.

    Attributes:
        logits: ``[B, K]``.
        state: ``[N, B, C]``, the columns after the last step.
        cost: ``[T, N, B, H]``, the expected cost of every column, or None; with communicability
            ``[1, N, 1, 1]``, because that is one number for all steps, samples and heads.
        states: ``[T, N, B, C]``, the columns after every step, or None.
    """

    logits: Tensor
    state: Tensor
    cost: Tensor | None
    states: Tensor | None
