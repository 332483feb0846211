"""Instructions as vectors of one value per task."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def instruction_vectors(given: Tensor, tasks: int) -> Tensor:
    """Instructions as vectors, ``[B, tasks]``: vectors as they are, ids as one-hot vectors.

    Args:
        given: Ids ``[B]`` int64, or vectors ``[B, tasks]``.
        tasks: Number of tasks.

    Raises:
        ValueError: Another shape or type, or the id of no task.
        TypeError: No tensor.
    """
    if not isinstance(given, Tensor):
        raise TypeError(
            f"an instruction must be a tensor. Got {type(given).__name__}; call torch.tensor on it."
        )
    if given.ndim == 2 and given.shape[1] == tasks:
        return given
    if given.ndim != 1 or given.is_floating_point() or given.dtype == torch.bool:
        raise ValueError(
            f"an instruction must be ids [B] of an integer type, or a vector [B, {tasks}]. Got "
            f"{given.dtype} {tuple(given.shape)}."
        )
    if given.numel() and not 0 <= int(given.min()) <= int(given.max()) < tasks:
        raise ValueError(
            f"an instruction must be the id of a task, 0 to {tasks - 1}. Got "
            f"{int(given.min())} to {int(given.max())}; build the network with as many tasks "
            "as there are instructions."
        )
    return nn.functional.one_hot(given.long(), tasks)


def named_instruction(vector: Tensor) -> str:
    """The id of a task, or the vector where it is of several.

    Args:
        vector: One instruction, ``[tasks]``.
    """
    set_ = vector.nonzero().flatten().tolist()
    return str(set_[0]) if len(set_) == 1 else str(vector.tolist())
