"""Whether a model, its data and its losses go together."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.data import AnyDataset
from graphcolumns.nn.positions import LearnedPositions
from graphcolumns.nn.protocols import graph_of, prediction_of
from graphcolumns.nn.recording import evaluating
from graphcolumns.nn.top_down import EmptySubNetworkWarning
from graphcolumns.training.optim import schedule_rate
from graphcolumns.training.terms import Term
from graphcolumns.training.weight_schedule import LossWeight, weights_at

# Samples among which one of every group, such as an instruction, is looked for.
LOOKED_THROUGH = 256
# What `metrics.jsonl` says of a step besides the extra losses.
RESERVED = (
    *("step", "lr", "loss", "task", "gradient_norm"),
    *("edges", "edges_born", "edges_died", "edges_missing", "churn", "wiring_length"),
    *("mean_length", "explored", "explored_beyond", "newborn_survival", "degree_gini"),
    *("dead_columns", "jaccard_first", "predicted_change", "realised_change", "accepted"),
)


def check_fit(
    model: nn.Module,
    data: AnyDataset,
    losses: Mapping[str, tuple[LossWeight, Term]],
    augmentation: Callable[..., Tensor] | None = None,
    steps: int = 1,
) -> None:
    """Send a few training samples through augmentation, model and losses, in evaluation mode.

    So that parts that cannot work together fail before anything is written.

    Args:
        model: Model, on the device of the data.
        data: Data set that the samples come from.
        losses: Weight and term of extra losses by name.
        augmentation: Augmentation of training batches, as in ``train``.
        steps: Length of the run, for weights that depend on it.

    Raises:
        ValueError: The prediction has another shape than the task takes, a weight is not finite, a
            name is reserved, no loss moves the learned positions, an instruction opens no
            sub-network; or whatever model, losses and augmentation raise.
        TypeError: ``model.graph`` is not a ColumnGraph, a loss is not a pair of a number and a
            function, or the output has no prediction.
    """
    graph_of(model)
    for name, loss in losses.items():
        _check_loss(name, loss, steps)
    known = weights_at(losses, 0, steps)
    inputs, targets = data.batch("train", _trial_samples(data))
    if augmentation is not None:
        inputs = augmentation(inputs, generator=torch.Generator())
    learned = [module for module in model.modules() if isinstance(module, LearnedPositions)]
    with evaluating(model):
        with torch.set_grad_enabled(bool(learned)), _no_empty_sub_network():
            output = model(inputs)
            _check_prediction(output, data, len(targets))
            values = [weight * term(model, output, targets) for weight, term in known.values()]
        for positions in learned:
            _check_moved(positions, [output.prediction.sum(), *values])


def _trial_samples(data: AnyDataset) -> Tensor:
    """Two samples, because what mixes samples up is right for one, and one of every group."""
    first = torch.arange(min(2, data.size("train")))
    if not data.task.groups:
        return first
    some = torch.arange(min(LOOKED_THROUGH, data.size("train")))
    groups = data.task.group_of(data.batch("train", some)[0])
    assert groups is not None
    found = {group: at for at, group in reversed(list(enumerate(groups.tolist())))}
    return torch.tensor(sorted({*first.tolist(), *found.values()}))


@contextmanager
def _no_empty_sub_network() -> Iterator[None]:
    """What is a warning while a model runs is an error before it is trained."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", EmptySubNetworkWarning)
        try:
            yield
        except EmptySubNetworkWarning as warning:
            raise ValueError(str(warning)) from None


def check_schedule(schedule: Callable[[int, int], float] | None, steps: int, lr: float) -> None:
    """Call a schedule of the user for the first and for the last step.

    Raises:
        TypeError, ValueError: As ``optim.schedule_rate``; or whatever the schedule raises.
    """
    if schedule is not None:
        for step in (0, steps - 1):
            schedule_rate(schedule, step, steps, lr)


def _check_moved(positions: LearnedPositions, values: list[Tensor]) -> None:
    """Raise unless what is minimised changes with the learned positions."""
    given = [value for value in values if value.requires_grad]
    gradient = torch.autograd.grad(given, positions.offset, allow_unused=True)[0]
    # An op that could have used the positions gives zeros; one that never met them gives None.
    if gradient is None or not gradient.any():
        raise ValueError(
            "positions are learned, and nothing that is minimised depends on them. Give the wiring "
            "cost a weight (model.cost.wiring=distance losses.wiring=0.1; in Python "
            "cost={'wiring': 'distance'} and losses={'wiring': (0.1, TERMS['wiring'])}) on a graph "
            "with more than self-edges, or take a geometry that is not learnable."
        )


def _check_prediction(output: Any, data: AnyDataset, samples: int) -> None:
    prediction = prediction_of(output, samples)
    if not prediction.is_floating_point():
        raise TypeError(f"the prediction must be a floating tensor. Got {prediction.dtype}.")
    shapes = [(1, data.num_classes), *data.task.prediction_shapes(data.spec.targets.shape)]
    if tuple(prediction.shape[1:]) not in [tuple(shape[1:]) for shape in shapes]:
        expected = " or ".join(str(["B", *shape[1:]]).replace("'", "") for shape in shapes)
        raise ValueError(
            f"the model must return a prediction {expected}, one value for each of the "
            f"{data.num_classes} {data.task.outputs} of {data}. Got {list(prediction.shape)} for "
            f"{samples} samples; build the model with num_classes={data.num_classes}, or "
            f"num_outputs={data.num_classes} if that is what it is called there."
        )


def _check_loss(name: str, loss: Any, steps: int) -> None:
    if not isinstance(loss, tuple | list) or len(loss) != 2 or not callable(loss[1]):
        raise TypeError(
            f"losses must map names to (weight, term), such as {name!r}: (0.1, TERMS['activity']). "
            f"Got {name!r}: {loss!r}."
        )
    for step in (0, steps - 1):
        weight = loss[0](step, steps) if callable(loss[0]) else loss[0]
        if not isinstance(weight, Real) or not isfinite(weight):
            raise ValueError(f"the weight of the loss {name!r} must be finite. Got {weight}.")
    if name in RESERVED:
        raise ValueError(
            f"losses must be named otherwise than {', '.join(RESERVED)}, which the log uses. "
            f"Got {name!r}."
        )
