"""The wiring task: every column needs one other column, and most of those are far away."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from scipy.stats import binom
from torch import Tensor

from graphcolumns.data.dataset import Dataset
from graphcolumns.data.partners import partners
from graphcolumns.data.tasks import TASKS

Patterns = Literal["sign", "gaussian"]


def planted(
    height: int = 8,
    width: int = 8,
    channels: int = 1,
    far: float = 0.5,
    local: float = 0.0,
    context: int = 2,
    near: float = 1.0,
    patterns: Patterns = "sign",
    noise: float = 0.0,
    count: int = 8192,
    seed: int = 0,
    permuted_labels: bool = False,
) -> Dataset:
    r"""One question per column: does my pattern agree with those of my partners, taken together?

    Pixel ``i`` of an image shows a pattern :math:`x_i` of ``channels`` values, drawn for each pixel
    and each sample alone. Column ``i`` sees pixel ``i`` and nothing else, and its label is

    .. math::
        y_i = [\langle x_i, c_i + x_{\pi(i)} \rangle > 0], \qquad c_i = \sum_{j \in C(i)} x_j

    with a far partner :math:`\pi(i)` and ``context`` near ones, :math:`C(i)`, drawn once, see
    ``partners``. The edges from the partners to ``i`` are the wiring that the task requires, the
    ``truth`` of the data set. From the near ones a column learns to use its sources; then one edge
    is missing.

    **Without its far partner a column has the context at most.** Let ``S`` be all patterns but
    :math:`x_{\pi(i)}`. Patterns are independent and symmetric, so given ``S`` the vote
    :math:`v = \langle x_i, x_{\pi(i)} \rangle` is as likely as ``-v``, and the best answer is the
    side of the near votes, :math:`u = \langle x_i, c_i \rangle`. It is right with probability

    .. math::
        \tfrac12 + \tfrac12 P(|u| > |v|)

    whatever is computed from ``S``, noisy or not: ``ceiling(context, channels)`` for signs. Without
    context that is 1/2: the mutual information of the label and everything else is 0. With one
    channel and two near partners it is 3/4: they agree in half of the samples and outvote the
    third, and in the other half only the far partner decides. In a model of ``T`` steps more is out
    of reach unless a path of at most ``T`` edges leads from :math:`\pi(i)` to ``i``; at ``T = 1``,
    unless the planted edge itself is there.

    **With its edges a column has the label**: it compares what it sees with the mean of what it
    receives. No column can do so by adding up (at one channel and without context this is exclusive
    or).

    Args:
        height: Rows of pixels, and of columns.
        width: Pixels per row.
        channels: Values of one pattern; odd for ``"sign"``, so that there is no tie.
        far: Least distance of a far partner, as a share of the longer side.
        local: Share of the columns whose partner is near too: they are the easy ones.
        context: Near partners besides; even for ``"sign"``.
        near: Largest distance of a near partner, in pixels.
        patterns: ``"sign"``: values -1 and 1; or standard ``"gaussian"``.
        noise: Standard deviation of the Gaussian noise on what is seen, not on the labels.
        count: Samples in all, half to train on.
        seed: Seed of partners, samples and noise.
        permuted_labels: Whether the labels of training samples are exchanged at random, drawn from
            ``seed``: the control in which nothing is to be learned. Labels to test on stay.

    Returns:
        Inputs ``[n, channels, height, width]``, targets ``[n, height * width]``, and ``truth``, the
        planted edges. Column and label ``i`` stand for pixel ``i``, row by row, which is the user's
        order of ``geometries.grid.sheet(height, width)``.

    Raises:
        ValueError: A number out of range, votes that can tie, no partner far or near enough.
    """
    _check(channels, context, patterns, noise, count)
    chosen = partners(height, width, far, local, context, near, seed)
    generator = torch.Generator().manual_seed(seed)

    def half(size: int) -> tuple[Tensor, Tensor]:
        clean = torch.randn(size, channels, height, width, generator=generator)
        clean = clean if patterns == "gaussian" else torch.where(clean < 0, -1.0, 1.0)
        seen = clean + noise * torch.randn(clean.shape, generator=generator)
        return seen, agreement(clean, chosen)

    train, test = half(count - count // 2), half(count // 2)
    if permuted_labels:
        train = train[0], train[1][torch.randperm(len(train[1]), generator=generator)]
    target = torch.arange(len(chosen))[:, None].expand_as(chosen)
    truth = torch.stack([target.flatten(), chosen.sort(1).values.flatten()])
    return Dataset(*train, *test, num_classes=len(chosen), task=TASKS["multi_label"], truth=truth)


def agreement(patterns: Tensor, partner: Tensor) -> Tensor:
    """Whether each pattern agrees with those of its partners: ``[n, N]`` int64, 0 or 1.

    Args:
        patterns: ``[n, channels, Y, X]``, ``N = Y * X``.
        partner: Ids of the partners of each column, ``[N, K]`` int64.
    """
    flat = patterns.flatten(2)
    return ((flat * flat[:, :, partner].sum(-1)).sum(1) > 0).long()


def ceiling(context: int = 2, channels: int = 1) -> float:
    r"""Largest accuracy of a column without an edge from its far partner, for sign patterns.

    :math:`\frac12 + \frac12 P(|u| > |v|)`, where the near votes ``u`` are a sum of
    ``context * channels`` fair signs and the far one ``v`` of ``channels``.

    Args:
        context: Number of near partners.
        channels: Number of values of one pattern.
    """
    near, away = context * channels, channels
    u, v = 2 * np.arange(near + 1) - near, 2 * np.arange(away + 1) - away
    chance = binom.pmf(np.arange(near + 1), near, 0.5)[:, None]
    chance = chance * binom.pmf(np.arange(away + 1), away, 0.5)
    return float(0.5 + 0.5 * chance[abs(u)[:, None] > abs(v)].sum())


def _check(channels: int, context: int, patterns: str, noise: float, count: int) -> None:
    if patterns not in get_args(Patterns):
        raise ValueError(f"patterns must be 'sign' or 'gaussian'. Got {patterns!r}.")
    if channels < 1 or (patterns == "sign" and (channels % 2 == 0 or context % 2)):
        raise ValueError(
            "channels must be at least 1; for patterns='sign' channels must be odd and context "
            f"even, so that votes never tie. Got channels={channels}, context={context}."
        )
    if count < 2 or not 0 <= noise < float("inf"):
        raise ValueError(f"need count >= 2 and noise >= 0. Got count={count}, noise={noise}.")
