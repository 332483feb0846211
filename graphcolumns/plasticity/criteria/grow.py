"""What candidates would be worth, as rules take it: from `Evidence` to `[P]`, highest grown.

The formulas are in `graphcolumns.plasticity.criteria.catalogue`.
"""

from __future__ import annotations

from torch import Tensor

from graphcolumns.plasticity.criteria import catalogue as scores
from graphcolumns.plasticity.probe.evidence import Evidence


def insertion(
    pairs: Evidence, curvature: str | None = None, standard_errors: float = 0.0
) -> Tensor:
    """How much the loss falls with the edge: `scores.insertion`.

    Args:
        pairs: what is known of them.
        curvature: None, `"labels"` (second moments under the true labels) or `"model"` (under
            those that the model predicts, one more pass).
        standard_errors: standard errors that the gain has to stand above zero.
    """
    if curvature not in (None, "labels", "model"):
        raise ValueError(f"curvature must be None, 'labels' or 'model'. Got {curvature!r}.")
    curved = pairs.fisher if curvature == "model" else curvature == "labels"
    return scores.insertion(pairs.scores, curved, standard_errors)


def rigl_abs(pairs: Evidence) -> Tensor:
    """The size of the gradient: `scores.rigl_abs`."""
    return scores.rigl_abs(pairs.scores)


def advantage(pairs: Evidence) -> Tensor:
    """How much better the value is than what is heard: `scores.advantage`."""
    return scores.advantage(pairs.scores)


def would_be_attention(pairs: Evidence) -> Tensor:
    """The attention it would get: `scores.would_be_attention`."""
    return scores.would_be_attention(pairs.scores)


def random(pairs: Evidence) -> Tensor:
    """Chance, a function of (seed, update, pair): `scores.random`."""
    ends = pairs.targets, pairs.sources
    return scores.random(*ends, pairs.graph.num_sources, pairs.seed, pairs.update)


def distance(pairs: Evidence, kernel: str = "exponential", length: float = 1.0) -> Tensor:
    """The logarithm of a kernel of distance, `length` in its unit: `scores.distance`."""
    return scores.distance(pairs.distance, kernel, length)


def hebbian(pairs: Evidence) -> Tensor:
    """Columns that are active together: `scores.hebbian`."""
    return scores.hebbian(pairs.activity, pairs.targets, pairs.sources)


def matching_index(pairs: Evidence, neighbours: str = "all", norm: str = "jaccard") -> Tensor:
    """Shared neighbours: `scores.matching_index`."""
    ends = pairs.targets, pairs.sources
    return scores.matching_index(pairs.graph, *ends, neighbours, norm)


def ch2_l3n(pairs: Evidence) -> Tensor:
    """Paths of three that stay in a local community: `scores.ch2_l3n`."""
    return scores.ch2_l3n(pairs.graph, pairs.targets, pairs.sources)
