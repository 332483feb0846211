"""Rules of the literature, and the static baseline."""

from __future__ import annotations

from functools import partial
from typing import Literal, Unpack

from graphcolumns.plasticity import criteria
from graphcolumns.plasticity.candidates import proposals as samplers
from graphcolumns.plasticity.rules.options import PresetOptions
from graphcolumns.plasticity.rules.presets.preset_rule import falling_budget, preset_rule
from graphcolumns.plasticity.rules.presets.updates import Updates
from graphcolumns.plasticity.rules.rule import Rule
from graphcolumns.plasticity.rules.rule_from_options import rule_from_options
from graphcolumns.plasticity.rules.schedules import At, Cosine, Cubic, Linear, Sigmoid
from graphcolumns.plasticity.rules.scoring import Score

Magnitude = Literal["mass", "weight"]
SIZES: dict[str, Score] = {"mass": criteria.mass, "weight": criteria.weight_size}


def _size(magnitude: str) -> Score:
    if magnitude not in SIZES:
        hint = " It is now 'weight'." if magnitude == "bias" else ""
        raise ValueError(f"magnitude must be 'mass' or 'weight'. Got {magnitude!r}.{hint}")
    return SIZES[magnitude]


def static(steps: int) -> Rule:
    """No edge ever changes: the baseline."""
    return rule_from_options(prune=criteria.chance, is_due=At(()), samples=2, check_samples=0)


def sernn(steps: int) -> Rule:
    """No edge changes; a loss on wire makes edges short instead: ``losses.wiring``.

    Source: Achterberg et al., Spatially embedded recurrent neural networks, Nature Machine
    Intelligence 2023, whose weights are regularised by distance and communicability; here it is
    the attention (``model.cost.wiring=communicability``), or, in a recurrent network on edges, the
    weights themselves.
    """
    return static(steps)


def set(steps: int, magnitude: Magnitude = "mass", **options: Unpack[PresetOptions]) -> Rule:
    """SET: the smallest edges are pruned, random ones grown; the same share at every update.

    Args:
        steps: Length of the run.
        magnitude: Size of an edge: its mean attention, or the size of its weights.
        **options: Options of every preset; ``fraction`` is 0.3 by default.

    Source: Mocanu et al., Scalable training of artificial neural networks with adaptive sparse
    connectivity inspired by network science, Nature Communications 2018.
    """
    return preset_rule(
        Updates.taken_from(options, steps),
        options,
        prune=_size(magnitude),
        grow=criteria.chance,
        per_grow=2,
        fraction=options.pop("fraction", 0.3),
        cool_down=0,
    )


def rigl(steps: int, magnitude: Magnitude = "mass", **options: Unpack[PresetOptions]) -> Rule:
    r"""RigL: the smallest edges are pruned, those of the largest gradient grown.

    The share :math:`a(t) = \frac{a_0}{2} (1 + \cos \pi t / T)` falls to 0. An edge that is pruned
    and has the largest gradient stays as it is, and an update takes the place of an optimizer step.
    Newborns start with a weight of zero in linear layers, as in RigL, and in attention at the mean
    score of their column: an attention of exactly zero would never learn. RigL looks at all pairs;
    here at ``per_grow`` candidates per grown edge, at all with ``sampler=samplers.everything``.

    Args:
        steps: Length of the run.
        magnitude: Size of an edge: its mean attention, or the size of its weights.
        **options: Options of every preset; ``fraction`` is 0.3 by default.

    Source: Evci et al., Rigging the lottery: making all tickets winners, ICML 2020.
    """
    updates = Updates.taken_from(options, steps)
    return preset_rule(
        updates,
        options,
        prune=_size(magnitude),
        grow=criteria.gradient_size,
        fraction=updates.falling(Cosine, options.pop("fraction", 0.3)),
        regrow=True,
        first_value="zero_weight",
        skip_optimizer_step=True,
        cool_down=0,
    )


def gmp(
    steps: int,
    initial: float | None = None,
    magnitude: Magnitude = "mass",
    **options: Unpack[PresetOptions],
) -> Rule:
    """Gradual magnitude pruning: the smallest are pruned along a cubic schedule, none is grown.

    Args:
        steps: Length of the run.
        initial: Mean in-degree of the first graph; a graph with more edges loses them at once.
        magnitude: Size of an edge: its mean attention, or the size of its weights.
        **options: Options of every preset; ``degree`` must be given.

    Raises:
        ValueError: No ``degree``.

    Source: Zhu & Gupta, To prune, or not to prune: exploring the efficacy of pruning for model
    compression, 2017.
    """
    if options.get("degree") is None:
        raise ValueError("gmp prunes to a budget. Got degree=None; give the mean in-degree.")
    updates = Updates.taken_from(options, steps)
    budget = falling_budget(updates, options, Cubic, initial)
    return preset_rule(updates, options, prune=_size(magnitude), fraction=0.0, budget=budget)


