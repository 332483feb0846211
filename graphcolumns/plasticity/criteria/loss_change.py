r"""Loss change: how much the loss rises without an edge, and falls with a candidate.

All are in units of the loss, so edges and candidates can be compared: ``Rule(accept="net_gain")``.
With the *advantage* :math:`A_{ij} = g_i^\top (v_j - o_i)`, where :math:`g_i` is the gradient of one
sample's loss by what column :math:`i` receives, :math:`o_i`, the effects on a sample are

.. math::
    u^-_{ij} = -\sum_{t, h} \frac{p_{ij}}{1 - p_{ij}} A_{ij} \quad\text{(deletion)}, \qquad
    u^+_{ij} = \sum_{t, h} a_{ij} A_{ij} \quad\text{(insertion)},

summed over steps and heads before they are squared: an edge comes and goes in all heads at once.
The step of the attention output is exact, the loss is linearised at it. In linear layers
:math:`u^- = -w G` and :math:`u^+ = w_0 G`, see
:func:`~graphcolumns.plasticity.probe.linear_scores.linear_scores`.
"""

from typing import Literal, get_args

from torch import Tensor

from graphcolumns.ops import EdgeScores
from graphcolumns.plasticity.criteria.kind import require_candidates, require_edges
from graphcolumns.plasticity.probe.evidence import Evidence

# Labels under which second moments are taken: the true ones, or those that the model predicts.
Curvature = Literal["labels", "model"]


def deletion_cost(edges: Evidence) -> Tensor:
    r"""How much the loss rises without the edge, :math:`S = \mathrm{E}_b[u^-]`; lowest dropped.

    Args:
        edges: Evidence on the edges.

    Returns:
        ``[E]``, in units of the loss.

    Raises:
        ValueError: Candidates instead of edges.

    Source: compare Molchanov et al. 2017 (https://arxiv.org/abs/1611.06440), who linearise the loss
    in the activation itself.
    """
    require_edges(edges, "deletion_cost")
    return edges.scores.deletion / edges.scores.samples


def fisher_taylor(edges: Evidence, curvature: Curvature = "model") -> Tensor:
    r"""The same with curvature, :math:`S = \mathrm{E}_b[u^-] + \frac12 \mathrm{E}_b[(u^-)^2]`.

    The second moment is Fisher's information along the step, in units of the loss for losses that
    are negative log likelihoods. Lowest dropped.

    Args:
        edges: Evidence on the edges.
        curvature: Labels of the second moments: ``"model"``, those that the model predicts (one
            more pass), or ``"labels"``, the true ones, under which they vanish in a model that fits
            its data.

    Returns:
        ``[E]``, in units of the loss.

    Raises:
        ValueError: Another curvature, or candidates instead of edges.

    Source: after Theis et al. 2018 (https://arxiv.org/abs/1801.05787).
    """
    require_edges(edges, "fisher_taylor")
    curved = _second_moments(edges, curvature)
    return deletion_cost(edges) + 0.5 * curved.deletion_squares / curved.samples


def insertion_gain(
    pairs: Evidence, curvature: Curvature | None = None, standard_errors: float = 0.0
) -> Tensor:
    r"""How much the loss falls with the candidate, :math:`G = -\mathrm{E}_b[u^+]`; highest grown.

    One-sided: attention cannot be negative, so a candidate is worth its place only where
    :math:`G > 0`.

    Args:
        pairs: Evidence on the candidates.
        curvature: Labels of the second moments as in :func:`fisher_taylor`, to subtract
            :math:`\frac12 \mathrm{E}_b[(u^+)^2]`; None: nothing is subtracted.
        standard_errors: Standard errors :math:`z` that are subtracted from the gain,
            :math:`z\, \mathrm{SE}_b(u^+)`, because the best of many noisy gains is partly luck.

    Returns:
        ``[P]``, in units of the loss.

    Raises:
        ValueError: Another curvature, standard errors of fewer than two samples, or edges instead
            of candidates.
    """
    require_candidates(pairs, "insertion_gain", "deletion_cost")
    # First, so that one pass serves both.
    curved = None if curvature is None else _second_moments(pairs, curvature)
    mean = pairs.scores.insertion / pairs.scores.samples
    gain = -mean
    if curved is not None:
        gain = gain - 0.5 * curved.insertion_squares / curved.samples
    if not standard_errors:
        return gain
    return gain - standard_errors * _standard_error(pairs.scores, mean)


def _second_moments(pairs: Evidence, curvature: Curvature) -> EdgeScores:
    if curvature not in get_args(Curvature):
        raise ValueError(f"curvature must be 'labels' or 'model'. Got {curvature!r}.")
    return pairs.fisher if curvature == "model" else pairs.scores


def _standard_error(scores: EdgeScores, mean: Tensor) -> Tensor:
    if scores.samples < 2:
        raise ValueError(f"standard errors need at least two samples. Got {scores.samples}.")
    spread = scores.insertion_squares / scores.samples - mean**2
    return (spread.clamp(min=0.0) / (scores.samples - 1)).sqrt()
