"""What a report of a model cannot show, known before it is trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphcolumns.analysis.observation import Observation
from graphcolumns.analysis.observe import observe
from graphcolumns.data import Dataset
from graphcolumns.geometry import Geometry


def check_report(
    model: nn.Module,
    data: Dataset,
    geometry: Geometry | None = None,
    permutation: Tensor | None = None,
) -> list[str]:
    """Observe one held-out sample, so that a report that cannot be made fails before training.

    Takes one forward pass and a few backward passes. Model and random numbers are left as they
    were.

    Args:
        model: Model, on the device of the data.
        data: Data set that the report will be about.
        geometry: Positions of the columns, in the order of the model, if they are known.
        permutation: The user's id of each column of the model, ``[N]``.

    Returns:
        What the report will leave out and why, one sentence each; none for a model with a state,
        attention, and images as inputs, on a geometry.

    Raises:
        TypeError, ValueError: As :func:`~graphcolumns.analysis.observe`.
    """
    with torch.random.fork_rng():
        return left_out(observe(model, data, geometry, permutation, samples=1))


def left_out(seen: Observation) -> list[str]:
    """What a report of this observation leaves out and why, one sentence each."""
    missing = []
    if seen.activity is None:
        missing.append("No activity: the output of the model has no state.")
    elif seen.geometry is not None and seen.places(seen.activity.shape[1]) is None:
        missing.append(
            f"No map of the activity: the state has {seen.activity.shape[1]} columns, the geometry "
            f"{seen.geometry.num_columns}."
        )
    if seen.fields is None:
        missing.append(
            "No receptive fields: they need an image as input, [n, channels, Y, X], and a gradient "
            "from the state to it."
        )
    for wiring in seen.wirings:
        of = f" of the graph {wiring.name!r}" if len(seen.wirings) > 1 else ""
        if wiring.attention is None and wiring.weights is None:
            missing.append(f"No weights{of}: no layer keeps records or tensors of its edges.")
        if seen.sheet_of(wiring.graph) is None:
            missing.append(f"No map of the edges{of}: no geometry has both of their ends.")
    return missing
