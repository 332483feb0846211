"""Any two scores on any schedule."""

from __future__ import annotations

from typing import Literal, Unpack

from graphcolumns.plasticity.rules.budget import Budget, BudgetUnit
from graphcolumns.plasticity.rules.options import PresetOptions
from graphcolumns.plasticity.rules.presets.preset_rule import preset_rule
from graphcolumns.plasticity.rules.presets.updates import Updates
from graphcolumns.plasticity.rules.rule import Rule
from graphcolumns.plasticity.rules.schedules import Cosine, Cubic, Exponential, Linear, Sigmoid
from graphcolumns.plasticity.rules.scoring import Score

Decay = Literal["constant", "linear", "cosine", "cubic"]
Curve = Literal["linear", "cosine", "cubic", "sigmoid", "exponential"]
CURVES: dict[str, type[Linear]] = {
    "linear": Linear,
    "cosine": Cosine,
    "cubic": Cubic,
    "sigmoid": Sigmoid,
    "exponential": Exponential,
}


def custom(
    steps: int,
    prune: Score,
    grow: Score | None = None,
    decay: Decay = "cosine",
    budget: float | None = None,
    unit: BudgetUnit = "mean_degree",
    initial: float | None = None,
    curve: Curve = "cubic",
    temperature: tuple[float, float] | None = None,
    **options: Unpack[PresetOptions],
) -> Rule:
    """Any two scores on any schedule: the rule that a configuration spells out.

    Args:
        steps: Length of the run.
        prune: Score of the edges, see ``graphcolumns.plasticity.criteria``.
        grow: Score of the candidates, see there. None: nothing is grown.
        decay: Curve along which ``fraction`` falls to 0 at the end of updates, or ``"constant"``.
        budget: Budget at the last update, in ``unit`` (default: as many edges as at the start).
        unit: Unit of the budget: ``"edges"``, ``"mean_degree"``, ``"density"`` or ``"length"``.
        initial: Budget at the first update (default: ``budget`` at once).
        curve: Curve of the budget from the first update to the last.
        temperature: Exponent of the scores at the first and at the last update, for draws by chance
            (default: the best are taken).
        **options: Options of every preset; ``fraction`` is 0.3 by default.

    Raises:
        ValueError: ``initial`` without ``budget``, or what a rule refuses.
    """
    updates = Updates.taken_from(options, steps)
    fraction = options.pop("fraction", 0.3)
    return preset_rule(
        updates,
        options,
        prune=prune,
        grow=grow,
        fraction=fraction if decay == "constant" else updates.falling(CURVES[decay], fraction),
        temperature=None if temperature is None else updates.between(Linear, *temperature),
        budget=_budget(updates, CURVES[curve], initial, budget, unit),
    )


def _budget(
    updates: Updates,
    curve: type[Linear],
    initial: float | None,
    final: float | None,
    unit: BudgetUnit,
) -> Budget | None:
    if final is None:
        if initial is not None:
            raise ValueError(
                f"custom goes from initial to budget. Got initial={initial}, budget=None; give "
                "budget, or leave initial out."
            )
        return None
    return Budget(final if initial is None else updates.between(curve, initial, final), unit)
