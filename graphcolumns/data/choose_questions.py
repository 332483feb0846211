"""Which questions are put about which images."""

from __future__ import annotations

import torch
from torch import Tensor


def choose_questions(
    allowed: Tensor, every: bool, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """One of the questions about every image, or all of them.

    One question means: images are dealt to their questions in turn, in a random order, so that
    questions that all images have are equally frequent up to one. Images without a question are
    left out.

    Args:
        allowed: Whether a question can be put about an image, ``[n, Q]`` bool.
        every: Whether all questions are put about an image, one after the other.
        generator: Source of the random order.

    Returns:
        Image and question of every sample, ``[m]`` int64 each, in the order of the images.
    """
    if every:
        image, question = allowed.nonzero(as_tuple=True)
        return image, question
    image = allowed.any(1).nonzero()[:, 0]
    turn = torch.randperm(len(image), generator=generator)
    # The r-th of the questions of an image, r going round.
    wanted = turn % allowed[image].sum(1)
    question = (allowed[image].cumsum(1) > wanted[:, None]).long().argmax(1)
    return image, question
