"""How well a model does its task, beside what needs no model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from graphcolumns.analysis.figures.results import are_images
from graphcolumns.analysis.observation import Observation
from graphcolumns.data import Dataset
from graphcolumns.data.metrics import Metric
from graphcolumns.nn.batches import first_tensor

LARGEST = 20_000  # training samples up to which a baseline is quick

Rows = list[tuple[str, str]]


def scores(summary: Mapping[str, Any], seen: Observation, data: Dataset) -> Rows:
    """The first table of a report, the main metric of the task first: ``(what, score)``.

    Args:
        summary: Summary of the run; its scores are of all samples.
        seen: Observation of the model, from which scores are computed that the summary lacks.
        data: Data set and task.
    """
    metrics = dict(data.task.metrics) or {"loss": Metric(data.task.loss, "lower")}
    names = sorted(metrics, key=lambda name: name != data.task.main)
    rows = []
    for name in names:
        rows += _metric(name, metrics[name], summary, seen, data)
        if name == data.task.main:
            rows += _of_groups(metrics[name], summary, data)
    return rows + _baselines(seen, data)


def _metric(
    name: str, metric: Metric, summary: Mapping[str, Any], seen: Observation, data: Dataset
) -> Rows:
    """One metric of the held-out half, and of the training half where that is known."""
    label = name.replace("_", " ")
    if name != "accuracy":
        label += f" ({metric.direction} is better)"
    half, value = data.held_out, summary.get(f"{data.held_out}_{name}")
    where = f"{half} half, {data.size('test'):,} samples"
    if value is None:
        value = metric.function(seen.prediction, seen.targets)
        if len(seen.targets) < data.size("test"):
            where = f"first {len(seen.targets):,} samples of the {where}"
    rows = [(f"{label}, {where}", _number(value, metric.unit))]
    trained = summary.get(f"train_{name}")
    if trained is not None:
        rows.append((f"{label}, training half", _number(trained, metric.unit)))
    return rows


def _of_groups(metric: Metric, summary: Mapping[str, Any], data: Dataset) -> Rows:
    """The main metric of each group of held-out samples, such as an instruction, where known."""
    half = data.held_out
    main = str(data.task.main)
    found = {group: summary.get(f"{half}_{main}_{group}") for group in data.task.groups}
    return [
        (
            f"{main.replace('_', ' ')} of {group.replace('_', ' ')}, {half} half",
            _number(value, metric.unit),
        )
        for group, value in found.items()
        if value is not None
    ]


def _baselines(seen: Observation, data: Dataset) -> Rows:
    if data.task.answers == "classes":
        return _of_classes(data)
    if data.task.answers == "bits":
        return _of_bits(data)
    if are_images(seen):
        truth = seen.targets.flatten(1)
        error = (seen.prediction.flatten(1) - truth).square().mean()
        noise = (first_tensor(seen.inputs).flatten(1) - truth).square().mean()
        return [
            ("mean squared error", f"{float(error):.4g}"),
            ("mean squared error of the input as it came", f"{float(noise):.4g}"),
        ]
    return _of_means(seen, data)


def _of_classes(data: Dataset) -> Rows:
    if data.size("train") > LARGEST:
        return []
    train, test = (_half(data, half) for half in ("train", "test"))
    labels, held = train[1], test[1]
    commonest = int(labels.bincount().argmax())
    rows = [("baseline: the commonest class", _percent((held == commonest).double().mean()))]
    image = data.spec.image
    if image is not None and not data.spec.is_mapping:
        model = KNeighborsClassifier(1).fit(train[0].flatten(1).numpy(), labels)
        right = model.score(test[0].flatten(1).numpy(), held)
        rows.append(("baseline: the nearest training image", _percent(right)))
    return rows


def _of_bits(data: Dataset) -> Rows:
    if data.size("train") > LARGEST:
        return []
    commonest = _half(data, "train")[1].double().mean(0).round()
    share = (_half(data, "test")[1] == commonest).double().mean()
    return [("baseline: always the commoner answer", _percent(share))]


def _of_means(seen: Observation, data: Dataset) -> Rows:
    """The main metric of predicting the mean of every training target."""
    metric = data.task.metrics.get(data.task.main)
    if metric is None or data.size("train") > LARGEST or not seen.targets.is_floating_point():
        return []
    mean = _half(data, "train")[1].double().nanmean(0).to(seen.targets.dtype)
    if mean.numel() != seen.prediction[0].numel():
        return []
    guess = mean.reshape(seen.prediction.shape[1:]).expand_as(seen.prediction)
    score = metric.function(guess, seen.targets)
    return [("baseline: the mean of every training target", _number(score, metric.unit))]


def _half(data: Dataset, half: str) -> tuple[Any, Tensor]:
    """Inputs and targets of up to ``LARGEST`` samples."""
    inputs, targets = data.batch(half, torch.arange(min(data.size(half), LARGEST)))
    return (inputs.cpu() if isinstance(inputs, Tensor) else inputs), targets.cpu()


def _number(value: Any, unit: str) -> str:
    if unit == "fraction":
        return _percent(value)
    return f"{float(value):.4g}" + ("" if unit == "1" else f" {unit}")


def _percent(share: Any) -> str:
    return f"{100 * float(share):.2f} %"
