"""What a trained model does on held-out samples, in the order of the user's columns."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn

from graphcolumns.analysis.observation import Observation, Wiring
from graphcolumns.analysis.receptive_fields import receptive_fields
from graphcolumns.analysis.watch import Watched, device_of_model, watch
from graphcolumns.data import Dataset
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.batches import Inputs, map_tensors, select_samples
from graphcolumns.nn.dynamics import Relaxation
from graphcolumns.nn.protocols import graphs_of
from graphcolumns.nn.recording import evaluating

BATCH = 32  # samples at a time: attention along all edges is in memory at once
CHOSEN = 6  # columns whose attention and receptive field are shown
RELAXED = 8  # samples whose way to the fixed point is shown


def observe(
    model: nn.Module,
    data: Dataset,
    geometry: Geometry | None = None,
    permutation: Tensor | None = None,
    samples: int = 1024,
) -> Observation:
    """Run a model on held-out samples and note what its columns and edges do.

    Any model that keeps to :class:`~graphcolumns.nn.protocols.ColumnModel` can be observed; what it
    does not have is None in the result. The model is put in evaluation mode and back. Everything is
    averaged over samples, so memory does not grow with their number.

    Args:
        model: Model that returns an output with ``prediction`` and keeps its graphs.
        data: Data set whose first ``samples`` held-out samples are shown to the model.
        geometry: Positions of the columns, in the order of the model, if they are known.
        permutation: The user's id of each column of the model, ``[N]`` (default: the same). Ends
            of edges are renamed where a graph has that many columns or sources.
        samples: Largest number of samples.

    Raises:
        TypeError: The model has no graph, or its output has no ``prediction``.
        ValueError: The state of the model is not ``[N, B, C]``, or the permutation is of another
            number of columns than the geometry.

    Source: Luo et al., Understanding the effective receptive field in deep convolutional neural
    networks (2016), for the receptive fields.
    """
    graphs = graphs_of(model)
    first = torch.arange(min(samples, data.size("test")))
    inputs, targets = data.batch("test", first)
    inputs = map_tensors(lambda x: x.to(device_of_model(model, x)), inputs)
    user = None if permutation is None else permutation.cpu()
    if geometry is not None and user is not None:
        geometry.require_columns(len(user))
        geometry = geometry.permute(user.argsort())
    with evaluating(model):
        seen = watch(model, inputs, BATCH)
        chosen = _chosen(geometry, seen)
        fields = receptive_fields(
            model,
            select_samples(inputs, slice(BATCH)),
            data.spec.image,
            chosen if user is None or seen.num_columns != len(user) else user.argsort()[chosen],
        )
    return Observation(
        geometry=geometry,
        wirings=tuple(_wiring(name, graph, seen, user) for name, graph in graphs.items()),
        activity=_by_user(seen.activity, user),
        chosen=chosen,
        fields=fields,
        inputs=map_tensors(Tensor.cpu, inputs),
        targets=targets.cpu(),
        prediction=seen.prediction,
        classes=data.classes,
        relaxation=_relaxation(model, select_samples(inputs, slice(RELAXED)), user),
    )


def spread_columns(geometry: Geometry, count: int) -> Tensor:
    """Ids of ``count`` columns spread over a geometry: those nearest to the centres of k-means."""
    positions = geometry.positions.detach().cpu().double().numpy()
    count = min(count, len(np.unique(positions, axis=0)))
    centres = KMeans(count, n_init=1, random_state=0).fit(positions).cluster_centers_
    gaps = np.linalg.norm(positions[:, None] - centres, axis=-1)
    return torch.from_numpy(gaps.argmin(0)).sort().values


def _chosen(geometry: Geometry | None, seen: Watched) -> Tensor:
    """Columns spread over the sheet, or evenly over their ids where there is no sheet."""
    count = seen.num_columns
    if geometry is not None and count in (0, geometry.num_columns):
        return spread_columns(geometry, CHOSEN)
    return torch.linspace(0, max(count - 1, 0), min(CHOSEN, count)).round().long()


def _wiring(name: str, graph: ColumnGraph, seen: Watched, user: Tensor | None) -> Wiring:
    """A graph and its values with the ids of the user, edges in their order."""
    source, target = graph.edge_index.cpu()
    if user is not None:
        source = user[source] if graph.num_sources == len(user) else source
        target = user[target] if graph.num_columns == len(user) else target
    ends = torch.stack([source, target])
    order = ColumnGraph.edge_order(ends)
    attention, weights = seen.attention.get(name), seen.weights.get(name)
    return Wiring(
        name,
        ColumnGraph.from_edge_index(
            ends,
            graph.num_columns,
            num_sources=graph.num_sources,
            distance=None if graph.distance is None else graph.distance.detach().cpu(),
        ),
        None if attention is None else attention[:, order],
        None if weights is None else weights[order],
    )


def _relaxation(model: nn.Module, inputs: Inputs, user: Tensor | None) -> Relaxation | None:
    """The way to the fixed point of a model that settles, states in the order of the user."""
    method = getattr(model, "relaxation", None)
    if method is None:
        return None
    found: Relaxation = method(inputs)
    found = Relaxation._make(x if x is None else x.detach().cpu() for x in found)
    if user is None or found.output.ndim != 4 or found.output.shape[1] != len(user):
        return found
    return found._replace(output=found.output[:, user.argsort()])


def _by_user(activity: Tensor | None, user: Tensor | None) -> Tensor | None:
    if activity is None or user is None or activity.shape[1] != len(user):
        return activity
    return activity[:, user.argsort()]
