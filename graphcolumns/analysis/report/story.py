"""What a report says in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from graphcolumns.analysis.connectome import wire_lengths
from graphcolumns.analysis.observation import Observation, Wiring
from graphcolumns.data import Dataset
from graphcolumns.data.spec import TensorSpec
from graphcolumns.nn.protocols import description_of

LEARNED = {
    "classification": "classification of",
    "instructed_classification": "classification under instructions of",
    "multi_label": "yes-or-no answers about",
    "reconstruction": "reconstruction from",
    "regression": "regression on",
}
RUN = {
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


def sentence(model: nn.Module, data: Dataset) -> str:
    """What was trained on what, in two sentences."""
    task = data.task.name
    parts = [part for part in data.spec.inputs if part.shape or not data.spec.is_mapping]
    inputs = ", ".join(_size(part, data.spec.is_mapping) for part in parts or data.spec.inputs)
    return (
        f"{description_of(model)} It learned {LEARNED.get(task, f'{task} from')} "
        f"{data.size('train'):,} inputs of {inputs} values."
    )


def _size(part: TensorSpec, named: bool) -> str:
    size = " x ".join(map(str, part.shape)) or "1"
    return f"{part.name} {size}" if named else size


def facts(model: nn.Module, seen: Observation, summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The model and the run in numbers: ``(what, number with unit)``."""
    rows = []
    if seen.geometry is not None and _used(seen):
        geometry = seen.geometry
        rows.append(("columns", f"{geometry.num_columns:,}"))
        rows.append(("geometry", f"{geometry.metric} distances in {geometry.unit}"))
    for wiring in seen.wirings:
        of = f" of {wiring.name}" if len(seen.wirings) > 1 else ""
        rows += [(f"{what}{of}", number) for what, number in _wiring(wiring, seen)]
    rows.append(("parameters", f"{sum(p.numel() for p in model.parameters()):,}"))
    rows += [
        (name, form.format(summary[key]))
        for key, (name, form) in RUN.items()
        if summary.get(key) is not None
    ]
    return rows


def _used(seen: Observation) -> bool:
    """Whether the geometry has as many columns as the state, or an end of a graph."""
    counts = {n for w in seen.wirings for n in (w.graph.num_columns, w.graph.num_sources)}
    if seen.activity is not None:
        counts.add(seen.activity.shape[1])
    return not counts or (seen.geometry is not None and seen.geometry.num_columns in counts)


def _wiring(wiring: Wiring, seen: Observation) -> list[tuple[str, str]]:
    """One graph in numbers."""
    graph, rows = wiring.graph, []
    if graph.num_sources != graph.num_columns:
        rows.append(("targets", f"{graph.num_columns:,}"))
        rows.append(("sources", f"{graph.num_sources:,}"))
    elif seen.sheet_of(graph) is None:
        rows.append(("columns", f"{graph.num_columns:,}"))
    among = (
        "of all pairs"
        if graph.num_sources != graph.num_columns
        else ("of all pairs, self-edges counted")
    )
    rows.append(("edges", f"{graph.num_edges:,} ({graph.density:.2%} {among})"))
    mean = graph.num_edges / max(graph.num_columns, 1)
    rows.append(("in-edges per column", f"{mean:.3g} on average"))
    if graph.distance is not None:
        lengths = wire_lengths(graph)
        rows.append(("wire, all edges together", f"{lengths.sum():,.4g} {seen.unit}"))
        if len(lengths):
            rows.append(("mean length of an edge", f"{lengths.mean():.3g} {seen.unit}"))
    return rows
