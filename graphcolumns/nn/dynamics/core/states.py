"""States of circuits: a tensor, or a tuple of tensors, with samples along one dimension."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

State = Tensor | tuple[Tensor, ...]


def tensors_of(state: State) -> tuple[Tensor, ...]:
    """The tensors of a state."""
    return (state,) if isinstance(state, Tensor) else tuple(state)


def with_tensors(state: State, tensors: Sequence[Tensor]) -> State:
    """A state of the same kind (tensor, tuple or named tuple) made of other tensors."""
    if isinstance(state, Tensor):
        return tensors[0]
    return type(state)(*tensors) if hasattr(state, "_fields") else tuple(tensors)


def map_state(f: Callable[..., Tensor], first: State, *others: State) -> State:
    """Applies a function to every tensor of one or several states of the same kind."""
    aligned = zip(tensors_of(first), *map(tensors_of, others), strict=True)
    return with_tensors(first, [f(*tensors) for tensors in aligned])


def samples_at(state: State, index: Tensor, dim: int) -> State:
    """Some of the samples."""
    return map_state(lambda u: u.index_select(dim, index), state)


def count_samples(state: State, dim: int) -> int:
    """The number of samples."""
    return tensors_of(state)[0].shape[dim]


def as_rows(tensor: Tensor, dim: int) -> Tensor:
    """The values of every sample as a row, ``[B, n]``."""
    moved = tensor.movedim(dim, 0)
    return moved.reshape(moved.shape[0], moved.shape[1:].numel())


def norm_of(state: State, dim: int) -> Tensor:
    """Euclidean norm of every sample over all tensors of the state, ``[B]``."""
    squares = [as_rows(u, dim).square().sum(1) for u in tensors_of(state)]
    return torch.stack(squares).sum(0).sqrt()


def expand_samples(values: Tensor, like: Tensor, dim: int) -> Tensor:
    """Values ``[B]`` in a shape that broadcasts against a tensor of a state."""
    return values.reshape([-1 if d == dim else 1 for d in range(like.dim())])


def flatten_samples(state: State, dim: int) -> Tensor:
    """All values of a state as one matrix, ``[B, n]``."""
    return torch.cat([as_rows(u, dim) for u in tensors_of(state)], 1)


def unflatten_samples(flat: Tensor, like: State, dim: int) -> State:
    """The inverse of :func:`flatten_samples`, in the shapes of another state."""
    parts, start = [], 0
    for u in tensors_of(like):
        moved = u.movedim(dim, 0).shape
        size = moved[1:].numel()
        parts.append(flat[:, start : start + size].reshape(flat.shape[0], *moved[1:]))
        start += size
    return with_tensors(like, [p.movedim(0, dim) for p in parts])
