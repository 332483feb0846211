"""Ensembles of models that weigh every vertex on its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

# Sums of softmax in float32 over dozens of members.
TOLERANCE = 1e-4


def ensemble_weights(correlations: Tensor, temperature: float = 40.0) -> Tensor:
    r"""Weights of the members of an ensemble, for each vertex a softmax of their correlations.

    .. math::
        w_{mv} = \frac{\exp(\beta r_{mv})}{\sum_{m'} \exp(\beta r_{m'v})}

    Members are all models together, layers times runs, so that the weights of a vertex sum to 1
    over all of them. Correlations must be those with validation images: with test images, the
    ensemble would be chosen on what it is scored on.

    Args:
        correlations: Correlation of every member with the responses to validation images,
            ``[members, V]``. NaN counts as no weight, and where all are NaN members have equal
            weights.
        temperature: Factor :math:`\beta` of the correlations, 0 for the mean of the members; the
            larger it is, the more weight has the best member.

    Returns:
        Weights ``[members, V]``, float64.

    Raises:
        ValueError: Another shape, or a factor below 0 or not finite.
    """
    if correlations.ndim != 2 or not correlations.numel():
        raise ValueError(
            f"correlations must be [members, vertices]. Got {list(correlations.shape)}; stack "
            "members along the first axis, runs and layers alike."
        )
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature must be 0 or above and finite. Got {temperature}.")
    none = correlations.isnan()
    logits = temperature * correlations.double()
    logits = torch.where(none, -torch.inf, logits)
    logits = torch.where(none.all(0), 0.0, logits)
    return logits.softmax(0)


def ensemble(predictions: Tensor | Sequence[Tensor], weights: Tensor) -> Tensor:
    r"""Weighted mean of the predictions of all members, ``[n, V]`` float32 or float64.

    .. math::
        \hat y_{bv} = \sum_m w_{mv} \hat y_{mbv}

    Args:
        predictions: Predicted responses of every member, ``[members, n, V]`` or one ``[n, V]``
            each.
        weights: Weights that sum to 1 over members for every vertex, ``[members, V]``, such as
            those of ``ensemble_weights``.

    Raises:
        ValueError: Shapes that do not fit, or weights with another sum: sums of the number of runs
            would scale the predictions up by it.
        TypeError: Predictions that are not floating.
    """
    shapes = [tuple(member.shape) for member in predictions]
    if len(set(shapes)) != 1 or len(shapes[0]) != 2:
        raise ValueError(
            "predictions must be [n, V] of the same samples and vertices for every member. Got "
            f"{', '.join(str(list(shape)) for shape in dict.fromkeys(shapes)) or 'none'}."
        )
    if weights.shape != (len(shapes), shapes[0][1]):
        raise ValueError(
            f"weights must be one per member and vertex, [{len(shapes)}, {shapes[0][1]}]. Got "
            f"{list(weights.shape)}."
        )
    off = (weights.double().sum(0) - 1).abs()
    if not bool((off <= TOLERANCE).all()):
        worst = float(weights.double().sum(0)[off.nan_to_num(torch.inf).argmax()])
        raise ValueError(
            f"weights must sum to 1 over members for every vertex. Got a sum of {worst:.4g}; take "
            "ensemble_weights of all members, layers times runs, at once."
        )
    for member in predictions:
        if not member.is_floating_point():
            raise TypeError(
                f"predictions must be floating tensors. Got {member.dtype}; call .float()."
            )
    dtype = reduce(torch.promote_types, (member.dtype for member in predictions), torch.float32)
    # Member by member: all of them in float64 would be as large again.
    total = torch.zeros_like(predictions[0], dtype=dtype)
    for member, weight in zip(predictions, weights, strict=True):
        total += member.to(total) * weight.to(total)
    return total
