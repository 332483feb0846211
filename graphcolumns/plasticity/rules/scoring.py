"""Criteria of edges and candidates, and the samples for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from graphcolumns.plasticity.candidates.proposals import Sampler, uniform
from graphcolumns.plasticity.probe.evidence import Evidence
from graphcolumns.plasticity.rules.ranges import require_at_least, require_whole
from graphcolumns.plasticity.rules.schedules import Schedule, value_at

Score = Callable[[Evidence], Tensor]
UpdateMemory = Callable[[Evidence], Mapping[str, Tensor]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Scoring:
    """Criteria of edges and candidates, and the samples for them. A frozen value.

    Args:
        prune: Score of the edges, ``[E]``: the lowest are pruned.
        grow: Score of the candidates, ``[P]``: the highest are grown. None: a rule that only
            prunes.
        sampler: Source of the candidates, see ``graphcolumns.plasticity.samplers``.
        per_grow: Candidates per edge that may be grown.
        temperature: Exponent T, a number or a schedule: edges and candidates are drawn with a
            probability that grows with score ** T (Gumbel top-k). Scores of 0 and below count
            alike. None: the best are taken.
        samples: Number of samples that scores are measured on.
        update_memory: Function from the evidence on the edges to tensors per column that are kept
            until the next update, in ``Evidence.memory``.
        watch_movement: Whether ``-w dL/dw`` of every weight of an edge is summed over the steps
            between two updates, for ``criteria.movement``.

    Raises:
        ValueError: A number is out of range.
        TypeError: ``prune`` or ``grow`` is no function, or ``samples`` is not a whole number.
    """

    prune: Score
    grow: Score | None = None
    sampler: Sampler = uniform
    per_grow: float = 8.0
    temperature: float | Schedule | None = None
    samples: int = 64
    update_memory: UpdateMemory | None = None
    watch_movement: bool = False

    def __post_init__(self) -> None:
        for name, score in (("prune", self.prune), ("grow", self.grow or self.prune)):
            if not callable(score):
                raise TypeError(
                    f"{name} must be a function of Evidence, such as criteria.mass. Got {score!r}; "
                    f"in a configuration plasticity.{name}._target_="
                    "graphcolumns.plasticity.criteria.NAME."
                )
        require_whole("samples", self.samples, least=2)
        require_at_least("per_grow", self.per_grow, 1)

    def temperature_at(self, step: int) -> float | None:
        """Exponent of the scores at ``step``; None: the best are taken."""
        return None if self.temperature is None else value_at(self.temperature, step)
