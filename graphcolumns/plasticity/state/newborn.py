"""What a newborn edge starts from: its parameters, and the second moments of stock optimizers."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from graphcolumns.nn.edge_bias import EdgeBias
from graphcolumns.plasticity.probe.pair_bias import mean_of_open
from graphcolumns.plasticity.rewiring.rewiring import Rewiring

# (module, name of the parameter, rewiring) -> first value of every newborn, [born, ...]
Newborn = Callable[[nn.Module, str, Rewiring], Tensor]


def zero(module: nn.Module, name: str, rewiring: Rewiring) -> Tensor:
    """Newborns start at 0: for signed weights, a start that changes nothing."""
    values: Tensor = getattr(module, name)
    return values.new_zeros((len(rewiring.born), *values.shape[1:]))


def node_mean(module: nn.Module, name: str, rewiring: Rewiring) -> Tensor:
    r"""Newborns start at the mean over the open in-edges that their target had before the change.

    Attention does not change when a constant is added to all scores of one column and head, and
    with this start neither does what a newborn is worth. 0 where a column had no in-edge.
    """
    values: Tensor = getattr(module, name).detach()
    mean = mean_of_open(rows(values), rewiring.before)
    targets = rewiring.graph.target[rewiring.born].long().to(values.device)
    return mean[targets].reshape(len(targets), *values.shape[1:])


def zero_weight(module: nn.Module, name: str, rewiring: Rewiring) -> Tensor:
    """Signed weights start at 0, the scores of an edge bias as :func:`node_mean`.

    A weight of 0 receives nothing until it is trained. The score of an edge in a softmax is no such
    weight: what is multiplied is the attention, which at exactly zero would never learn.

    Source: Evci et al., Rigging the lottery, ICML 2020, for the weights.
    """
    is_score = isinstance(module, EdgeBias) and not module.signed
    return node_mean(module, name, rewiring) if is_score else zero(module, name, rewiring)


def epsilon(share: float, gap: Tensor) -> Newborn:
    r"""Newborns start with at most so much attention, so that the function hardly changes.

    :math:`b_0 = \mathrm{logit}(\varepsilon) - \max_x (s^{qk}_{ij} - \mathrm{lse}_i)`, so that the
    attention :math:`\sigma(s^{qk} + b_0 - \mathrm{lse})` of a newborn is at most
    :math:`\varepsilon` on every sample that the gap was measured on.

    Args:
        share: Largest share of the attention, ``eps`` in (0, 1).
        gap: Largest ``s_qk - lse`` of every newborn in the order of ``rewiring.born``,
            ``[born, H]``, or ``[born, 1]`` of all heads, without any edge bias in ``s_qk``.

    Raises:
        ValueError: ``share`` is not in (0, 1).
    """
    if not 0 < share < 1:
        raise ValueError(f"epsilon must give newborns a share in (0, 1). Got share={share}.")
    start = math.log(share) - math.log1p(-share) - gap

    def first(module: nn.Module, name: str, rewiring: Rewiring) -> Tensor:
        values: Tensor = getattr(module, name)
        if values.ndim == 1:  # one score for all heads: the head that would look most decides
            return start.amin(1).to(values)
        alike = start.shape[1] == values.shape[1]
        every = start if alike else start.amin(1, True).expand(-1, values.shape[1])
        names = [other for other in module.edge_tensors if other != name]  # type: ignore[union-attr]
        others = [getattr(module, other, None) for other in names]
        # Scores add up; where there is one for all heads, that one makes the start.
        shared = any(torch.is_tensor(other) and other.ndim == 1 for other in others)
        return torch.zeros_like(every).to(values) if shared else every.to(values)

    return first


def neighbours_median(moment: Tensor, rewiring: Rewiring) -> Tensor:
    """The median over the survivors on the target of every newborn, ``[born, ...]``.

    Where the target has no survivor, the median over all survivors; 0 without any. With
    a warm second moment a newborn takes steps of the usual size, although its optimizer has one
    step count for all edges.

    Args:
        moment: Second moment, ``[E, ...]``.
        rewiring: Change of topology.
    """
    origin = rewiring.origin.to(moment.device)
    target = rewiring.graph.target.to(moment.device)
    alive = origin >= 0
    newborn_target = target[~alive].long()
    # Often few columns have newborns, and only they need sorting.
    receives = torch.zeros(rewiring.graph.num_columns, dtype=torch.bool, device=moment.device)
    receives[newborn_target] = True
    there = alive & receives.index_select(0, target)
    count = torch.bincount(target[there], minlength=len(receives))
    median = _segment_median(rows(moment[origin[there]]), count)
    if bool(alive.any()) and bool((count[newborn_target] == 0).any()):
        median[count == 0] = rows(moment[origin[alive]]).median(0).values
    return median[newborn_target].reshape(len(newborn_target), *moment.shape[1:])


def _segment_median(values: Tensor, count: Tensor) -> Tensor:
    """Lower median of every segment and column of sorted segments, ``[N, K]``; 0 where empty."""
    if not len(values):
        return values.new_zeros(len(count), values.shape[1])
    segment = torch.repeat_interleave(torch.arange(len(count), device=values.device), count)
    by_value = values.argsort(dim=0, stable=True)
    by_segment = segment[by_value].argsort(dim=0, stable=True)
    ordered = values.gather(0, by_value.gather(0, by_segment))
    end = count.cumsum(0)
    middle = (end - count + (count - 1).clamp(min=0) // 2).clamp(max=len(values) - 1)
    return ordered[middle]


def rows(values: Tensor) -> Tensor:
    """Everything of an edge in one row, ``[E, K]``."""
    return values[:, None] if values.ndim == 1 else values.flatten(1)
