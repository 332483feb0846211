"""Splits of samples into training, validation and test sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.random.streams import generator


class ThreeWay(NamedTuple):
    """Positions of the samples of three sets that have none in common, each ascending.

    Attributes:
        train: Samples on which weights are trained, int64.
        validation: Samples on which models, penalties and ensembles are chosen, int64.
        test: Samples on which the choice is scored, once, int64.
    """

    train: Tensor
    validation: Tensor
    test: Tensor


def three_way(
    samples: int,
    seed: int = 0,
    fractions: Sequence[float] = (0.8, 0.1, 0.1),
    groups: Tensor | None = None,
) -> ThreeWay:
    """A random split into training, validation and test sets, a function of the seed.

    Sizes are the fractions of the samples, rounded so that they add up to all of them. With
    groups, those of groups: samples of one group are in one set.

    Args:
        samples: Number of samples.
        seed: Seed of the split.
        fractions: Shares of training, validation and test set, each above 0, with sum 1.
        groups: Group of each sample, ``[samples]`` int64, such as the image of each trial: repeats
            of an image in two sets would let a model score by recalling it.

    Raises:
        ValueError: Other fractions, a set without a sample, or groups of another length.
    """
    above = all(share > 0 for share in fractions)
    if len(fractions) != 3 or not above or not abs(sum(fractions) - 1) <= 1e-6:
        raise ValueError(
            "fractions must be three shares above 0 with sum 1, of training, validation and test "
            f"set. Got {tuple(fractions)}."
        )
    if groups is not None and groups.shape != (samples,):
        raise ValueError(
            f"groups must hold one group per sample, [{samples}]. Got {list(groups.shape)}."
        )
    member = (
        torch.arange(samples) if groups is None else groups.cpu().unique(return_inverse=True)[1]
    )
    count = int(member.max()) + 1 if samples else 0
    first = round(count * fractions[0])
    second = round(count * (fractions[0] + fractions[1]))
    if not 0 < first < second < count:
        what = "samples" if groups is None else "groups"
        raise ValueError(
            f"every set needs at least one of the {count} {what}. Got {first}, {second - first} "
            f"and {count - second} from fractions {tuple(fractions)}; raise the smallest share."
        )
    order = torch.randperm(count, generator=generator(seed, "three_way"))
    part = torch.empty(count, dtype=torch.int64)
    for number, chosen in enumerate(order.tensor_split((first, second))):
        part[chosen] = number
    return ThreeWay(*((part[member] == number).nonzero()[:, 0] for number in range(3)))
