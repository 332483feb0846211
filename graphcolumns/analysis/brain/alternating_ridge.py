"""Weights over space times weights over features, by ridge regressions that take turns."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# Steps of the power method that finds where the alternation starts.
START_STEPS = 10


class SpaceFeatureWeights(NamedTuple):
    """Separable weights of every vertex: the weight of feature d at token m is their product.

    Attributes:
        space: Weight of every token, ``[V, M]``.
        feature: Weight of every feature, ``[V, D]``.
    """

    space: Tensor
    feature: Tensor

    def predict(self, features: Tensor) -> Tensor:
        """Responses to features ``[n, M, D]``, without an intercept: ``[n, V]``."""
        # The features are weighted first: [V, n, M] is the smaller of the two.
        seen = torch.einsum("nmd,vd->vnm", features, self.feature)
        return torch.einsum("vnm,vm->nv", seen, self.space)


def alternating_ridge(
    features: Tensor, responses: Tensor, alpha: Tensor, iterations: int = 10
) -> SpaceFeatureWeights:
    r"""Separable weights with the least penalised squared error, from a spectral start.

    .. math::
        \min_{s, f} \frac1n \sum_i \Big(y_{iv} - \sum_{md} s_{vm} f_{vd} x_{imd}\Big)^2
        + \alpha_v \left(\|s_v\|^2 + \|f_v\|^2\right)

    For fixed :math:`s` this is a ridge regression for :math:`f`, and the other way round; the two
    take turns, and no step raises the objective. After each turn both are scaled to one norm,
    which keeps their product. At such a point the penalty is :math:`2 \alpha_v \|s_v\| \|f_v\|`,
    that of the nuclear norm of the separable weights. The problem is not convex: the start is the
    best separable approximation of the covariance of features and response, and the result may be a
    local minimum.

    Args:
        features: Features of the tokens with mean 0, ``[n, M, D]``.
        responses: Responses with mean 0, ``[n, V]``.
        alpha: Penalty of every vertex, ``[V]``.
        iterations: Number of turns.

    Source: Klindt et al., Neural system identification for large populations separating "what" and
        "where", NeurIPS 2017, https://arxiv.org/abs/1711.02653.
    """
    space, feature = _start(features, responses)
    for _ in range(iterations):
        seen = torch.einsum("nmd,vm->vnd", features, space)
        feature = _ridge(seen, responses, alpha)
        seen = torch.einsum("nmd,vd->vnm", features, feature)
        space = _ridge(seen, responses, alpha)
        space, feature = _balanced(space, feature)
    return SpaceFeatureWeights(space, feature)


def _start(features: Tensor, responses: Tensor) -> tuple[Tensor, Tensor]:
    """First singular vectors of the covariance of features and responses, by the power method."""
    covariance = torch.einsum("nmd,nv->vmd", features, responses) / len(features)
    space = covariance.new_ones(covariance.shape[:2])
    feature = covariance.sum(1)
    for _ in range(START_STEPS):
        space = _unit(torch.einsum("vmd,vd->vm", covariance, feature))
        feature = _unit(torch.einsum("vmd,vm->vd", covariance, space))
    return space, feature


def _unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-30)


def _balanced(space: Tensor, feature: Tensor) -> tuple[Tensor, Tensor]:
    a, b = (x.norm(dim=1, keepdim=True) for x in (space, feature))
    factor = torch.where((a > 0) & (b > 0), (b / a).sqrt(), 1.0)
    return space * factor, feature / factor


def _ridge(seen: Tensor, responses: Tensor, alpha: Tensor) -> Tensor:
    """Ridge regression of every vertex on its own ``[n, P]`` features: ``[V, P]``."""
    samples, width = seen.shape[1:]
    y = responses.T[:, :, None]
    penalty = alpha.to(seen)[:, None, None]
    if width <= samples:
        gram = seen.mT @ seen / samples + penalty * torch.eye(width).to(seen)
        return torch.linalg.solve(gram, seen.mT @ y / samples)[..., 0]
    # The same solution from inner products of samples.
    kernel = seen @ seen.mT / samples + penalty * torch.eye(samples).to(seen)
    return (seen.mT @ torch.linalg.solve(kernel, y) / samples)[..., 0]
