"""The edges that a task asks for, where they are known."""

from __future__ import annotations

import torch
from torch import Tensor


def truth_at(data: object, truth: Tensor | None, permutation: Tensor | None = None) -> Tensor:
    """The edges that the task asks for, in the column order of a reordered geometry.

    Args:
        data: Data set, for the message.
        truth: Targets and sources in the user's order, ``[2, P]`` int64, or None.
        permutation: Permutation that ``geometry.reorder()`` returned: column n there is column
            ``permutation[n]`` of the user (default: the user's order).

    Returns:
        Targets and sources, ``[2, P]`` int64, sorted by (target, source) as edges are.

    Raises:
        ValueError: The data set knows no truth.
    """
    if truth is None:
        raise ValueError(f"{data} knows no true edges: data.planted() does.")
    place = None if permutation is None else permutation.to(truth.device).argsort()
    target, source = truth if place is None else place[truth]
    order = torch.argsort(target * (int(source.max()) + 1) + source)
    return torch.stack([target[order], source[order]])
