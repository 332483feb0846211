"""Rewiring while training: the rule at work, and the samples that it looks at."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from graphcolumns.data import AnyDataset, Batch
from graphcolumns.geometry import Geometry
from graphcolumns.nn.positions import LearnedPositions
from graphcolumns.nn.protocols import graph_of
from graphcolumns.plasticity import Plasticity, Rule
from graphcolumns.plasticity.rules.arrival import require_arrival
from graphcolumns.random.counter import derive
from graphcolumns.random.streams import generator
from graphcolumns.train.terms import per_sample


def begin(
    plasticity: Rule | Callable[..., Rule] | None,
    model: nn.Module,
    data: AnyDataset,
    geometry: Geometry | None,
    steps: int,
    seed: int,
) -> Plasticity | None:
    """The rule at work, checked against the model and the data; None without a rule.

    Raises:
        ValueError: too few samples for the rule, a graph that breaks its constraints, a measured
            graph without a geometry, or one of other columns; what cannot be reached in `steps`,
            see `require_arrival`; or whatever the first update would refuse.
        TypeError: no rule, and no function that returns one.
    """
    if plasticity is None:
        return None
    rule = plasticity if isinstance(plasticity, Rule) else plasticity(steps=steps)
    if not isinstance(rule, Rule):
        raise TypeError(
            "plasticity must be a Rule or a function of steps that returns one, such as "
            f"presets.rigl. Got {type(rule).__name__}."
        )
    graph = graph_of(model)
    due = [step for step in range(1, steps + 1) if rule.when(step)]
    moving = any(isinstance(part, LearnedPositions) for part in model.modules())
    if due and geometry is None and not moving and graph.distance is not None and rule.grows:
        raise ValueError(
            "newborn edges of a graph with distances must be measured. Got geometry=None; pass "
            "train(..., geometry=...), the one that measured the graph."
        )
    if geometry is not None:
        geometry = geometry.to(str(graph.device))
        geometry.require_columns(graph.num_columns)
    changing = Plasticity(rule, geometry, derive(seed, "plasticity"))
    changing.start(model)
    set_aside(data, changing, seed)
    require_arrival(rule, graph, steps, geometry)
    if due:
        few = data.batch("train", torch.arange(min(2, data.size("train"))))
        changing.dry_run(model, due[0], *few, per_sample(data.task))
    return changing


def set_aside(
    data: AnyDataset, changing: Plasticity | None, seed: int
) -> tuple[AnyDataset, AnyDataset]:
    """The samples that are trained on, and those that edges are scored on.

    Raises:
        ValueError: too few of either.
    """
    if changing is None:
        return data, data
    rule, samples = changing.rule, data.size("train")
    kept = round(rule.reserve * samples) if rule.reserve else samples
    if kept < rule.wanted or (rule.reserve and kept == samples):
        raise ValueError(
            f"the rule looks at {rule.wanted} samples (samples={rule.samples}, check={rule.check})"
            f" and may draw from {kept} of {samples} (reserve={rule.reserve}). Lower samples and "
            "check, or change reserve."
        )
    if not rule.reserve:
        return data, data
    order = torch.randperm(samples, generator=generator(seed, "reserve"))
    return data.subset(order[kept:]), data.subset(order[:kept])


def samples(
    aside: AnyDataset,
    changing: Plasticity,
    seed: int,
    augmentation: Callable[..., Tensor] | None,
) -> Batch:
    """What the next update looks at: as many samples as its rule wants, none twice."""
    number = changing.updates + 1
    order = torch.randperm(aside.size("train"), generator=generator(seed, "scores", number))
    inputs, targets = aside.batch("train", order[: changing.rule.wanted])
    if augmentation is not None:
        inputs = augmentation(inputs, generator=generator(seed, "scores augmentation", number))
    return Batch(inputs, targets)
