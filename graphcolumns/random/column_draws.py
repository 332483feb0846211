"""Draws of column ids, each a function of (seed, purpose, round, draw)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.random.counter import uniform


def stratified_targets(num_columns: int, count: int, seed: int, round_: int) -> Tensor:
    """Targets, ascending: each of ``count`` equal strips of the columns gives one at random."""
    draw = torch.arange(count)
    place = (draw + uniform(seed, "target", round_, draw)) / max(count, 1)
    return (place * num_columns).long().clamp(max=num_columns - 1)


def random_ids(size: int, count: int, seed: int, purpose: str, round_: int) -> Tensor:
    """Ids below ``size``, equally likely."""
    chance = uniform(seed, purpose, round_, torch.arange(count))
    return (chance * size).long().clamp(max=size - 1)


def random_source(
    graph: ColumnGraph, targets: Tensor, seed: int, purpose: str, round_: int
) -> tuple[Tensor, Tensor]:
    """The source of a random in-edge of each target, and whether there is one."""
    degree = graph.in_degree.cpu()[targets]
    chance = uniform(seed, purpose, round_, torch.arange(len(targets)))
    last = max(graph.num_edges - 1, 0)
    edge = graph.rowptr.cpu()[targets] + (chance * degree).long().minimum((degree - 1).clamp(min=0))
    if not graph.num_edges:
        return torch.zeros_like(targets), torch.zeros_like(targets, dtype=torch.bool)
    return graph.source.cpu().long()[edge.clamp(max=last)], degree > 0


def weighted(weight: Tensor, size: int, count: int, seed: int, purpose: str, round_: int) -> Tensor:
    """Ids in proportion to ``weight``, by bisection of its running sum."""
    values = weight.detach().cpu().double()
    if values.shape != (size,) or not bool((values >= 0).all() and values.sum() > 0):
        raise ValueError(
            f"norms must be one number per column, shape ({size},), none negative and one "
            f"positive. Got shape {tuple(weight.shape)}."
        )
    # numpy adds in one fixed order, whatever the number of threads.
    steps = torch.from_numpy(np.cumsum(values.numpy()))
    chance = uniform(seed, purpose, round_, torch.arange(count)) * steps[-1]
    return torch.searchsorted(steps, chance, right=True).clamp(max=size - 1)
