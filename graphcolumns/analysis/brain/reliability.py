"""Reliability of repeated responses from split halves."""

from __future__ import annotations

from itertools import combinations
from math import comb

import torch
from torch import Tensor

from graphcolumns.analysis.brain.noise_ceiling import CHUNK, check_repeats
from graphcolumns.data.metrics import pearson_per_target
from graphcolumns.random.streams import generator

# Up to this number of splits each of them is used once.
ALL_SPLITS = 1000


def spearman_brown(reliability: Tensor, factor: float) -> Tensor:
    r"""Reliability of a mean of ``factor`` times as many repeats.

    .. math::
        \rho_m = \frac{m \rho}{1 + (m - 1) \rho}

    Args:
        reliability: Correlation :math:`\rho` of two equal parts, such as halves, any shape.
        factor: Factor :math:`m` of the number of repeats, 2 from halves to the whole.

    Source: Spearman, Correlation calculated from faulty data, British Journal of Psychology 1910;
        Brown, Some experimental results in the correlation of mental abilities, British Journal of
        Psychology 1910.
    """
    return factor * reliability / (1 + (factor - 1) * reliability)


def split_half_reliability(
    responses: Tensor, repeats: float | None = None, splits: int = 20, seed: int = 0
) -> Tensor:
    r"""Reliability of the mean over repeats, from halves of the repeats, ``[V]`` float64.

    The means over two disjoint halves of the repeats, of :math:`\lfloor K / 2 \rfloor` each, are
    correlated over images; the mean of the correlations over splits is brought to ``repeats`` by
    ``spearman_brown``. The result estimates the noise ceiling of as many repeats: in
    :math:`y_{ik} = s_i + e_{ik}` both are :math:`\sigma_s^2 / (\sigma_s^2 + \sigma_e^2 / n)`. It is
    below 0 for some vertices that have no signal, NaN for one that is constant.

    Args:
        responses: Responses to ``n`` images of ``K`` repeats each, ``[n, K, V]``; an image is left
            out of the splits for which one of its repeats is NaN.
        repeats: Number of averaged repeats whose reliability is returned (default: ``K``).
        splits: Number of random splits; where there are at most as many splits, all of them.
        seed: Seed of the splits.

    Raises:
        ValueError: Another shape, or a number out of range.
    """
    check_repeats(responses)
    if splits < 1:
        raise ValueError(f"splits must be 1 or above. Got {splits}.")
    count = responses.shape[1]
    # Halves of whole repeats: of an odd number of repeats, one is left out of each split.
    half = count // 2
    if repeats is not None and not 0 < repeats < float("inf"):
        raise ValueError(f"repeats must be above 0 and finite. Got {repeats}.")
    chosen = _splits(count, half, splits, seed)
    parts = []
    for part in responses.split(CHUNK, dim=2):
        values = part.double()
        found = [_correlation(values[:, first], values[:, second]) for first, second in chosen]
        parts.append(torch.stack(found).mean(0))
    return spearman_brown(torch.cat(parts), (count if repeats is None else repeats) / half)


def _splits(count: int, half: int, limit: int, seed: int) -> list[tuple[list[int], list[int]]]:
    """Pairs of disjoint halves: all of them, or as many random ones."""
    number = comb(count, half) * comb(count - half, half) // 2
    if number <= min(limit, ALL_SPLITS):
        firsts = combinations(range(count), half)
        pairs = [
            (first, second)
            for first in firsts
            for second in combinations(sorted({*range(count)} - {*first}), half)
            if first < second
        ]
        return [(list(first), list(second)) for first, second in pairs]
    draws = generator(seed, "split_half")
    orders = [torch.randperm(count, generator=draws).tolist() for _ in range(limit)]
    return [(order[:half], order[half : 2 * half]) for order in orders]


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    a, b = first.mean(1), second.mean(1)
    missing = a.isnan() | b.isnan()
    return pearson_per_target(a, torch.where(missing, torch.nan, b))
