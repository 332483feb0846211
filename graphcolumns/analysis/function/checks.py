"""Checks that the measures of this package share."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.nn.checks import check_int64_ids


def ids_of_columns(name: str, ids: Tensor, count: int) -> Tensor:
    """Ids of some of ``count`` columns, each once, on the CPU; raises for others."""
    check_int64_ids(name, ids)
    if ids.ndim != 1 or not len(ids):
        raise ValueError(f"{name} must be ids [K] of at least one column. Got {list(ids.shape)}.")
    outside = ids[(ids < 0) | (ids >= count)]
    if len(outside):
        raise ValueError(f"{name} must be ids in [0, {count}). Got {int(outside[0])}.")
    if len(ids.unique()) != len(ids):
        raise ValueError(f"{name} must be different ids. Got some twice.")
    return ids.cpu()


def order_of_user(permutation: Tensor, count: int) -> Tensor:
    """The user's id of each of ``count`` columns, on the CPU; raises for anything else."""
    check_int64_ids("permutation", permutation)
    order = permutation.cpu()
    if order.shape != (count,) or not order.sort().values.equal(torch.arange(count)):
        raise ValueError(
            f"permutation must hold every id from 0 to {count - 1} once. Got "
            f"{order.flatten().tolist()[:8]}."
        )
    return order


def class_numbers(labels: Tensor, samples: int) -> Tensor:
    """Classes ``[S]`` as numbers from 0, at least two, on the CPU; raises for others."""
    check_int64_ids("labels", labels)
    if labels.shape != (samples,):
        raise ValueError(
            f"labels must be one class per sample, [{samples}]. Got {list(labels.shape)}."
        )
    values, numbers = labels.cpu().unique(return_inverse=True)
    if len(values) < 2:
        raise ValueError("labels must be of at least two classes. Got one; pass more samples.")
    return numbers
