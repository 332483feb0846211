"""Effects of edges of linear layers on the loss, for any list of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.ops import EdgeScores
from graphcolumns.ops.context import accumulator
from graphcolumns.plasticity.probe.stacked import LinearTrace

# Numbers gathered at a time by default.
GATHERED = 2**24


class LinearEffects(NamedTuple):
    """Effects on the loss of each sample, summed over all passes of linear layers.

    Attributes:
        gradient: ``[P, b]``, the derivative by a weight that all heads share.
        product: ``[P, b]``, weight times derivative, summed over heads.
        size: ``[P]``, mean size of the weight over passes and heads.
        heads: Heads of all passes together, those that ``size`` is a mean of.
    """

    gradient: Tensor
    product: Tensor
    size: Tensor
    heads: int

    def scores(self) -> EdgeScores:
        """The sums over the samples."""
        return _scores(self.gradient, self.product, self.size)

    def with_attention(self, each: Sequence[EdgeScores], heads: float) -> EdgeScores:
        """The sums over the samples together with the effects of layers that attend.

        The effects of a sample are added before they are squared.

        Args:
            each: Scores of attention of every sample on its own.
            heads: Heads of all steps of attention together.
        """
        total: EdgeScores | None = None
        for gradient, product, other in zip(self.gradient.T, self.product.T, each, strict=True):
            mine = _scores(gradient[:, None], product[:, None], self.size)
            both = _added(mine, other, self.heads / (self.heads + heads))
            total = both if total is None else total.add_(both)
        assert total is not None
        return total


def linear_scores(
    passes: Sequence[LinearTrace],
    weights: Sequence[Tensor],
    targets: Tensor,
    sources: Tensor,
    chunk: int | None = None,
) -> LinearEffects:
    r"""Effects of deleting and of inserting edges of linear layers on the loss of each sample.

    With :math:`y_i = \sum_j w_{ij} x_j` and the gradient :math:`g_i = \partial L / \partial y_i`,
    the derivative by a weight is exactly :math:`G_{ij} = g_i^\top x_j`, for pairs that are no edges
    too. Deleting an edge changes :math:`y_i` exactly by :math:`-w_{ij} x_j` and the loss to first
    order by :math:`-w_{ij} G_{ij}`; inserting one with the weight :math:`w_0` by
    :math:`w_0 G_{ij}`. Only the loss is linearised, as in
    :func:`~graphcolumns.ops.edge_scores`; where a layer is passed several times, so is the way
    through later passes. In :class:`~graphcolumns.ops.EdgeScores` this reads

    =======================  ======================================================
    ``mass``, ``would_be``   :math:`|w|`, mean over passes and heads
    ``bias_gradient``        :math:`G`, the derivative by a weight that heads share
    ``attention_gradient``   :math:`|w G|`, absolute in each sample
    ``deletion``             :math:`u = -w G`
    ``advantage``, ``gate``  :math:`G`
    ``insertion``            :math:`u = w_0 G`
    =======================  ======================================================

    Args:
        passes: What linear layers computed along the edges, with the gradient of each sample.
        weights: Weights of the pairs in each pass, ``[P, H]``: of edges their own, of candidates
            those that they would be born with.
        targets: ``[P]``.
        sources: ``[P]``.
        chunk: Pairs at a time (default: by memory).

    Returns:
        Effects on each sample.
    """
    per_pair = max(each.x[0].numel() for each in passes)
    chunk = max(1, GATHERED // max(1, per_pair)) if chunk is None else chunk
    parts = []
    for start in range(0, len(targets), chunk):
        place = slice(start, start + chunk)
        own = [weight[place] for weight in weights]
        parts.append(_chunk(passes, own, targets[place].long(), sources[place].long()))
    heads = sum(weight.shape[1] for weight in weights)
    size = torch.stack([weight.abs().sum(1) for weight in weights]).sum(0) / heads
    if not parts:
        empty = size.new_zeros(0, passes[0].x.shape[1])
        return LinearEffects(empty, empty, size, heads)
    gradient, product = (torch.cat(each) for each in zip(*parts, strict=True))
    return LinearEffects(gradient, product, size.to(gradient.dtype), heads)


def _chunk(
    passes: Sequence[LinearTrace], weights: Sequence[Tensor], targets: Tensor, sources: Tensor
) -> tuple[Tensor, Tensor]:
    """``G`` and ``w G`` of some pairs, ``[P, b]``."""
    gradient: Tensor | float = 0.0
    product: Tensor | float = 0.0
    for each, weight in zip(passes, weights, strict=True):
        g, x = (
            values.to(accumulator(values.dtype)).index_select(0, ids)
            for values, ids in ((each.grad_out, targets), (each.x, sources))
        )
        per_head = (g * x).unflatten(-1, (weight.shape[1], -1)).sum(-1)
        gradient = gradient + per_head.sum(-1)
        product = product + (per_head * weight[:, None].to(per_head.dtype)).sum(-1)
    assert torch.is_tensor(gradient)
    assert torch.is_tensor(product)
    return gradient, product


def _scores(gradient: Tensor, product: Tensor, size: Tensor) -> EdgeScores:
    samples = gradient.shape[1]
    g, u, squares = gradient.sum(1), product.sum(1), product.square().sum(1)
    mass = size * samples
    absolute = product.abs().sum(1)
    rows = (mass, g, absolute, -u, squares, mass, g, g, u, squares)
    return EdgeScores.of(samples, torch.stack(rows))


def _added(linear: EdgeScores, attention: EdgeScores, share: float) -> EdgeScores:
    """The scores of one sample from layers of both kinds; ``share`` of all heads are linear."""
    mass, would_be = (
        share * getattr(linear, name) + (1 - share) * getattr(attention, name)
        for name in ("mass", "would_be")
    )
    gradient = linear.bias_gradient + attention.bias_gradient
    # In one sample the derivative by an edge's bias is attention times gradient, with its sign.
    absolute = (attention.bias_gradient - linear.deletion).abs()
    deletion = linear.deletion + attention.deletion
    insertion = linear.insertion + attention.insertion
    advantage, gate = linear.advantage + attention.advantage, linear.gate + attention.gate
    rows = (mass, gradient, absolute, deletion, deletion.square(), would_be, advantage, gate)
    return EdgeScores.of(1, torch.stack([*rows, insertion, insertion.square()]))
