"""How much an edge is worth: one number per edge, the lowest are dropped first.

All are pure functions; those of :class:`~graphcolumns.ops.EdgeScores` read the fields for edges.
Dropout of edges is off while they are measured, and means are over samples.
"""

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops import EdgeScores, segment_sum


def mass(scores: EdgeScores) -> Tensor:
    r"""The attention that an edge gets, :math:`S = \mathrm{E}_b[\bar p_{ij}]`.

    Averaged over samples, steps and heads. Forward only, cheap; says little before training.
    The magnitude criterion of Han et al. 2015 (https://arxiv.org/abs/1506.02626) for attention.
    """
    return scores.mass / scores.samples


def size(values: Tensor) -> Tensor:
    r"""The size of the weights, :math:`S = \overline{|w|}` over heads and layers.

    Magnitude pruning (Zhu & Gupta 2017, https://arxiv.org/abs/1710.01878). A closed edge, ``-inf``,
    has no size.

    Args:
        values: ``[E]`` or ``[E, K]``.
    """
    return _over_heads(_sizes(values))


def taylor(scores: EdgeScores) -> Tensor:
    r"""How much the loss rises without the edge, :math:`S = -\mathrm{E}_b[\frac{p}{1-p} A_{ij}]`.

    The step of the attention output is exact, the loss is linearised at it; compare Molchanov et
    al. 2017 (https://arxiv.org/abs/1611.06440), who linearise in the activation itself.
    """
    return scores.deletion / scores.samples


def fisher_taylor(scores: EdgeScores, fisher: EdgeScores | None = None) -> Tensor:
    r"""The same with curvature, :math:`S = \mathrm{E}_b[u] + \frac12 \mathrm{E}_b[u^2]`.

    With :math:`u_b = -\sum_{t,h} \frac{p}{1-p} A` the effect of deletion on one sample. Its second
    moment is Fisher's information along the step, in units of loss for losses that are negative
    log likelihoods. After Theis et al. 2018 (https://arxiv.org/abs/1801.05787).

    Args:
        scores: Of the edges.
        fisher: Second moments under the model's own predictions, of
            :func:`~graphcolumns.plasticity.probe.fisher.fisher` (default: those of ``scores``,
            under the true labels, which vanish in a model that fits them).
    """
    curved = scores if fisher is None else fisher
    return taylor(scores) + 0.5 * curved.deletion_squares / curved.samples


def attention_gradient(scores: EdgeScores) -> Tensor:
    r"""Attention times gradient, :math:`S = \mathrm{E}_b |\sum_{t,h} p_{ij} A_{ij}|`.

    Absolute in each sample: the mean before it would be the gradient of the bias, which training
    brings to zero for every edge. Michel et al. 2019 (https://arxiv.org/abs/1905.10650), who score
    heads by :math:`\mathrm{E}|\xi\, \partial L / \partial \xi|` of a gate :math:`\xi`.
    """
    return scores.attention_gradient / scores.samples


def movement(values: Tensor, gradient: Tensor) -> Tensor:
    r"""Whether training moves the bias from zero, :math:`S = -\sum_h b\, \partial L/\partial b`.

    Accumulate it over steps, as :func:`momentum` does or by adding: Sanh et al. 2020
    (https://arxiv.org/abs/2005.07683).

    Args:
        values: Biases, ``[E]`` or ``[E, H]``.
        gradient: Of the loss with respect to them.
    """
    _check_alike(values, gradient)
    products = -values.masked_fill(values == float("-inf"), 0.0) * gradient
    return products if products.dim() == 1 else products.flatten(1).sum(1)


def mest(values: Tensor, gradient: Tensor, weight: float = 0.01) -> Tensor:
    r"""Size and gradient of the bias, :math:`S = \overline{|b| + \lambda |\partial L/\partial b|}`.

    Averaged over heads. Yuan et al. 2021 (https://arxiv.org/abs/2110.14032).

    Args:
        values: Biases, ``[E]`` or ``[E, H]``.
        gradient: Of the loss with respect to them.
        weight: :math:`\lambda`.
    """
    _check_alike(values, gradient)
    return _over_heads(_sizes(values) + weight * gradient.abs())


def relative_importance(values: Tensor, graph: ColumnGraph) -> Tensor:
    r"""Shares instead of sizes, :math:`S = |w_e| / \sum_{\to i} |w| + |w_e| / \sum_{j \to} |w|`.

    The share among the in-edges of the target and that among the out-edges of the source: few
    edges at a column protect each other. Zhang et al. 2024
    (https://openreview.net/forum?id=Tr0lPx9woF), used by Cannistraci-Hebb training.

    Args:
        values: Any score, ``[E]``.
        graph: The edges.
    """
    if values.shape != (graph.num_edges,):
        raise ValueError(f"values must be [E] = [{graph.num_edges}], got {list(values.shape)}")
    size = values.abs()
    rows = segment_sum(size, graph.target, graph.num_columns).index_select(0, graph.target)
    columns = segment_sum(size, graph.source, graph.num_sources).index_select(0, graph.source)
    return _share(size, rows) + _share(size, columns)


def length(distance: Tensor) -> Tensor:
    r"""The longest first, :math:`S = -d_{ij}`: a control.

    Length predicts which edges a spatial network can miss about as well as weight does in
    Mészáros et al. 2025.

    Args:
        distance: ``[E]``, in any unit.
    """
    return -distance


def age(updates: Tensor, oldest_first: bool = False) -> Tensor:
    """The youngest first, ``S = age``, or the oldest: a control.

    Args:
        updates: ``[E]``, how many changes of topology an edge has survived.
        oldest_first: Whether to drop the oldest instead.
    """
    aged = updates.to(torch.get_default_dtype())
    return -aged if oldest_first else aged


def _sizes(values: Tensor) -> Tensor:
    return values.masked_fill(values == float("-inf"), 0.0).abs()


def _over_heads(values: Tensor) -> Tensor:
    return values if values.dim() == 1 else values.mean(1)


def _share(size: Tensor, total: Tensor) -> Tensor:
    return size / total.masked_fill(total == 0, 1.0)


def _check_alike(values: Tensor, gradient: Tensor) -> None:
    if values.shape != gradient.shape or not values.dim():
        raise ValueError(
            "weights and their gradient must both be [E] or [E, K], "
            f"got {list(values.shape)} and {list(gradient.shape)}"
        )
