"""The order in which the columns of a run respond, against the distance from the input."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphcolumns.analysis.function import (
    fields_at_response,
    model_states,
    rank_correlation,
    receptive_field_areas,
    response_latency,
)
from graphcolumns.analysis.receptive_fields import receptive_fields
from graphcolumns.nn.paths import hops
from graphcolumns.nn.protocols import graph_of
from graphcolumns.studies.study_run import StudyRun


def column_order(
    run: StudyRun, threshold: float = 1.0, samples: int = 400, fields: int = 32
) -> dict[str, float]:
    """Whether columns respond in the order of the graph, and see more of the image the later.

    The latency of a column is the first step after which d' of some class exceeds a threshold, on
    training samples. The graph bounds it from below: no column responds before a path from the
    input has reached it. ``delay`` is the mean number of steps above this bound.

    Args:
        run: Run of a model with states, in which some columns see an image.
        threshold: Threshold of d', fixed before any latency is looked at.
        samples: Number of training samples.
        fields: Number of training samples of which receptive fields are the mean.

    Returns:
        Numbers of the trained model, and with the prefix ``untrained_`` of the same model before
        training on its first graph: rank correlations of latency with the distance from the input
        (``distance_rho``, ``distance_p``), of the area of receptive fields with latency after the
        last step (``field_rho``) and at the step of response (``first_field_rho``), ``delay``, the
        number of columns that never respond (``silent``), the latest step of response (``latest``)
        and the largest distance (``farthest``). Besides the latency of every column of the trained
        model, ``latency_N``, and the largest d' of permuted classes, ``chance``.
    """
    batch = run.data.batch("train", torch.arange(samples))
    shuffled = batch.targets[torch.randperm(samples, generator=torch.Generator().manual_seed(0))]
    found = response_latency(
        model_states(run.model, batch.inputs), shuffled, response="d_prime", threshold=threshold
    )
    latency = column_latency(run, run.model, threshold, samples)
    numbers = {"chance": float(found.scores.max())}
    numbers |= {f"latency_{n:02d}": value for n, value in enumerate(latency.tolist())}
    numbers |= _order(run, run.model, latency, fields)
    before = column_latency(run, run.untrained, threshold, samples)
    untrained = _order(run, run.untrained, before, fields)
    return numbers | {f"untrained_{name}": value for name, value in untrained.items()}


def column_latency(run: StudyRun, model: nn.Module, threshold: float, samples: int) -> Tensor:
    """The first step after which d' of each column exceeds a threshold.

    Args:
        run: Run whose training samples are shown.
        model: Its model, trained or not.
        threshold: Threshold of d'.
        samples: Number of training samples, the first ones.

    Returns:
        ``[N]`` float64, NaN for columns that never respond.
    """
    inputs, labels = run.data.batch("train", torch.arange(samples))
    states = model_states(model, inputs)
    return response_latency(states, labels, response="d_prime", threshold=threshold).latency


def input_distance(model: nn.Module) -> Tensor:
    """Edges on the shortest path to each column from a column that sees the input.

    Args:
        model: Model of columns with ``receptive``, the token that each column sees or -1.

    Returns:
        ``[N]`` float64, 0 for columns that see the input, NaN where no path leads.

    Raises:
        TypeError: A model that does not say which columns see the input.
    """
    receptive = getattr(model, "receptive", None)
    if not torch.is_tensor(receptive):
        raise TypeError(
            "a model must say which columns see the input, as its tensor receptive, -1 for those "
            f"that do not. Got none from {type(model).__name__}; pass a Columnformer."
        )
    start, graph = receptive >= 0, graph_of(model)
    steps = hops(graph, start).double()
    return steps.masked_fill(steps < 0, torch.nan).masked_fill(start, 0.0)


def _order(run: StudyRun, model: nn.Module, latency: Tensor, fields: int) -> dict[str, float]:
    distance, image = input_distance(model), run.data.spec.image
    by_distance = rank_correlation(latency, distance)
    numbers = {
        "distance_rho": by_distance.rho,
        "distance_p": by_distance.p,
        "delay": float((latency - distance.clamp(min=1)).nanmean()),
        "silent": float(latency.isnan().sum()),
        "latest": float(latency.nan_to_num(0).max()),
        "farthest": float(distance.nan_to_num(0).max()),
    }
    inputs = run.data.batch("train", torch.arange(fields)).inputs
    if image is None:
        return numbers
    last = receptive_fields(model, inputs, image, torch.arange(len(latency)))
    first = fields_at_response(model, inputs, image, latency)
    for name, each in {"field_rho": last, "first_field_rho": first}.items():
        if each is not None:
            numbers[name] = rank_correlation(receptive_field_areas(each), latency).rho
    return numbers
