"""Gradient: criteria that read the slope of the loss, alone or beside a size."""

from torch import Tensor

from graphcolumns.plasticity.criteria.kind import require_edges
from graphcolumns.plasticity.criteria.magnitude import sizes_of_weights
from graphcolumns.plasticity.probe.evidence import Evidence


def mest(edges: Evidence, weight: float = 0.01) -> Tensor:
    r"""Size and gradient, :math:`S = \overline{|w| + \lambda |\partial L / \partial w|}`.

    :math:`L` is the mean loss of the batch. Sizes are taken head by head and layer by layer, then
    averaged. A closed edge (a score of ``-inf``) has size and gradient 0. Lowest dropped.

    Args:
        edges: Evidence on the edges.
        weight: Factor :math:`\lambda` of the gradient.

    Returns:
        ``[E]``, at least 0.

    Raises:
        ValueError: Candidates, or a model without weights per edge.

    Source: Yuan et al. 2021 (https://arxiv.org/abs/2110.14032).
    """
    return (sizes_of_weights(edges.weight) + weight * edges.weight_gradient.abs()).mean(1)


def movement(edges: Evidence) -> Tensor:
    r"""Whether training moves the weights away from zero; lowest dropped.

    :math:`S = -\sum_s \sum_h w\, \partial L / \partial w` over the optimizer steps :math:`s` since
    the last update, see :func:`movement_of_step`. Needs ``Scoring(watch_movement=True)``.

    Args:
        edges: Evidence on the edges.

    Returns:
        ``[E]``.

    Raises:
        ValueError: Candidates, or no movement so far.

    Source: Sanh et al. 2020 (https://arxiv.org/abs/2005.07683).
    """
    require_edges(edges, "movement")
    if "movement" not in edges.memory:
        raise ValueError(
            "movement is accumulated from the gradients of parameters per edge, such as an edge "
            "bias or the weights of EdgeLinear. Expected a rule that watches them. Got none so "
            "far; set Scoring(watch_movement=True), in a configuration "
            "plasticity.watch_movement=true."
        )
    return edges.memory["movement"]


def movement_of_step(weight: Tensor, gradient: Tensor) -> Tensor:
    r"""The movement of one optimizer step, :math:`-\sum_h w\, \partial L / \partial w`.

    Args:
        weight: Weights of the edges, ``[E, ...]``; those of closed edges (``-inf``) do not move.
        gradient: Gradient of the loss of the step by them, of the same shape.

    Returns:
        ``[E]``.
    """
    products = -weight.masked_fill(weight == float("-inf"), 0.0) * gradient
    return products if products.dim() == 1 else products.flatten(1).sum(1)


def attention_gradient(edges: Evidence) -> Tensor:
    r"""Attention times gradient, :math:`S = \mathrm{E}_b |\sum_{t,h} p_{ij} A_{ij}|`.

    The size of the derivative by a gate that scales the attention of the edge in all steps and
    heads; in linear layers :math:`|\sum_{t,h} w G|`. Absolute in each sample: after the mean it
    would be the gradient of the bias, which training brings to zero for every edge. Lowest dropped.

    Args:
        edges: Evidence on the edges.

    Returns:
        ``[E]``, at least 0.

    Raises:
        ValueError: Candidates instead of edges.

    Source: Michel et al. 2019 (https://arxiv.org/abs/1905.10650), who score heads by
    :math:`\mathrm{E}|\xi\, \partial L / \partial \xi|` of a gate :math:`\xi`.
    """
    require_edges(edges, "attention_gradient")
    return edges.scores.attention_gradient / edges.scores.samples


def gradient_size(pairs: Evidence) -> Tensor:
    r"""The size of the gradient, :math:`G = |\mathrm{E}_b \sum_{t,h} \rho_{ij} A_{ij}|`.

    The derivative of the mean loss by the mass :math:`m` that a candidate has in all steps and
    heads, at :math:`m = 0` (that by the logarithm of the mass, the bias, is zero for every
    candidate); in linear layers the derivative by a weight that all heads share. Does not depend on
    the sign, so it also grows what raises the loss: a baseline. Highest grown; of edges that are
    dropped and may regrow it is the derivative by the logarithm of their mass.

    Args:
        pairs: Evidence on the candidates.

    Returns:
        ``[P]``, at least 0.

    Source: Evci et al. 2020 (https://arxiv.org/abs/1911.11134, RigL), for attention.
    """
    return (pairs.scores.gate / pairs.scores.samples).abs()


def advantage(pairs: Evidence) -> Tensor:
    r"""How much better a value is than what is received: :math:`G = -\mathrm{E}_b \sum_{t,h} A`.

    :func:`~graphcolumns.plasticity.criteria.insertion_gain` without the attention that the
    candidate would get: the best source if queries and keys could follow. Highest grown. For edges
    and candidates.

    Args:
        pairs: Evidence on edges or candidates.

    Returns:
        ``[P]``.
    """
    return -pairs.scores.advantage / pairs.scores.samples
