"""Whether a classifier gives the same answer to an image and to its shifts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from graphcolumns.analysis.invariance.check_inputs import (
    check_finite_output,
    check_images,
    tensor_in,
    without_dropout,
)
from graphcolumns.geometry.checks import check_choice
from graphcolumns.nn.checks import check_counts

Border = Literal["circular", "padded"]


class ShiftConsistency(NamedTuple):
    """How often answers to shifted images are those to the images as they are.

    Attributes:
        consistency: Mean of ``agreement`` over all shifts but the one by 0: a share in [0, 1].
        agreement: Share of images with the answer of the unshifted image, ``[2 k + 1, 2 k + 1]``
            float64, with shifts down in rows and to the right in columns, from ``-k`` to ``k``.
        accuracy: Share of correct answers at every shift, as ``agreement``; None without targets.
        border: ``"circular"`` or ``"padded"``.
    """

    consistency: float
    agreement: Tensor
    accuracy: Tensor | None
    border: Border


@torch.no_grad()
def shift_consistency(
    model: Callable[[Tensor], Any],
    images: Tensor,
    reach: int,
    *,
    border: Border,
    fill: float = 0.0,
    targets: Tensor | None = None,
    batch_size: int = 256,
) -> ShiftConsistency:
    r"""Probability that a shift leaves the answer as it is.

    .. math::
        P[\arg\max f(x) = \arg\max f(\mathrm{shift}\, x)]

    over all images and all shifts by up to ``k`` pixels down and to the right but the one by 0,
    each image compared with itself unshifted. (Zhang compares two shifts drawn at random; the two
    numbers differ.) Of equal largest values the first is the answer. Dropout of a module
    is off.

    Args:
        model: Function of images that returns scores ``[B, K]``, or an output with such a
            ``prediction``.
        images: Images ``[n, channels, Y, X]``, floating.
        reach: Largest shift ``k`` in pixels, at least 1; ``2 k + 1`` is at most a side.
        border: ``"circular"``: what leaves the image enters at the other side; ``"padded"``: it is
            lost, and ``fill`` enters.
        fill: Value of the pixels that enter, in units of the images.
        targets: Classes ``[n]`` int64, for the accuracy at every shift.
        batch_size: Number of images at a time.

    Raises:
        ValueError: Images, scores or targets of another shape, scores that are not finite, a reach
            that is too large, or an unknown border.
        TypeError: Images that are not floating, or a reach that is not a whole number.

    Source: Zhang, Making convolutional networks shift-invariant again, ICML 2019,
    https://arxiv.org/abs/1904.11486.
    """
    check_images(images)
    check_counts(reach=reach, batch_size=batch_size)
    check_choice("border", border, ("circular", "padded"))
    _check_reach(reach, images, targets)
    still = _answers(model, images, batch_size)
    sides = 2 * reach + 1
    agreement = torch.ones(sides, sides, dtype=torch.float64)
    accuracy = None if targets is None else torch.empty(sides, sides, dtype=torch.float64)
    with_shifts = [(down, right) for down in range(sides) for right in range(sides)]
    for down, right in with_shifts:
        by = (down - reach, right - reach)
        answers = (
            still
            if by == (0, 0)
            else _answers(model, _shift(images, *by, border, fill), batch_size)
        )
        agreement[down, right] = (answers == still).double().mean()
        if accuracy is not None and targets is not None:
            accuracy[down, right] = (answers == targets.to(answers.device)).double().mean()
    consistency = float((agreement.sum() - 1) / (sides**2 - 1))
    return ShiftConsistency(consistency, agreement, accuracy, border)


def _shift(images: Tensor, down: int, right: int, border: Border, fill: float) -> Tensor:
    if border == "circular":
        return images.roll((down, right), (2, 3))
    # Negative padding cuts off.
    return F.pad(images, (right, -right, down, -down), value=fill)


def _answers(model: Callable[[Tensor], Any], images: Tensor, batch_size: int) -> Tensor:
    found = []
    with without_dropout(model):
        for batch in images.split(batch_size):
            scores = tensor_in(model(batch), "[B, K]")
            if scores.ndim != 2 or len(scores) != len(batch):
                raise ValueError(
                    f"scores must be [B, K] with B = {len(batch)}. Got {list(scores.shape)}."
                )
            check_finite_output(scores)
            found.append(scores.argmax(1))
    return torch.cat(found)


def _check_reach(reach: int, images: Tensor, targets: Tensor | None) -> None:
    side = min(images.shape[2:])
    if 2 * reach + 1 > side:
        raise ValueError(
            f"2 reach + 1 must be at most the side of an image, {side} pixels. Got reach={reach}; "
            f"pass at most {(side - 1) // 2}."
        )
    if targets is not None and (targets.shape != images.shape[:1] or targets.dtype != torch.int64):
        raise ValueError(
            f"targets must be int64 classes [n] = [{len(images)}]. Got {targets.dtype} "
            f"{list(targets.shape)}."
        )
