"""Hierarchy of areas from the layers in which projections begin."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from torch import Tensor

from graphcolumns.analysis.connectome.pairs import (
    Floats,
    Ids,
    checked_weights,
    require_shared_columns,
)
from graphcolumns.analysis.hierarchy.potentials import fit_potentials
from graphcolumns.graph import ColumnGraph


class LaminarHierarchy(NamedTuple):
    """Levels of columns by the shares of their edges.

    Args:
        levels: Level of each column, ``[N]``, in units of the logit, 0 at the lowest of each
            component; NaN for a column without an edge.
        correlation: Pearson's r of shares and of differences of levels over edges; NaN where one of
            them is constant.
        agreement: Share of the edges on which share - 1/2 and the difference of levels have the
            same sign.
        feedforward: Share of the edges whose share is above 1/2.
        components: Component of each column, ``[N]``; levels in different ones are not comparable.
    """

    levels: Floats
    correlation: float
    agreement: float
    feedforward: float
    components: Ids


def laminar_hierarchy(
    graph: ColumnGraph, shares: Tensor, weights: Tensor | None = None, clip: float = 0.01
) -> LaminarHierarchy:
    r"""Levels whose differences come nearest to the logits of shares.

    .. math::
        \min_h \sum_{j \to i} w_{ij} \left(\mathrm{logit}\, s_{ij} - (h_i - h_j)\right)^2

    In the cortex :math:`s_{ij}` is SLN, the share of the neurons of a projection that lie above
    layer 4: large for feed-forward edges, from a lower column to a higher one. Any other number in
    [0, 1] that says how feed-forward an edge is may take its place. Self-edges are left out.

    Args:
        graph: Edges among columns.
        shares: Share of every edge, ``[E]``, in [0, 1].
        weights: Weight of every edge in the fit, ``[E]``, 0 or above (default: 1).
        clip: Least distance of a share from 0 and 1, whose logits are infinite; in (0, 1/2).

    Raises:
        ValueError: Shares outside [0, 1] or of another shape; no edge of weight above 0; bad
            weights; a clip out of range; a bipartite graph.

    Source: Markov et al., Anatomy of hierarchy: feedforward and feedback pathways in macaque visual
    cortex, Journal of Comparative Neurology 522 (2014).
    """
    require_shared_columns(graph)
    if not 0 < clip < 0.5:
        raise ValueError(f"clip must lie in (0, 1/2). Got {clip}.")
    share = _checked_shares(graph, shares)
    value = checked_weights(graph, weights)
    source, target = (ends.astype(np.int64) for ends in graph.edge_index.cpu().numpy())
    used = (source != target) & (value > 0)
    if not used.any():
        raise ValueError(
            "a hierarchy needs an edge between different columns of weight above 0. Got none."
        )
    source, target, share, value = source[used], target[used], share[used], value[used]
    clipped = np.clip(share, clip, 1 - clip)
    logit = np.log(clipped) - np.log1p(-clipped)
    levels, components = fit_potentials(source, target, value, logit, graph.num_columns)
    climbed = levels[target] - levels[source]
    constant = np.ptp(share) == 0 or np.ptp(climbed) < 1e-12
    return LaminarHierarchy(
        levels,
        math.nan if constant else float(np.corrcoef(share, climbed)[0, 1]),
        float((np.sign(share - 0.5) == np.sign(climbed)).mean()),
        float((share > 0.5).mean()),
        components,
    )


def _checked_shares(graph: ColumnGraph, shares: Tensor) -> Floats:
    if shares.shape != (graph.num_edges,):
        raise ValueError(
            f"shares must hold one number per edge, shape ({graph.num_edges},). "
            f"Got {tuple(shares.shape)}."
        )
    share: Floats = shares.detach().cpu().double().numpy()
    bad = np.flatnonzero(~((share >= 0) & (share <= 1)))
    if len(bad):
        raise ValueError(
            f"shares must lie in [0, 1]. Got {share[bad[0]]} at edge {bad[0]}; remove this edge, "
            "or divide percentages by 100."
        )
    return share
