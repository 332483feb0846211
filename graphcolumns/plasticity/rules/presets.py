r"""Rules of the literature, and ours, as functions of the length of a run.

All take `steps`, the length of the run, and share some options:

- `every`: optimizer steps between updates;
- `start` and `stop`: the first update and the end of updates, as shares of the run;
- `fraction`: share of edges offered for a swap at the first update;
- `degree`: mean in-degree at the end (default: as many edges as at the start);
- further keywords go to :class:`~graphcolumns.plasticity.Rule`.

The published rules prune weights of a layer by their size. In attention the factor with which a
message is multiplied is :math:`p_{ij}`, so the size of an edge is its mean attention
(`magnitude="mass"`), or, nearer to the letter, that of its learned scores (`magnitude="weight"`).
In linear layers both are the size of its weights.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from graphcolumns.plasticity import criteria
from graphcolumns.plasticity.candidates import samplers
from graphcolumns.plasticity.candidates.samplers import Sampler
from graphcolumns.plasticity.rules.budget import Budget, BudgetUnit
from graphcolumns.plasticity.rules.rule import Rule
from graphcolumns.plasticity.rules.rule_from_options import rule_from_options
from graphcolumns.plasticity.rules.schedules import (
    At,
    Cosine,
    Cubic,
    Every,
    Exponential,
    Linear,
    Schedule,
    Sigmoid,
)
from graphcolumns.plasticity.rules.scoring import Score
from graphcolumns.plasticity.selection.constraints import Constraints

Magnitude = Literal["mass", "weight"]
CURVES: dict[str, type[Linear]] = {
    "linear": Linear,
    "cosine": Cosine,
    "cubic": Cubic,
    "sigmoid": Sigmoid,
    "exponential": Exponential,
}
SIZES: dict[str, Score] = {"mass": criteria.mass, "weight": criteria.weight_size}


def _size(magnitude: str) -> Score:
    if magnitude not in SIZES:
        hint = " It is now 'weight'." if magnitude == "bias" else ""
        raise ValueError(f"magnitude must be 'mass' or 'weight'. Got {magnitude!r}.{hint}")
    return SIZES[magnitude]


def static(steps: int) -> Rule:
    """Nothing ever changes: the baseline."""
    return rule_from_options(prune=criteria.chance, is_due=At(()), samples=2, check_samples=0)


def sernn(steps: int) -> Rule:
    """Nothing changes; edges are made short by a loss instead: `losses.wiring`.

    Source: Achterberg et al., Spatially embedded recurrent neural networks, Nature Machine
    Intelligence 2023, whose weights are regularised by distance and communicability; here it is
    the attention (`model.cost.wiring=communicability`).
    """
    return static(steps)


def set(
    steps: int,
    every: int = 100,
    start: float = 0.0,
    stop: float = 0.75,
    fraction: float = 0.3,
    degree: float | None = None,
    magnitude: Magnitude = "mass",
    sampler: Sampler = samplers.uniform,
    **options: Any,
) -> Rule:
    """SET: the smallest edges die, random ones are born; the same share at every update.

    Source: Mocanu et al., Scalable training of artificial neural networks with adaptive sparse
    connectivity inspired by network science, Nature Communications 2018.
    """
    return _rule(
        _when(steps, every, start, stop),
        degree,
        {"prune": _size(magnitude), "grow": criteria.chance, "sampler": sampler, "per_grow": 2},
        {"fraction": fraction, "cool_down": 0},
        options,
    )


def rigl(
    steps: int,
    every: int = 100,
    start: float = 0.0,
    stop: float = 0.75,
    fraction: float = 0.3,
    degree: float | None = None,
    magnitude: Magnitude = "mass",
    sampler: Sampler = samplers.uniform,
    per_grow: float = 8.0,
    **options: Any,
) -> Rule:
    r"""RigL: the smallest die, those of the largest gradient are born; a cosine brings it to rest.

    :math:`a(t) = \frac{a_0}{2} (1 + \cos \pi t / T)`. An edge that is dropped and has the largest
    gradient stays as it is, and an update takes the place of an optimizer step. Newborns start at
    the mean score of their column: an attention of exactly zero, the counterpart of a weight of
    zero, would never learn. RigL looks at all pairs; here at `per_grow` candidates per birth, at
    all with `sampler=samplers.everything`.

    Source: Evci et al., Rigging the lottery: making all tickets winners, ICML 2020.
    """
    when = _when(steps, every, start, stop)
    return _rule(
        when,
        degree,
        {"prune": _size(magnitude), "grow": criteria.gradient_size, "sampler": sampler},
        {
            "per_grow": per_grow,
            "fraction": _cosine(fraction, when),
            "regrow": True,
            "skip_optimizer_step": True,
            "cool_down": 0,
        },
        options,
    )


def gmp(
    steps: int,
    every: int = 100,
    start: float = 0.0,
    stop: float = 0.75,
    degree: float | None = None,
    initial: float | None = None,
    magnitude: Magnitude = "mass",
    **options: Any,
) -> Rule:
    """Gradual magnitude pruning: the smallest die along a cubic schedule; nothing is born.

    Args:
        steps: length of the run.
        every: steps between updates.
        start: of the pruning, as a share of the run.
        stop: of the pruning.
        degree: mean in-degree at the end.
        initial: mean in-degree of the first graph; a graph with more edges loses them at once.
        magnitude: what is the size of an edge.
        **options: of the rule.

    Source: Zhu & Gupta, To prune, or not to prune: exploring the efficacy of pruning for model
    compression, 2017.
    """
    when = _when(steps, every, start, stop)
    budget = _falling("gmp", when, degree, initial, Cubic)
    parts: dict[str, Any] = {"prune": _size(magnitude), "fraction": 0.0, "budget": budget}
    return _rule(when, None, parts, {}, options)


def granet(
    steps: int,
    every: int = 100,
    start: float = 0.0,
    stop: float = 0.75,
    fraction: float = 0.5,
    degree: float | None = None,
    initial: float | None = None,
    magnitude: Magnitude = "mass",
    sampler: Sampler = samplers.uniform,
    per_grow: float = 8.0,
    **options: Any,
) -> Rule:
    """GraNet: gradual magnitude pruning, and at each update a share is regrown by its gradient.

    Args as in :func:`gmp` and :func:`rigl`; `fraction` falls along a cosine.

    Source: Liu et al., Sparse training via boosting pruning plasticity with neuroregeneration,
    NeurIPS 2021.
    """
    when = _when(steps, every, start, stop)
    budget = _falling("granet", when, degree, initial, Cubic, needed=False)
    return _rule(
        when,
        None,
        {"prune": _size(magnitude), "grow": criteria.gradient_size, "sampler": sampler},
        {
            "per_grow": per_grow,
            "fraction": _cosine(fraction, when),
            "budget": budget,
            "cool_down": 0,
        },
        options,
    )


def chts(
    steps: int,
    every: int = 100,
    start: float = 0.0,
    stop: float = 0.75,
    fraction: float = 0.3,
    degree: float | None = None,
    initial: float | None = None,
    magnitude: Magnitude = "mass",
    temperature: tuple[float, float] = (1.0, 9.0),
    sampler: Sampler = samplers.two_hop,
    per_grow: float = 8.0,
    **options: Any,
) -> Rule:
    """Cannistraci-Hebb training, soft: who shares neighbours is joined, without any gradient.

    Edges are kept with a probability that grows with their relative importance to the power of a
    temperature, and grown likewise by the paths of three that they close; the temperature rises
    from exploration to choice. With `degree` below `initial` the number of edges falls along a
    sigmoid (CHTss). Their start, a bipartite receptive field with a bias for near pairs, is
    `graph=distance_decay`.

    Source: Zhang et al., Brain network science modelling of sparse neural networks enables
    transformers and LLMs to perform as fully connected, NeurIPS 2025.
    """
    when = _when(steps, every, start, stop)
    budget = _falling("chts", when, degree, initial, Sigmoid, needed=False)
    return _rule(
        when,
        None,
        {
            "prune": partial(criteria.relative_importance, of=magnitude),
            "grow": criteria.ch2_l3n,
            "sampler": sampler,
        },
        {
            "per_grow": per_grow,
            "fraction": _cosine(fraction, when),
            "temperature": Linear(*temperature, *_updates(when)),
            "budget": budget,
            "cool_down": 0,
        },
        options,
    )


def mest(
    steps: int,
    every: int = 100,
    start: float = 0.0,
    stop: float = 0.75,
    fraction: float = 0.3,
    degree: float | None = None,
    weight: float = 0.01,
    sampler: Sampler = samplers.uniform,
    **options: Any,
) -> Rule:
    r"""MEST: the smallest in :math:`|b| + \lambda |\partial L / \partial b|` die, random are born.

    The share that is exchanged falls linearly to zero.

    Source: Yuan et al., MEST: accurate and fast memory-economic sparse training framework on the
    edge, NeurIPS 2021 (elastic mutation).
    """
    when = _when(steps, every, start, stop)
    return _rule(
        when,
        degree,
        {
            "prune": partial(criteria.mest, weight=weight),
            "grow": criteria.chance,
            "sampler": sampler,
        },
        {"per_grow": 2, "fraction": Linear(fraction, 0.0, *_span(when)), "cool_down": 0},
        options,
    )


def homeostatic(
    steps: int,
    every: int = 100,
    start: float = 0.0,
    stop: float = 0.75,
    rate: float = 0.5,
    activity: float | None = None,
    decay: float = 0.9,
    length: float | None = None,
    **options: Any,
) -> Rule:
    """Homeostatic structural plasticity: columns that are too quiet grow ends, too loud retract.

    See :mod:`graphcolumns.plasticity.criteria.homeostasis`. The number of edges is free.

    Args:
        steps: length of the run.
        every: steps between updates.
        start: of the updates, as a share of the run.
        stop: of the updates.
        rate: ends that a silent column grows per update.
        activity: the set point (default: the mean activity at the first update).
        decay: of the moving average of the activity, per update.
        length: scale of the exponential kernel of distance by which free ends meet, in the unit
            of the geometry (default: any two).
        **options: of the rule.

    Raises:
        ValueError: a number out of range.

    Source: Butz & van Ooyen, A simple rule for dendritic spine and axonal bouton formation can
    account for cortical reorganization after focal retinal lesions, PLOS Computational Biology
    2013; Diaz-Pier et al., Frontiers in Neuroanatomy 2016.
    """
    if not rate > 0 or not 0 <= decay < 1 or (activity is not None and not activity > 0):
        raise ValueError(
            "homeostasis needs rate > 0, 0 <= decay < 1 and a set point above 0. Got "
            f"rate={rate}, decay={decay} and activity={activity}."
        )
    parts: dict[str, Any] = {
        "prune": criteria.chance,
        "update_memory": partial(
            criteria.homeostasis.update_memory, rate=rate, activity=activity, decay=decay
        ),
        "choose": partial(criteria.homeostasis.choose, length=length),
        "sampler": samplers.uniform,
    }
    return _rule(_when(steps, every, start, stop), None, parts, {"cool_down": 0}, options)


def exact(
    steps: int,
    every: int = 100,
    start: float = 0.0,
    stop: float = 0.75,
    fraction: float = 0.1,
    degree: float | None = None,
    sampler: Sampler = samplers.thorough,
    per_grow: float = 8.0,
    tolerance: float | None = 0.0,
    groups: int = 8,
    standard_errors: float = 2.0,
    **options: Any,
) -> Rule:
    r"""Swaps that lower the loss: exact one-sided insertion against Fisher-Taylor deletion.

    The best candidate takes the place of the worst edge only while
    :math:`G - z\,\mathrm{SE} > S`, both in units of loss, on one half of the samples and again on
    the other (`accept="split"`), with `standard_errors` as z: the best of many noisy gains is
    partly luck. Then the loss is measured on further samples, group by group, and swaps that raise
    it by more than `tolerance` are not made. The share that is offered falls along a cosine; the
    share that is swapped is found by the rule.
    """
    when = _when(steps, every, start, stop)
    grow = partial(criteria.insertion_gain, standard_errors=standard_errors)
    parts = {"prune": criteria.fisher_taylor, "grow": grow, "sampler": sampler}
    numbers = {
        "per_grow": per_grow,
        "fraction": _cosine(fraction, when),
        "accept": "split",
        "tolerance": tolerance,
        "groups": 1 if tolerance is None else groups,
        "samples": 64,
        "check_samples": 64,
        "grace": 1,
    }
    return _rule(when, degree, parts, numbers, options)


def wiring(
    steps: int,
    budget: float | None = None,
    every: int = 100,
    start: float = 0.0,
    stop: float = 0.75,
    fraction: float = 0.1,
    overhead: float = 1.0,
    **options: Any,
) -> Rule:
    """:func:`exact` under a hard budget of wire: the summed length of all edges.

    Args:
        steps: length of the run.
        budget: the limit, in the unit of the geometry, such as mm; a longer first graph loses
            edges at the first update.
        every: steps between updates.
        start: of the updates, as a share of the run.
        stop: of the updates.
        fraction: share of edges offered for a swap at the first update.
        overhead: what an edge costs besides its length, in the same unit; see `select`.
        **options: of :func:`exact`.

    Raises:
        ValueError: no budget.
    """
    if budget is None:
        raise ValueError(
            "wiring keeps to a budget of wire. Got budget=None; give the summed length of all "
            "edges, such as plasticity.budget=300, in the unit of the geometry."
        )
    limit = {"budget": Budget(budget, "length"), "overhead": overhead}
    return exact(steps, every, start, stop, fraction, **{**limit, **options})


def custom(
    steps: int,
    prune: Score,
    grow: Score | None = None,
    sampler: Sampler = samplers.uniform,
    per_grow: float = 8.0,
    every: int = 100,
    start: float = 0.0,
    stop: float = 0.75,
    fraction: float = 0.3,
    decay: Literal["constant", "linear", "cosine", "cubic"] = "cosine",
    budget: float | None = None,
    unit: BudgetUnit = "mean_degree",
    initial: float | None = None,
    curve: Literal["linear", "cosine", "cubic", "sigmoid", "exponential"] = "cubic",
    temperature: tuple[float, float] | None = None,
    **options: Any,
) -> Rule:
    """Any two scores on any schedule: the rule that a configuration spells out.

    Args:
        steps: length of the run.
        prune: what an edge is worth, see `graphcolumns.plasticity.criteria`.
        grow: what a candidate would be worth, see there; None: nothing is born.
        sampler: where candidates come from.
        per_grow: candidates per edge that may be born.
        every: steps between updates.
        start: of the updates, as a share of the run.
        stop: of the updates.
        fraction: share of edges offered for a swap at the first update.
        decay: how that share falls to 0 at the end of updates, or `"constant"`.
        budget: what there is at the last update, in `unit` (default: as many edges as at the
            start).
        unit: `"edges"`, `"mean_degree"`, `"density"` or `"length"`.
        initial: what there is at the first update (default: the budget at once).
        curve: how the budget goes from one to the other.
        temperature: exponent of the scores at the first and at the last update, to draw by chance
            (default: the best).
        **options: of the rule.
    """
    when = _when(steps, every, start, stop)
    numbers: dict[str, Any] = {"per_grow": per_grow, "fraction": fraction}
    if decay != "constant":
        numbers["fraction"] = CURVES[decay](fraction, 0.0, *_span(when))
    if temperature is not None:
        numbers["temperature"] = Linear(*temperature, *_updates(when))
    if budget is None and initial is not None:
        raise ValueError(f"custom goes from initial to budget. Got initial={initial}, budget=None.")
    if budget is not None:
        ends = None if initial is None else CURVES[curve](initial, budget, *_updates(when))
        numbers["budget"] = Budget(budget if ends is None else ends, unit)
    parts = {"prune": prune, "grow": grow, "sampler": sampler}
    return _rule(when, None, parts, numbers, options)


def _rule(
    when: Every,
    degree: float | None,
    parts: dict[str, Any],
    numbers: dict[str, Any],
    options: dict[str, Any],
) -> Rule:
    """What the preset says, then what the user says; by default every column hears somebody."""
    defaults: dict[str, Any] = {"is_due": when, "constraints": Constraints(min_in=1)}
    if degree is not None:
        defaults["budget"] = Budget(degree, "mean_degree")
    return rule_from_options(**{**defaults, **parts, **numbers, **options})


def _when(steps: int, every: int, start: float, stop: float) -> Every:
    """Updates from `start` to `stop`, shares of the run; none before the first `every` steps."""
    if not 0 <= start <= stop <= 1:
        raise ValueError(
            "updates start and stop at shares of the run, 0 <= start <= stop <= 1. Got "
            f"start={start} and stop={stop}."
        )
    if every < 1 or steps < 1:
        raise ValueError(f"every and steps must be at least 1. Got {every} and {steps}.")
    return Every(every, max(every, round(start * steps)), round(stop * steps) + 1)


def _span(when: Every) -> tuple[int, int]:
    """First and last step at which an update could be."""
    assert when.stop is not None
    return when.start, max(when.stop - 1, when.start + 1)


def _updates(when: Every) -> tuple[int, int]:
    """The steps of the first and of the last update: what a budget goes between."""
    start, end = _span(when)
    return start, start + max(1, (end - start) // when.every * when.every)


def _cosine(fraction: float, when: Every) -> Schedule:
    return Cosine(fraction, 0.0, *_span(when))


def _falling(
    name: str,
    when: Every,
    degree: float | None,
    initial: float | None,
    curve: type[Linear],
    needed: bool = True,
) -> Budget | None:
    """From `initial` to `degree` in-edges per column."""
    if degree is None and not needed and initial is None:
        return None
    if degree is None:
        raise ValueError(f"{name} prunes to a budget. Got degree=None; give the mean in-degree.")
    if initial is None:
        return Budget(degree, "mean_degree")
    return Budget(curve(initial, degree, *_updates(when)), "mean_degree")
