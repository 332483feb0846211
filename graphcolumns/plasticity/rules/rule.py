"""What dies, what is born, and when: a rule is two scores and a few numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity.candidates import samplers
from graphcolumns.plasticity.candidates.samplers import Sampler
from graphcolumns.plasticity.probe.evidence import Evidence
from graphcolumns.plasticity.rules.budget import Budget, Every
from graphcolumns.plasticity.rules.schedules import Constant, Schedule
from graphcolumns.plasticity.selection.constraints import Constraints
from graphcolumns.plasticity.selection.selector import Selection

Score = Callable[[Evidence], Tensor]
Remember = Callable[[Evidence], Mapping[str, Tensor]]
Choose = Callable[[Evidence, Evidence], Selection]
Accept = Literal["always", "net_gain", "split"]
Start = Literal["node_mean", "zero", "epsilon"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Rule:
    r"""What dies, what is born, and when. A frozen value.

    At every update :math:`\lfloor a E \rfloor` edges of the lowest `prune` die, and candidates of
    the highest `grow` take their place, up to the budget.

    Args:
        prune: from the edges to how much each is worth, `[E]`, see `graphcolumns.plasticity.prune`.
        grow: from candidates to how much each would be worth, `[P]`, see
            `graphcolumns.plasticity.grow`; None: nothing is ever born.
        sampler: where candidates come from, see `graphcolumns.plasticity.samplers`.
        per_grow: candidates per edge that may be born.
        when: whether an update is due after so many optimizer steps.
        fraction: `a`, the share of eligible edges offered for a swap, a number or a schedule.
        budget: how many edges, or how much wire, there are afterwards (default: as many edges as
            now).
        accept: `"always"` swaps; `"net_gain"` only while the k-th birth gains more than the k-th
            death costs (under a budget of length: than the deaths that make room for it), so both
            scores must be in one unit; `"split"` does so on one half of the
            samples and again, with what it chose, on the other: the best of many noisy scores is
            partly luck.
        margin: least gain of a swap, in the unit of the scores (not for `"always"`).
        tolerance: the most that the loss may rise, on samples set aside for that, in units of
            loss; a group of swaps that raises it by more is not made (default: all are made).
        groups: into how many groups the swaps are parted for that test, the best first.
        regrow: what is dropped competes with the candidates and, if it wins, goes on as before.
        temperature: draw edges and candidates with a probability that grows with score ** T,
            instead of taking the best (Gumbel top-k); scores of 0 and below are all alike.
        newborn: a newborn's edge bias: `"node_mean"` of its target, `"zero"`, or `"epsilon"`, so
            low that it gets at most `share` of the attention.
        share: for `"epsilon"`.
        constraints: rules for the edge set.
        grace: updates that an edge is safe after its birth.
        cool_down: updates that a pair rests after its death.
        overhead: see `select`; for budgets of length.
        samples: samples that scores are measured on.
        check: further samples on which the loss is predicted and measured before and after every
            update; 0: not at all.
        reserve: share of the training samples that are kept from the optimizer for both; 0: both
            are drawn from those that are trained on.
        skip: no optimizer step where an update is due, as in RigL.
        watch_movement: accumulate `-b dL/db` at every step, for `prune.movement`.
        remember: what to keep until the next update, per column, from the evidence on the edges;
            it is in `Evidence.memory` then.
        choose: instead of all of this, decides from the evidence on edges and candidates itself;
            of the constraints only those on candidates bind it.

    Raises:
        ValueError: a number out of range, or parts that do not go together.
        TypeError: a count that is not a whole number.
    """

    prune: Score
    grow: Score | None = None
    sampler: Sampler = samplers.uniform
    per_grow: float = 8.0
    when: Callable[[int], bool] = field(default_factory=lambda: Every(100, start=100))
    fraction: float | Schedule = 0.3
    budget: Budget | None = None
    accept: Accept = "always"
    margin: float = 0.0
    tolerance: float | None = None
    groups: int = 1
    regrow: bool = False
    temperature: float | Schedule | None = None
    newborn: Start = "node_mean"
    share: float = 0.05
    constraints: Constraints = field(default_factory=Constraints)
    grace: int = 0
    cool_down: int = 1
    overhead: float | None = None
    samples: int = 64
    check: int = 64
    reserve: float = 0.0
    skip: bool = False
    watch_movement: bool = False
    remember: Remember | None = None
    choose: Choose | None = None

    def __post_init__(self) -> None:
        for name, kind in (("accept", Accept), ("newborn", Start)):
            if getattr(self, name) not in get_args(kind):
                known = ", ".join(map(repr, get_args(kind)))
                raise ValueError(f"{name} must be one of {known}. Got {getattr(self, name)!r}.")
        least = {"per_grow": 1, "groups": 1, "grace": 0, "cool_down": 0, "samples": 2, "check": 0}
        for name, low in least.items():
            if name != "per_grow" and not isinstance(getattr(self, name), int):
                raise TypeError(f"{name} must be a whole number. Got {getattr(self, name)!r}.")
            if not low <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be at least {low}. Got {getattr(self, name)}.")
        for name in ("reserve", "share"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1). Got {getattr(self, name)}.")
        self._check_together()

    def _check_together(self) -> None:
        if self.tolerance is not None and not self.check:
            raise ValueError("tolerance needs samples to measure the loss on. Got check=0.")
        if self.groups > 1 and (self.tolerance is None or self.constraints.symmetric):
            raise ValueError(
                "groups of swaps are tried one by one where there is a tolerance and edges are "
                f"not symmetric. Got tolerance={self.tolerance} and "
                f"symmetric={self.constraints.symmetric}; set groups to 1."
            )
        if self.regrow and self.groups > 1:
            raise ValueError(
                "a dropped edge that regrows is no swap that could be tried alone. Got regrow=True "
                f"and groups={self.groups}; set groups to 1."
            )
        if self.regrow and (self.accept != "always" or self.grow is None):
            raise ValueError(
                f"regrow takes part in accept='always', by its score for growing. Got "
                f"{self.accept!r} and grow={self.grow}."
            )
        if self.temperature is not None and self.accept != "always":
            raise ValueError(f"a temperature draws, and accept='always'. Got {self.accept!r}.")
        self._check_choose()
        if self.newborn == "epsilon" and not self.share:
            raise ValueError("newborn='epsilon' needs a share above 0. Got share=0.")

    def _check_choose(self) -> None:
        """What decides by itself knows no budget, and of the constraints those on candidates."""
        if self.choose is None:
            return
        rules = replace(self.constraints, self_loops=False, forbidden=None, min_in=0)
        strict = vars(rules) != vars(Constraints()) or self.constraints.min_in > 1
        others = (self.budget, self.temperature, self.overhead)
        if strict or self.accept != "always" or self.regrow or any(x is not None for x in others):
            raise ValueError(
                "a rule that chooses by itself takes no budget, accept, regrow, temperature or "
                "overhead, and of the constraints self_loops, forbidden and min_in up to 1. Got "
                f"{self.constraints}, accept={self.accept!r}, budget={self.budget}."
            )

    @property
    def wanted(self) -> int:
        """Samples that an update takes."""
        return self.samples + self.check

    @property
    def grows(self) -> bool:
        """Whether edges are ever born."""
        return self.grow is not None or self.choose is not None

    def check_budget(self, step: int, graph: ColumnGraph) -> None:
        """Raise a ValueError if the budget at `step` cannot hold what the constraints demand."""
        if self.budget is None or self.budget.length(step) is not None:
            return
        rules, columns = self.constraints, graph.num_columns
        edges = self.budget.edges(step, graph, rules.self_loops)
        if None not in (edges, rules.max_in) and edges > rules.max_in * columns:  # type: ignore[operator]
            raise ValueError(
                f"{columns} columns of at most {rules.max_in} in-edges (constraints.max_in) hold "
                f"no more than {rules.max_in * columns} edges. Got a budget of {edges} at step "  # type: ignore[operator]
                f"{step}; lower it."
            )
        if edges is not None and edges < rules.min_in * columns:
            raise ValueError(
                f"{columns} columns of at least {rules.min_in} in-edges (constraints.min_in) need "
                f"{rules.min_in * columns} edges. Got a budget of {edges} at step {step}; raise it."
            )

    def fraction_at(self, step: int) -> float:
        """The share of edges offered for a swap at `step`."""
        return _at(self.fraction, step)

    def temperature_at(self, step: int) -> float | None:
        """The exponent of scores at `step`; None: the best are taken."""
        return None if self.temperature is None else _at(self.temperature, step)


def _at(value: float | Schedule, step: int) -> float:
    schedule = value if callable(value) else Constant(value)
    return schedule(step)
