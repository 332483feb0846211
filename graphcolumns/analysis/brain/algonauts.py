"""The score of the Algonauts Project 2023, over hemispheres and subjects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.analysis.brain.check_arrays import check_ceilings, check_predicted
from graphcolumns.data.metrics import ceiling_fraction_per_target, median


class AlgonautsScore(NamedTuple):
    r"""Summaries of the share of explainable variance over all vertices, in percent.

    Attributes:
        median: 100 times the median of :math:`f_v`, the score.
        median_clipped: 100 times the median of :math:`\min(f_v, 1)`.
        mean: 100 times the mean of :math:`f_v`.
        mean_clipped: 100 times the mean of :math:`\min(f_v, 1)`.
        vertices: Number of vertices over which these are taken.
        zero_ceiling: Number of vertices that are left out as their ceiling is 0.
        undefined: Number of other vertices that are left out, as their responses are constant.
    """

    median: float
    median_clipped: float
    mean: float
    mean_clipped: float
    vertices: int
    zero_ceiling: int
    undefined: int


def algonauts_score(
    predictions: Tensor | Sequence[Tensor],
    targets: Tensor | Sequence[Tensor],
    ceilings: Tensor | Sequence[Tensor],
) -> AlgonautsScore:
    r"""100 times the median over vertices of the noise-normalised squared correlation.

    .. math::
        f_v = \max(r_v, 0)^2 / \mathrm{NC}_v

    over the vertices of both hemispheres and all subjects together. Vertices with a ceiling of 0
    are left out and counted. Evaluation code of the challenge sets their ceiling to ``1e-14``
    instead and clips at 1, so that each of them with any correlation above 0 scores 1; scores here
    are lower than those where a ceiling is 0.

    Args:
        predictions: Predicted responses, ``[n, V]``, or one tensor per hemisphere and subject.
        targets: Measured responses in the same form.
        ceilings: Noise ceilings, ``[V]``, in the same form: shares of variance in [0, 1].

    Raises:
        ValueError: Shapes that do not fit, or no vertex with a ceiling above 0.

    Source: Gifford et al., The Algonauts Project 2023 Challenge: How the Human Brain Makes Sense of
        Natural Scenes, arXiv 2023, https://arxiv.org/abs/2301.03198.
    """
    parts = [_listed(values) for values in (predictions, targets, ceilings)]
    if len({len(part) for part in parts}) != 1 or not parts[0]:
        raise ValueError(
            "predictions, targets and ceilings must be one tensor each, or equally many. Got "
            f"{', '.join(str(len(part)) for part in parts)}."
        )
    shares, zero, undefined = [], 0, 0
    for number, (predicted, target, ceiling) in enumerate(zip(*parts, strict=True)):
        check_predicted(f"predictions[{number}]", predicted, target)
        check_ceilings(f"ceilings[{number}]", ceiling, target.shape[1])
        share = ceiling_fraction_per_target(predicted, target, ceiling.to(target.device)).cpu()
        none = ceiling.cpu() == 0
        zero += int(none.sum())
        undefined += int((share.isnan() & ~none).sum())
        shares.append(share[~share.isnan()])
    return _summary(torch.cat(shares), zero, undefined)


def _listed(values: Tensor | Sequence[Tensor]) -> list[Tensor]:
    return [values] if isinstance(values, Tensor) else list(values)


def _summary(shares: Tensor, zero: int, undefined: int) -> AlgonautsScore:
    if not len(shares):
        raise ValueError(
            "at least one vertex must have a noise ceiling above 0 and responses that vary. Got "
            f"{zero} with a ceiling of 0 and {undefined} that are constant."
        )
    clipped = shares.clamp(max=1)
    return AlgonautsScore(
        median=100 * float(median(shares)),
        median_clipped=100 * float(median(clipped)),
        mean=100 * float(shares.mean()),
        mean_clipped=100 * float(clipped.mean()),
        vertices=len(shares),
        zero_ceiling=zero,
        undefined=undefined,
    )
