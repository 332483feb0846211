"""What a report says in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from graphcolumns.analysis.connectome import wire_lengths
from graphcolumns.analysis.observe import Observation
from graphcolumns.data import Dataset
from graphcolumns.nn.batches import first_tensor

LEARNED = {
    "classification": "classification of",
    "reconstruction": "reconstruction of",
    "multi_label": "yes-or-no answers about",
}
LARGEST_NEIGHBOURS = 20_000  # training samples up to which nearest neighbours are a quick baseline


def sentence(model: nn.Module, seen: Observation, data: Dataset) -> str:
    """What was trained, in one sentence."""
    column: Any = model.columns[0]  # type: ignore[index]
    weights = column.hidden.weights
    kind = {"untied": "each with its own weights", "shared": "all with the same weights"}.get(
        weights, f"with {weights} weights"
    )
    depth: Any = model.depth
    steps = (
        f"applied {depth} times"
        if model.recurrent
        else f"{depth} layers of them, one after the other"
    )
    size = " x ".join(map(str, data.spec.inputs[0].shape))
    return (
        f"A sheet of {seen.graph.num_columns:,} columns of width {column.channels}, {kind}, "
        f"{steps}; {seen.graph.num_edges:,} edges say who listens to whom. "
        f"It learned {LEARNED[data.task.name]} {len(data.train_inputs):,} inputs of {size} values."
    )


def scores(summary: Mapping[str, Any], seen: Observation, data: Dataset) -> list[tuple[str, str]]:
    """How well, beside what needs no sheet: `(what, score)`."""
    half = f"{data.held_out} half, {len(data.test_inputs):,} samples"
    if data.task.name == "reconstruction":
        error = (seen.prediction - seen.labels.flatten(1)).square().mean()
        noise = (seen.inputs - seen.labels).square().mean()
        return [
            (f"mean squared error, {half}", f"{float(error):.4g}"),
            ("of the input as it came", f"{float(noise):.4g}"),
        ]
    binary = data.task.name == "multi_label"
    answers = (seen.prediction > 0).long() if binary else seen.prediction.argmax(1)
    shown = (answers == seen.labels).double().mean()
    accuracy = summary.get(f"{data.held_out}_accuracy")
    rows = [(f"accuracy, {half}", _percent(shown if accuracy is None else accuracy))]
    if accuracy is None and len(seen.labels) < len(data.test_targets):
        rows = [(f"accuracy, first {len(seen.labels):,} samples of the {half}", _percent(shown))]
    if summary.get("train_accuracy") is not None:
        rows.append(("accuracy, training half", _percent(summary["train_accuracy"])))
    return rows + (_baselines_of_bits(data) if binary else _baselines(data))


def _baselines(data: Dataset) -> list[tuple[str, str]]:
    labels, held = data.train_targets.cpu(), data.test_targets.cpu()
    commonest = int(labels.bincount().argmax())
    rows = [("baseline: the commonest class", _percent((held == commonest).double().mean()))]
    if len(labels) <= LARGEST_NEIGHBOURS:
        model = KNeighborsClassifier(1).fit(
            first_tensor(data.train_inputs).cpu().flatten(1).numpy(), labels
        )
        right = model.score(first_tensor(data.test_inputs).cpu().flatten(1).numpy(), held)
        rows.append(("baseline: the nearest training image", _percent(right)))
    return rows


def _baselines_of_bits(data: Dataset) -> list[tuple[str, str]]:
    commonest = data.train_targets.double().mean(0).round()
    share = (data.test_targets == commonest).double().mean()
    return [("baseline: always the commoner answer", _percent(share))]


def facts(model: nn.Module, seen: Observation, summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The sheet and the run in numbers: `(what, number with unit)`."""
    graph, geometry = seen.graph, seen.geometry
    rows = [
        ("columns", f"{graph.num_columns:,}"),
        ("geometry", f"{geometry.metric} distances in {geometry.unit}"),
        ("edges", f"{graph.num_edges:,} ({graph.density:.2%} of all pairs, self-edges counted)"),
        ("in-edges per column", f"{graph.num_edges / graph.num_columns:.3g} on average"),
    ]
    if graph.distance is not None:
        lengths = wire_lengths(graph)
        rows.append(("wire, all edges together", f"{lengths.sum():,.4g} {geometry.unit}"))
        if len(lengths):
            rows.append(("mean length of an edge", f"{lengths.mean():.3g} {geometry.unit}"))
    rows.append(("parameters", f"{sum(p.numel() for p in model.parameters()):,}"))
    named = {
        "steps": ("optimizer steps", "{:,}"),
        "train_seconds": ("training time", "{:.0f} s"),
        "peak_memory_mb": ("peak memory of the process", "{:,.0f} MB"),
        "not_reached": ("not reached by the rule", "{}"),
        "seed": ("seed", "{}"),
        "best_step": ("step of the best validation score, kept in best/", "{:,}"),
        "changes": ("changed when the run was resumed", "{}"),
        "device": ("device", "{}"),
        "version_torch": ("torch", "{}"),
        "version_graphcolumns": ("graphcolumns", "{}"),
    }
    rows += [
        (name, form.format(summary[key]))
        for key, (name, form) in named.items()
        if summary.get(key) is not None
    ]
    return rows


def _percent(share: Any) -> str:
    return f"{100 * float(share):.2f} %"
