"""Magnitude: the size of what an edge carries, and of its weights."""

from typing import Literal

from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops import segment_sum
from graphcolumns.plasticity.criteria.kind import require_candidates, require_edges
from graphcolumns.plasticity.probe.evidence import Evidence


def mass(edges: Evidence) -> Tensor:
    r"""The attention that an edge gets, :math:`S = \mathrm{E}_b[\bar p_{ij}]`; lowest dropped.

    Averaged over samples, steps and heads; in linear layers, the mean size of the weights. Needs
    forward passes only. Says little before training.

    Args:
        edges: Evidence on the edges.

    Returns:
        ``[E]``, at least 0.

    Raises:
        ValueError: Candidates, or a model with neither records of its edges nor weights.

    Source: Han et al. 2015 (https://arxiv.org/abs/1506.02626), magnitude of weights; here of
    attention.
    """
    require_edges(edges, "mass")
    return edges.mass


def candidate_mass(pairs: Evidence) -> Tensor:
    r"""The attention a candidate would get, :math:`G = \mathrm{E}_b[\bar a_{ij}]`; highest grown.

    With :math:`a = \sigma(s_{ij} - \mathrm{lse}_i)`, averaged over samples, steps and heads.

    Args:
        pairs: Evidence on the candidates.

    Returns:
        ``[P]``, at least 0.

    Raises:
        ValueError: Edges instead of candidates.

    Source: Shirzad et al. 2024 (https://arxiv.org/abs/2411.16278, Spexphormer), who rank edges by
    the attention of a narrow network; here without that network.
    """
    require_candidates(pairs, "candidate_mass", "mass")
    return pairs.scores.would_be / pairs.scores.samples


def weight_size(edges: Evidence) -> Tensor:
    r"""The size of the weights, :math:`S = \overline{|w_{ij}|}`; lowest dropped.

    Averaged over heads (or channels) and layers. Scores of an edge bias are taken relative to the
    mean of the open in-edges of their target, :math:`|b_{ij} - \bar b_i|`, because softmax does not
    depend on a constant per column. A closed edge (``-inf``) has size 0.

    Args:
        edges: Evidence on the edges.

    Returns:
        ``[E]``, at least 0.

    Raises:
        ValueError: Candidates, or a model without weights per edge.

    Source: Zhu & Gupta 2017 (https://arxiv.org/abs/1710.01878), magnitude pruning.
    """
    return sizes_of_weights(edges.centred_weight).mean(1)


def relative_importance(edges: Evidence, of: Literal["mass", "weight"] = "mass") -> Tensor:
    r"""Shares at both ends, :math:`S = |w_e| / \sum_{\to i} |w| + |w_e| / \sum_{j \to} |w|`.

    The share of an edge among the in-edges of its target, and among the out-edges of its source;
    lowest dropped. The few edges of a column protect each other.

    Args:
        edges: Evidence on the edges.
        of: Size of an edge: ``"mass"``, its attention, or ``"weight"``, the size of its weights as
            in :func:`weight_size`; these have a share per head, and the shares are averaged.

    Returns:
        ``[E]``, in [0, 2].

    Raises:
        ValueError: Another size; candidates; a model without the one that is named.

    Source: Zhang et al. 2024 (https://openreview.net/forum?id=Tr0lPx9woF), used by Cannistraci-Hebb
    training.
    """
    if of == "mass":
        return _shares(mass(edges), edges.graph)
    if of != "weight":
        raise ValueError(f"relative_importance is one of 'mass' or of 'weight'. Got {of!r}.")
    return _shares(sizes_of_weights(edges.centred_weight), edges.graph).mean(1)


def sizes_of_weights(weight: Tensor) -> Tensor:
    """Absolute values ``[E, K]``; 0 for closed edges, whose score is ``-inf``."""
    return weight.masked_fill(weight == float("-inf"), 0.0).abs()


def _shares(size: Tensor, graph: ColumnGraph) -> Tensor:
    """Shares of ``[E]``, or of each column of ``[E, K]``, at both ends."""
    at_target = segment_sum(size, graph.target, graph.num_columns).index_select(0, graph.target)
    at_source = segment_sum(size, graph.source, graph.num_sources).index_select(0, graph.source)
    return _share(size, at_target) + _share(size, at_source)


def _share(size: Tensor, total: Tensor) -> Tensor:
    return size / total.masked_fill(total == 0, 1.0)