def granet(
    steps: int,
    initial: float | None = None,
    magnitude: Magnitude = "mass",
    **options: Unpack[PresetOptions],
) -> Rule:
    """GraNet: gradual magnitude pruning, and at each update a share is regrown by its gradient.

    Args:
        steps: Length of the run.
        initial: Mean in-degree of the first graph; a graph with more edges loses them at once.
        magnitude: Size of an edge: its mean attention, or the size of its weights.
        **options: Options of every preset; ``fraction`` is 0.5 by default and falls along a cosine.

    Raises:
        ValueError: ``initial`` without ``degree``.

    Source: Liu et al., Sparse training via boosting pruning plasticity with neuroregeneration,
    NeurIPS 2021.
    """
    updates = Updates.taken_from(options, steps)
    return preset_rule(
        updates,
        options,
        prune=_size(magnitude),
        grow=criteria.gradient_size,
        fraction=updates.falling(Cosine, options.pop("fraction", 0.5)),
        budget=falling_budget(updates, options, Cubic, initial),
        first_value="zero_weight",
        cool_down=0,
    )


def chts(
    steps: int,
    initial: float | None = None,
    temperature: tuple[float, float] = (1.0, 9.0),
    magnitude: Magnitude = "mass",
    **options: Unpack[PresetOptions],
) -> Rule:
    """Cannistraci-Hebb training, soft: pairs that share neighbours are joined, without a gradient.

    Edges are kept with a probability that grows with their relative importance to the power of a
    temperature, and grown likewise by the paths of three that they close; the temperature rises
    from exploration to choice. With ``degree`` below ``initial`` the number of edges falls along a
    sigmoid (CHTss). Their start, a bipartite receptive field with a bias for near pairs, is
    ``graph=distance_decay``.

    Args:
        steps: Length of the run.
        initial: Mean in-degree of the first graph.
        temperature: Exponent of the scores at the first and at the last update.
        magnitude: Size of an edge: its mean attention, or the size of its weights.
        **options: Options of every preset; ``fraction`` is 0.3 by default and falls along a cosine.

    Raises:
        ValueError: ``initial`` without ``degree``.

    Source: Zhang et al., Brain network science modelling of sparse neural networks enables
    transformers and LLMs to perform as fully connected, NeurIPS 2025.
    """
    updates = Updates.taken_from(options, steps)
    return preset_rule(
        updates,
        options,
        prune=partial(criteria.relative_importance, of=magnitude),
        grow=criteria.ch2_l3n,
        sampler=samplers.two_hop,
        fraction=updates.falling(Cosine, options.pop("fraction", 0.3)),
        temperature=updates.between(Linear, *temperature),
        budget=falling_budget(updates, options, Sigmoid, initial),
        cool_down=0,
    )


def mest(steps: int, weight: float = 0.01, **options: Unpack[PresetOptions]) -> Rule:
    r"""MEST: the smallest in :math:`|b| + \lambda |\partial L / \partial b|` pruned, random grown.

    Args:
        steps: Length of the run.
        weight: Weight :math:`\lambda` of the gradient.
        **options: Options of every preset; ``fraction`` is 0.3 by default and falls linearly to 0.

    Source: Yuan et al., MEST: accurate and fast memory-economic sparse training framework on the
    edge, NeurIPS 2021 (elastic mutation).
    """
    updates = Updates.taken_from(options, steps)
    return preset_rule(
        updates,
        options,
        prune=partial(criteria.mest, weight=weight),
        grow=criteria.chance,
        per_grow=2,
        fraction=updates.falling(Linear, options.pop("fraction", 0.3)),
        first_value="zero_weight",
        cool_down=0,
    )


def homeostatic(
    steps: int,
    rate: float = 0.5,
    activity: float | None = None,
    decay: float = 0.9,
    length: float | None = None,
    **options: Unpack[PresetOptions],
) -> Rule:
    """Homeostatic structural plasticity: columns below a set point of activity grow edges.

    Columns below the set point grow synaptic elements, columns above it retract them, and free
    elements pair up to edges. The number of edges is free.
    See :mod:`graphcolumns.plasticity.criteria.homeostasis`.

    Args:
        steps: Length of the run.
        rate: Synaptic elements that a silent column grows per update.
        activity: Set point of the activity (default: the mean activity at the first update).
        decay: Decay of the moving average of the activity, per update.
        length: Length of the exponential kernel of distance by which free elements pair up, in the
            unit of the geometry (default: any two).
        **options: Options of every preset, but for ``fraction`` and ``degree``.

    Raises:
        ValueError: A number is out of range.

    Source: Butz & van Ooyen, A simple rule for dendritic spine and axonal bouton formation can
    account for cortical reorganization after focal retinal lesions, PLOS Computational Biology
    2013; Diaz-Pier et al., Frontiers in Neuroanatomy 2016.
    """
    if not rate > 0 or not 0 <= decay < 1 or (activity is not None and not activity > 0):
        raise ValueError(
            "homeostasis needs rate > 0, 0 <= decay < 1 and a set point above 0. Got "
            f"rate={rate}, decay={decay} and activity={activity}."
        )
    return preset_rule(
        Updates.taken_from(options, steps),
        options,
        prune=criteria.chance,
        update_memory=partial(
            criteria.homeostasis.update_memory, rate=rate, activity=activity, decay=decay
        ),
        choose=partial(criteria.homeostasis.choose, length=length),
        cool_down=0,
    )
