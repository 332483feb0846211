"""Weights of loss terms that change while a model trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from graphcolumns.training.terms import Term

# The weight of a loss term: a number, or a function of (step, steps).
LossWeight: TypeAlias = float | Callable[[int, int], float]


@dataclass(frozen=True)
class ScheduledWeight:
    """The weight of a loss term times a share that depends on the step.

    Args:
        weight: Weight of the term.
        share: Function of (step, steps), such as ``functools.partial(in_stages, ...)``.
    """

    weight: float
    share: Callable[[int, int], float]

    def __call__(self, step: int, steps: int) -> float:
        """The weight at a step."""
        return self.weight * self.share(step, steps)


def in_stages(
    step: int,
    steps: int,
    ends: Sequence[float] = (0.25, 0.75),
    shares: Sequence[float] = (1.0, 10.0, 1.0),
) -> float:
    """A share that is constant in stages: small, large, small by default.

    Args:
        step: Steps done.
        steps: Steps of the run.
        ends: Where each stage but the last ends, as shares of ``steps``, ascending.
        shares: Share in each stage, one more than ``ends``.

    Raises:
        ValueError: Ends that do not ascend, or another number of shares.

    Source: Liu, Gan & Tegmark, Seeing is believing: Brain-inspired modular training for mechanistic
    interpretability, Entropy 26 (2024), https://doi.org/10.3390/e26010041.
    """
    if len(shares) != len(ends) + 1 or list(ends) != sorted(ends):
        raise ValueError(
            "stages need ascending ends, and one share more than ends. Got "
            f"ends={list(ends)} and shares={list(shares)}."
        )
    return shares[sum(step >= int(end * steps) for end in ends)]


def weights_at(
    losses: Mapping[str, tuple[LossWeight, Term]], step: int, steps: int
) -> dict[str, tuple[float, Term]]:
    """Loss terms with the number that each weight is at a step.

    Args:
        losses: Weight and term by name.
        step: Steps done.
        steps: Steps of the run.
    """
    return {
        name: (float(weight(step, steps) if callable(weight) else weight), term)
        for name, (weight, term) in losses.items()
    }
