"""How much a candidate would be worth: one number each, the highest grow first.

All are pure functions; those of :class:`~graphcolumns.ops.EdgeScores` read the fields for
candidates, and means are over samples.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from graphcolumns.connect.draws import log_kernel
from graphcolumns.graph.keys import pair_keys
from graphcolumns.ops import EdgeScores
from graphcolumns.random.counter import uniform


def insertion(
    scores: EdgeScores,
    curvature: bool | EdgeScores = False,
    standard_errors: float = 0.0,
) -> Tensor:
    r"""How much the loss falls with the edge, :math:`G = -\mathrm{E}_b[a_{ij} A_{ij}]`.

    With :math:`a = \sigma(s_{ij} - \mathrm{lse}_i)` the step of the attention output is exact, and
    the loss is linearised at it. The score is one-sided: attention cannot be negative, so an edge
    is worth its price only where G > 0. It is comparable with
    :func:`~graphcolumns.plasticity.criteria.catalogue.taylor`: both are changes of the loss.

    Args:
        scores: Of the candidates.
        curvature: Whether to subtract :math:`\frac12 \mathrm{E}_b[u^2]`, the counterpart of
            ``scores.fisher_taylor``: True for the second moments of
            ``scores``, or those of :func:`~graphcolumns.plasticity.probe.fisher.fisher`.
        standard_errors: Standard errors :math:`z` that G has to stand above zero:
            :math:`G - z\, \mathrm{SE}_b(u)`, against the luck of the best of many noisy scores.

    Raises:
        ValueError: Standard errors of fewer than two samples.
    """
    mean = scores.insertion / scores.samples
    gain = -mean
    curved = scores if curvature is True else curvature
    if curved is not False:
        gain = gain - 0.5 * curved.insertion_squares / curved.samples
    return gain - standard_errors * _standard_error(scores, mean) if standard_errors else gain


def _standard_error(scores: EdgeScores, mean: Tensor) -> Tensor:
    if scores.samples < 2:
        raise ValueError(f"standard errors need at least two samples, got {scores.samples}")
    spread = scores.insertion_squares / scores.samples - mean**2
    return (spread.clamp(min=0.0) / (scores.samples - 1)).sqrt()


def one_sided(gain: Tensor) -> Tensor:
    """``gain`` where it is above zero, else ``-inf``: what would raise the loss never grows."""
    return torch.where(gain > 0, gain, float("-inf"))


def rigl_abs(scores: EdgeScores) -> Tensor:
    r"""The size of the gradient, :math:`G = |\mathrm{E}_b[\rho_{ij} A_{ij}]|`.

    RigL (Evci et al. 2020, https://arxiv.org/abs/1911.11134) for attention: the gradient of the
    loss with respect to the mass :math:`m` of the candidate at :math:`m = 0`. (That with respect
    to its log, the bias, is zero for every candidate.) Blind to the sign, so it also grows what
    raises the loss: a baseline.
    """
    return (scores.gate / scores.samples).abs()


def advantage(scores: EdgeScores) -> Tensor:
    r"""How much better the value is than what is heard, :math:`G = -\mathrm{E}_b[A_{ij}]`.

    :func:`insertion` without the attention that the edge would get: who to listen to if queries
    and keys could follow.
    """
    return -scores.advantage / scores.samples


def would_be_attention(scores: EdgeScores) -> Tensor:
    r"""The attention it would get, :math:`G = \mathrm{E}_b[\bar a_{ij}]`; forward only.

    Averaged over samples, steps and heads. What Spexphormer's narrow network ranks edges by
    (Shirzad et al. 2024, https://arxiv.org/abs/2411.16278), here without that network.
    """
    return scores.would_be / scores.samples


def momentum(previous: Tensor | None, current: Tensor, decay: float = 0.9) -> Tensor:
    r"""A score that remembers, :math:`G_u = \beta G_{u-1} + (1 - \beta) g_u`.

    For candidates that stay on the list. Sparse momentum (Dettmers & Zettlemoyer 2019,
    https://arxiv.org/abs/1907.04840) takes it of gradients; here of any score.

    Args:
        previous: ``[P]``, or None at the beginning: then ``current`` itself.
        current: ``[P]``.
        decay: :math:`\beta`.
    """
    if previous is None:
        return current
    if previous.shape != current.shape:
        raise ValueError(
            "momentum needs the scores of the same candidates, "
            f"got {list(previous.shape)} and {list(current.shape)}"
        )
    return decay * previous + (1.0 - decay) * current


def distance(distances: Tensor, kernel: str = "exponential", length: float = 1.0) -> Tensor:
    r"""The logarithm of a kernel of distance, :math:`G = \log k(d_{ij})`.

    ``exponential`` :math:`-d / l` is the exponential distance rule of cortex (Ercsey-Ravasz et al.
    2013, https://doi.org/10.1016/j.neuron.2013.07.036), ``gaussian`` :math:`-d^2 / 2 l^2`,
    ``power`` :math:`-2 \log(1 + d / l)`. With Gumbel noise added, candidates grow with
    probability k(d).

    Args:
        distances: ``[P]``.
        kernel: One of the above, as in ``connect.distance_decay``.
        length: ``l``, in the unit of the distances.
    """
    values = log_kernel(kernel, length)(distances.detach().cpu().double().numpy())
    return torch.from_numpy(values).to(distances)


def random(
    targets: Tensor, sources: Tensor, num_sources: int, seed: int, update: int = 0
) -> Tensor:
    r"""Uniform numbers in (0, 1), a function of (seed, update, target, source) only.

    Growth of SET (Mocanu et al. 2018, https://doi.org/10.1038/s41467-018-04316-3); as a score of
    edges the control of every pruning rule. The same pair draws the same number on any device
    and in any list.

    Args:
        targets: ``[P]``.
        sources: ``[P]``.
        num_sources: ``M``.
        seed: Of the run.
        update: Number of the change of topology.

    Returns:
        ``[P]`` float64.
    """
    keys = pair_keys(targets, sources, num_sources)
    return uniform(seed, "score", update, keys).to(targets.device)


def mixture(scores: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    r"""Several scores in one unit, :math:`G = \sum_k w_k (G_k - \bar G_k) / \sigma_k`.

    Constant scores count as zero.

    Args:
        scores: Each ``[P]``, finite.
        weights: One per score.
    """
    if len(scores) != len(weights) or not scores:
        raise ValueError(
            f"a mixture needs one weight per score, got {len(scores)} and {len(weights)}"
        )
    parts = [w * _standardised(score) for score, w in zip(scores, weights, strict=True)]
    return torch.stack(parts).sum(0)


def _standardised(score: Tensor) -> Tensor:
    spread = score.std(correction=0)
    return (score - score.mean()) / torch.where(spread > 0, spread, 1.0)
