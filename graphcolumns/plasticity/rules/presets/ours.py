"""Rules of this library: swaps that lower the loss, also under a budget of wire."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Unpack

from graphcolumns.plasticity import criteria
from graphcolumns.plasticity.candidates import proposals as samplers
from graphcolumns.plasticity.rules.budget import Budget
from graphcolumns.plasticity.rules.options import PresetOptions
from graphcolumns.plasticity.rules.presets.preset_rule import preset_rule
from graphcolumns.plasticity.rules.presets.updates import Updates
from graphcolumns.plasticity.rules.rule import Rule
from graphcolumns.plasticity.rules.schedules import Cosine


def exact(steps: int, standard_errors: float = 2.0, **options: Unpack[PresetOptions]) -> Rule:
    r"""Swaps that lower the loss: exact one-sided insertion against Fisher-Taylor deletion.

    The best candidate takes the place of the worst edge only while
    :math:`G - z\,\mathrm{SE} > S`, both in units of loss, on one half of the samples and again on
    the other (``accept="split"``), because the best of many noisy gains is partly chance. Then the
    loss is measured on further samples, group by group, and swaps that raise it by more than
    ``tolerance`` are not made. The share that is offered falls along a cosine; the share that is
    swapped is found by the rule.

    Args:
        steps: Length of the run.
        standard_errors: Number :math:`z` of standard errors subtracted from a gain.
        **options: Options of every preset; by default ``fraction`` is 0.1, ``tolerance`` 0,
            ``groups`` 8 and ``grace`` 1.
    """
    updates = Updates.taken_from(options, steps)
    tolerance, groups = options.pop("tolerance", 0.0), options.pop("groups", 8)
    return preset_rule(
        updates,
        options,
        prune=criteria.fisher_taylor,
        grow=partial(criteria.insertion_gain, standard_errors=standard_errors),
        sampler=samplers.thorough,
        fraction=updates.falling(Cosine, options.pop("fraction", 0.1)),
        accept="split",
        tolerance=tolerance,
        groups=1 if tolerance is None else groups,
        grace=1,
    )


def wiring(
    steps: int,
    budget: float | None = None,
    standard_errors: float = 2.0,
    **options: Unpack[PresetOptions],
) -> Rule:
    """:func:`exact` under a hard budget of wire: the summed length of all edges.

    Args:
        steps: Length of the run.
        budget: Largest summed length, in the unit of the geometry, such as mm; a longer first graph
            loses edges at the first update.
        standard_errors: Number of standard errors subtracted from a gain.
        **options: Options of :func:`exact` but for ``degree``; ``overhead`` is 1 by default.

    Raises:
        ValueError: No ``budget``, or a ``degree``.
    """
    if budget is None or options.pop("degree", None) is not None:
        raise ValueError(
            f"wiring keeps to a budget of wire alone. Got budget={budget}; give the summed length "
            "of all edges, such as plasticity.budget=300, in the unit of the geometry, and no "
            "degree."
        )
    options.setdefault("overhead", 1.0)
    return replace(exact(steps, standard_errors, **options), budget=Budget(budget, "length"))
