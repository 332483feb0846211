"""How much of a wiring that is known to be right has been found."""

from __future__ import annotations

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import checked_pairs, contains, edge_keys, pair_keys


def recovery(graph: ColumnGraph, truth: Tensor, counted: Tensor | None = None) -> dict[str, float]:
    """Precision and recall of the edges between different columns.

    Args:
        graph: Graph that the pairs are about.
        truth: Targets and sources of the right edges, ``[2, P]``, in the column order of the graph:
            ``Dataset.truth_at(permutation)``.
        counted: Targets whose edges count, ``[N]`` bool (default: all), such as those with a far
            partner.

    Returns:
        ``precision``, the share of edges that are right (0 without edges), and ``recall``, the
        share of the right edges that are there (1 if none are right).

    Raises:
        ValueError: Ids out of range.
    """
    right = _keys(graph, truth, counted)
    counts = graph.target != graph.source
    if counted is not None:
        counts &= counted.to(graph.device)[graph.target.long()]
    found = edge_keys(graph)[counts]
    hits = int(contains(right, found).sum())
    return {
        "precision": hits / len(found) if len(found) else 0.0,
        "recall": hits / len(right) if len(right) else 1.0,
    }


def auroc(
    graph: ColumnGraph, scores: Tensor, targets: Tensor, sources: Tensor, truth: Tensor
) -> float:
    """Chance that a right pair scores above a wrong one, ties half: 1 perfect, 0.5 blind.

    Args:
        graph: Graph that the pairs are about.
        scores: Scores of pairs, larger is better, ``[K]``.
        targets: Targets of the pairs, ``[K]``.
        sources: Sources of the pairs, ``[K]``.
        truth: Targets and sources of the right edges, ``[2, P]``.

    Raises:
        ValueError: All pairs are right, or none, or ids are out of range.
    """
    keys = pair_keys(*checked_pairs(graph, targets, sources), graph.num_sources)
    right = contains(_keys(graph, truth), keys)
    if not right.any() or right.all():
        raise ValueError(
            f"auroc compares right pairs with wrong ones. Got {int(right.sum())} right among "
            f"{len(right)}."
        )
    return float(roc_auc_score(right.cpu().numpy(), scores.detach().double().cpu().numpy()))


def _keys(graph: ColumnGraph, truth: Tensor, counted: Tensor | None = None) -> Tensor:
    """Sorted keys of the right edges."""
    targets, sources = checked_pairs(graph, *truth)
    if counted is not None:
        kept = counted.to(graph.device)[targets]
        targets, sources = targets[kept], sources[kept]
    return torch.unique(pair_keys(targets, sources, graph.num_sources))
