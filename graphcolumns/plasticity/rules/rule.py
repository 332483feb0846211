"""What a rule changes, when, and how much: a frozen value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity.probe.evidence import Evidence
from graphcolumns.plasticity.rules.acceptance import Acceptance
from graphcolumns.plasticity.rules.budget import Budget
from graphcolumns.plasticity.rules.former import require_own_fields
from graphcolumns.plasticity.rules.newborns import Newborns
from graphcolumns.plasticity.rules.ranges import require_share
from graphcolumns.plasticity.rules.schedules import Every, Schedule, value_at
from graphcolumns.plasticity.rules.scoring import Scoring
from graphcolumns.plasticity.selection.constraints import Constraints
from graphcolumns.plasticity.selection.selector import Selection

IsDue = Callable[[int], bool]
Choose = Callable[[Evidence, Evidence], Selection]


@dataclass(frozen=True, eq=False, kw_only=True)
class Rule:
    r"""What changes, when, and how much. A frozen value.

    At every update :math:`\lfloor a E \rfloor` edges of the lowest pruning score are pruned, and
    candidates of the highest growing score are grown, up to the budget.
    ``rule_from_options`` makes a rule from the fields of all four values, given side by side.

    Args:
        scoring: Criteria of edges and candidates, and the samples for them.
        acceptance: Tests that a proposed swap has to pass.
        newborns: First values and protection of newborn edges.
        is_due: Function from the number of optimizer steps done to whether an update is due.
        fraction: Share ``a`` of the eligible edges that is offered for a swap, a number or a
            schedule.
        budget: Number of edges, or length of wire, after an update. None: as many edges as before.
        constraints: Constraints that every edge set keeps.
        overhead: Cost of an edge besides its length, for budgets of length, see ``select``.
        reserve: Share of the training samples that is kept from the optimizer and on which updates
            are measured. 0: updates draw from the samples that are trained on.
        skip_optimizer_step: Whether an update takes the place of an optimizer step, as in RigL.
        choose: Function from the evidence on edges and candidates to a selection, used instead of
            scores. It ignores the budget and every constraint except those on candidates.

    Raises:
        ValueError: A number is out of range, or two arguments exclude each other.
    """

    scoring: Scoring
    acceptance: Acceptance = field(default_factory=Acceptance)
    newborns: Newborns = field(default_factory=Newborns)
    is_due: IsDue = field(default_factory=lambda: Every(100, start=100))
    fraction: float | Schedule = 0.3
    budget: Budget | None = None
    constraints: Constraints = field(default_factory=Constraints)
    overhead: float | None = None
    reserve: float = 0.0
    skip_optimizer_step: bool = False
    choose: Choose | None = None

    def __new__(cls, **given: object) -> Rule:
        """Refuse the fields of earlier versions, ``Rule(prune=...)``, with their place of today."""
        require_own_fields(given)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        require_share("reserve", self.reserve)
        self._check_acceptance()
        self._check_choose()

    def _check_acceptance(self) -> None:
        """Raise unless acceptance fits the scores and the constraints."""
        acceptance, scoring = self.acceptance, self.scoring
        if acceptance.groups > 1 and self.constraints.symmetric:
            raise ValueError(
                "groups of swaps are tried one by one only where edges are not symmetric. Got "
                f"groups={acceptance.groups} and symmetric=True; set groups to 1."
            )
        if acceptance.regrow and scoring.grow is None:
            raise ValueError(
                "regrow compares pruned edges with candidates by their score for growing. Got "
                "grow=None; give a score, or leave regrow out."
            )
        if scoring.temperature is not None and acceptance.accept != "always":
            raise ValueError(
                "a temperature draws swaps by chance, with accept='always'. Got accept="
                f"{acceptance.accept!r}; leave one of them out."
            )

    def _check_choose(self) -> None:
        """Raise unless a custom ``choose`` keeps the budget and the constraints."""
        if self.choose is None:
            return
        rules = replace(self.constraints, self_loops=False, forbidden=None, min_in=0)
        strict = vars(rules) != vars(Constraints()) or self.constraints.min_in > 1
        others = (self.budget, self.scoring.temperature, self.overhead)
        accept, regrow = self.acceptance.accept, self.acceptance.regrow
        if strict or accept != "always" or regrow or any(x is not None for x in others):
            raise ValueError(
                "a rule with its own choose takes no budget, accept, regrow, temperature or "
                "overhead, and of the constraints only self_loops, forbidden and min_in up to 1. "
                f"Got {self.constraints}, accept={accept!r}, budget={self.budget}; leave them out."
            )

    @property
    def num_samples(self) -> int:
        """Number of samples that an update takes, for scores and for the check of the loss."""
        return self.scoring.samples + self.acceptance.check_samples

    @property
    def grows(self) -> bool:
        """Whether the rule ever grows edges."""
        return self.scoring.grow is not None or self.choose is not None

    def check_budget(self, step: int, graph: ColumnGraph) -> None:
        """Raise a ValueError if the budget at ``step`` cannot hold what the constraints demand."""
        if self.budget is None:
            return
        rules, columns = self.constraints, graph.num_columns
        edges = self.budget.edges(step, graph, rules.self_loops)
        # A budget of length says nothing of the number of edges.
        if edges is None:
            return
        if rules.max_in is not None and edges > rules.max_in * columns:
            raise ValueError(
                f"{columns} columns of at most {rules.max_in} in-edges (constraints.max_in) hold "
                f"no more than {rules.max_in * columns} edges. Got a budget of {edges} at step "
                f"{step}; lower it."
            )
        if edges < rules.min_in * columns:
            raise ValueError(
                f"{columns} columns of at least {rules.min_in} in-edges (constraints.min_in) need "
                f"{rules.min_in * columns} edges. Got a budget of {edges} at step {step}; raise it."
            )

    def fraction_at(self, step: int) -> float:
        """Share of the eligible edges that is offered for a swap at ``step``."""
        return value_at(self.fraction, step)
