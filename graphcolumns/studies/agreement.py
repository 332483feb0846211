"""How sparse hidden units are, and whether columns hold the same in the same code."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from graphcolumns.analysis.function import ModelStates, cka_matrix, model_states, probe_transfer
from graphcolumns.analysis.topography import (
    active_percent,
    hoyer_sparsity,
    treves_rolls_sparsity,
)
from graphcolumns.geometry import Geometry
from graphcolumns.nn import Column
from graphcolumns.nn.activations import ACTIVATIONS
from graphcolumns.studies.shifts import images_of_test_half
from graphcolumns.studies.study_run import StudyRun


def hidden_sparsity(run: StudyRun, samples: int = 256, threshold: float = 0.0) -> dict[str, float]:
    """Sparsity of the hidden units of the MLPs of all columns at all steps, on test images.

    Args:
        run: Run with columns. With GELU a threshold above 0 is needed, since no unit is exactly 0.
        samples: Number of test images.
        threshold: Size from which on a unit is active, itself not counted; in the unit of hidden
            units.

    Returns:
        ``active_percent`` of units and images; ``hoyer`` (1: one unit alone) and ``treves_rolls``
        (smaller is sparser) over the images of every unit, means over units that are ever active;
        ``silent_percent`` of units that never are. The same of the model before training as
        ``untrained_...``.

    Raises:
        ValueError: A model without columns.
    """
    images = images_of_test_half(run)[0][:samples]
    trained, before = (
        _sparsity(hidden_units(model, images), threshold) for model in (run.model, run.untrained)
    )
    return trained | {f"untrained_{name}": value for name, value in before.items()}


@torch.no_grad()
def hidden_units(model: nn.Module, images: Tensor) -> Tensor:
    """Hidden units of the MLPs after their activation.

    Args:
        model: Model with columns.
        images: Images ``[S, channels, Y, X]``.

    Returns:
        ``[S, U]`` with a unit for each hidden unit of every column at every step.

    Raises:
        ValueError: A model without columns.
    """
    found: list[Tensor] = []
    columns = [part for part in model.modules() if isinstance(part, Column)]
    if not columns:
        raise ValueError(
            "hidden units are those of columns. Got a model without any; take model=columnformer."
        )

    def keep(column: Column, output: Tensor) -> None:
        found.append(ACTIVATIONS[column.activation](output).transpose(0, 1).flatten(1))

    hooks = [
        column.hidden.register_forward_hook(lambda *call, column=column: keep(column, call[2]))
        for column in columns
    ]
    try:
        model(images)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat(found, dim=1)


def _sparsity(units: Tensor, threshold: float) -> dict[str, float]:
    size = units.double().abs().numpy()
    ever = (size > threshold).any(0)
    return {
        "active_percent": active_percent(size, threshold),
        "silent_percent": float(100 * (1 - ever.mean())),
        "hoyer": float(np.nanmean(hoyer_sparsity(size, over="samples"))),
        "treves_rolls": float(np.nanmean(treves_rolls_sparsity(size, over="samples"))),
    }


def column_agreement(run: StudyRun, samples: int = 256, near: float = 1.5) -> dict[str, float]:
    """Alignment of columns without bias, and probes of one column read from another, by distance.

    Args:
        run: Run of a classifier with states of columns.
        samples: Number of test images; half of them fit the probes.
        near: Largest distance of near columns, in the unit of the geometry.

    Returns:
        ``near_cka`` and ``far_cka``, means over pairs of different columns; ``cka_distance_r``,
        Pearson's r over pairs; ``own_accuracy``, ``near_accuracy`` and ``far_accuracy`` of the
        probe of a column on itself, near and far columns, ``chance_accuracy`` of the most frequent
        class. The same of the model before training as ``untrained_...``.

    Raises:
        ValueError: No two columns that are near, or none that are far.
    """
    images, labels = (part[:samples] for part in images_of_test_half(run))
    distance, found = _distances(run.geometry), dict[str, float]()
    for prefix, model in (("", run.model), ("untrained_", run.untrained)):
        values = _agreement(model_states(model, images), labels, distance, near)
        found |= {f"{prefix}{name}": value for name, value in values.items()}
    return found


def _distances(geometry: Geometry) -> Tensor:
    """Distances of all columns, ``[N, N]``, in the unit of the geometry."""
    ids = torch.arange(geometry.num_columns)
    pairs = torch.cartesian_prod(ids, ids)
    return geometry.distance(pairs[:, 0], pairs[:, 1]).detach().view(len(ids), len(ids))


def _agreement(
    states: ModelStates, labels: Tensor, distance: Tensor, near: float
) -> dict[str, float]:
    other = ~torch.eye(len(distance), dtype=torch.bool)
    parts: dict[str, Any] = {"near": other & (distance <= near), "far": other & (distance > near)}
    if not all(part.any() for part in parts.values()):
        raise ValueError(
            f"near must leave pairs of columns on both sides. Got {near}; distances of columns "
            f"are {float(distance[other].min()):.3g} to {float(distance.max()):.3g}."
        )
    aligned, transfer = cka_matrix(states, unbiased=True), probe_transfer(states, labels)
    pairs = torch.stack([aligned[other], distance[other].double()])
    return {
        **{f"{name}_cka": float(aligned[part].nanmean()) for name, part in parts.items()},
        "cka_distance_r": float(torch.corrcoef(pairs[:, ~pairs[0].isnan()])[0, 1]),
        "own_accuracy": float(transfer.accuracy.diagonal().mean()),
        **{f"{n}_accuracy": float(transfer.accuracy[part].mean()) for n, part in parts.items()},
        "chance_accuracy": transfer.chance,
    }
