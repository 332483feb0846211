"""Is a sheet topographic: are columns near each other alike in what they respond to?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from graphcolumns.analysis.connectome.nulls.values import Tail
from graphcolumns.analysis.topography import (
    category_selectivity,
    kernel_spatial_loss,
    morans_i,
    permuted_null,
    rook_neighbours,
    tdann_smoothness,
    tdann_spatial_loss,
    tuning_by_distance,
)
from graphcolumns.analysis.topography.inputs import Floats
from graphcolumns.analysis.watch import watch
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.protocols import graph_of
from graphcolumns.studies.study_run import StudyRun
from graphcolumns.training.column_kernels import column_kernels


class _Measure(NamedTuple):
    """A measure of a map, the values that it is of, and which values of it are extreme."""

    of: Callable[[Floats], float]
    values: Floats
    tail: Tail = "less"


def topography(
    run: StudyRun, rows: int, columns: int, samples: int = 64, pairs: int = 3000, count: int = 39
) -> dict[str, float]:
    """Measures of topography of a trained sheet, each with its excess over permuted columns.

    Responses are the last states on test images. ``NAME_z`` is the number of standard deviations
    between ``NAME`` and the mean over ``count`` permutations of the columns, all samples and
    channels of a column together; ``untrained_NAME`` is ``NAME`` of the same model before training.

    Args:
        run: Run of a sheet of ``rows * columns`` columns that classifies images.
        rows: Number of rows of the sheet.
        columns: Number of columns in a row.
        samples: Least number of test images that responses are correlated over: every
            ``size // samples``-th of all, so that there are fewer than twice as many.
        pairs: Number of pairs of columns whose tuning is compared.
        count: Number of permutations.

    Returns:
        ``moran`` (Moran's I of the maps of d', mean over classes and channels), ``tuning_r`` (of
        the correlation of tuning with distance), ``tuning_length`` (where it falls to 1/e, over the
        mean distance of pairs), ``spatial_loss`` and ``smoothness`` of TDANN (the latter of the
        first principal component of the maps), ``kernel_loss`` of All-TNN (mean over modules), and
        ``attended_length``, the mean length of edges by attention, in the unit of the geometry.
        What is not defined, such as a length where the correlation never falls, is left out.
    """
    images, labels = run.data.batch("test", torch.arange(run.data.size("test")))
    assert torch.is_tensor(images)
    neighbours = rook_neighbours(rows, columns)
    found = dict[str, float]()
    for prefix, model in (("", run.model), ("untrained_", run.untrained)):
        with torch.no_grad():
            states = model(images).state
        shown = slice(None, None, max(1, states.shape[1] // samples))
        responses = _responses(states[:, shown])
        maps = selectivity_maps(states, labels)
        measures = _measures(responses, maps, model, run.geometry, neighbours, pairs)
        for name, measure in measures.items():
            found[prefix + name] = measure.of(measure.values)
            if model is run.model and np.isfinite(found[name]):
                null = permuted_null(measure.of, measure.values, count, tail=measure.tail)
                found[f"{name}_z"] = null.z
        length = tuning_by_distance(responses, run.geometry).relative_length
        found[f"{prefix}tuning_length"] = length
        found[f"{prefix}attended_length"] = attended_length(model, images[shown])
    return {name: value for name, value in found.items() if np.isfinite(value)}


def selectivity_maps(states: Tensor, labels: Tensor) -> Floats:
    """Selectivity d' of every column, for each class in each channel.

    Args:
        states: States of the columns, ``[N, S, C]``.
        labels: Class of every sample, ``[S]``.

    Returns:
        ``[K * C, N]``, class by class; 0 where a channel does not vary.
    """
    classes = labels.unique().tolist()
    responses = states.permute(2, 1, 0).double().numpy()
    maps = [
        category_selectivity(channel, (labels == k).numpy())
        for k in classes
        for channel in responses
    ]
    return np.nan_to_num(np.stack(maps))


def attended_length(model: nn.Module, images: Tensor) -> float:
    """Mean length of edges, weighted by attention, over steps, heads, samples and columns.

    Args:
        model: A sheet that attends along its own measured edges.
        images: Images to attend to.

    Returns:
        Length in the unit of the geometry.

    Raises:
        ValueError: Edges that were never measured.
    """
    graph = graph_of(model)
    if graph.distance is None:
        raise ValueError(
            "edges must be measured. Got a graph without lengths; call graph.remeasure(geometry)."
        )
    (attention,) = watch(model, images, batch_size=len(images)).attention.values()
    weights = attention.mean(0)
    return float((weights * graph.distance.double()).sum() / weights.sum())


def _responses(states: Tensor) -> Floats:
    """Deviation of every channel from its mean, samples and channels joined, ``[S * C, N]``."""
    deviation = states - states.mean(1, keepdim=True)
    joined: Floats = deviation.flatten(1).T.double().numpy()
    return joined


def _measures(
    responses: Floats,
    maps: Floats,
    model: nn.Module,
    geometry: Geometry,
    neighbours: ColumnGraph,
    pairs: int,
) -> Mapping[str, _Measure]:
    kernels = [kernel.detach().double().numpy() for kernel, _ in column_kernels(model)]
    ends = np.cumsum([kernel.shape[1] for kernel in kernels])[:-1]
    joined = np.concatenate(kernels, 1).T

    def moran(x: Floats) -> float:
        # A map without any variance has no neighbours that are more alike than others.
        return float(np.mean(np.nan_to_num([morans_i(one, neighbours) for one in x])))

    def kernel_loss(x: Floats) -> float:
        parts = np.split(x, ends)
        return float(np.mean([kernel_spatial_loss(part.T, neighbours) for part in parts]))

    near = partial(tdann_spatial_loss, geometry=geometry, neighbourhoods=5, size=50)
    return {
        "moran": _Measure(moran, maps, "greater"),
        "tuning_r": _Measure(lambda x: tuning_by_distance(x, geometry, pairs=pairs).r, responses),
        "spatial_loss": _Measure(near, responses),
        "smoothness": _Measure(
            lambda x: tdann_smoothness(x, geometry).smoothness, _first_component(maps), "greater"
        ),
        "kernel_loss": _Measure(kernel_loss, joined),
    }


def _first_component(maps: Floats) -> Floats:
    """The map along which columns differ most, ``[N]``."""
    centred = maps - maps.mean(1, keepdims=True)
    first: Floats = np.linalg.svd(centred, full_matrices=False)[2][0]
    return first
