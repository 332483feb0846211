"""What a trained columnformer does on held-out samples, in the order of the user's columns."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn

from graphcolumns.data import Dataset
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.columnformer import Columnformer
from graphcolumns.nn.attention import ColumnAttention
from graphcolumns.nn.batches import first_tensor

BATCH = 32  # samples at a time: attention along all edges is in memory at once
CHOSEN = 6  # columns whose attention and receptive field are shown


class Observation(NamedTuple):
    """What was seen. Column and edge ids are those of the user, before any reordering.

    Attributes:
        geometry: `N` columns.
        graph: `E` edges.
        activity: `[T, N]`, mean `|state|` over samples and channels after each step.
        attention: `[T, E]`, mean weight of each edge over samples and heads at each step.
        chosen: `[K]`, ids of a few columns spread over the sheet.
        fields: `[K, Y, X]`, the receptive fields of the chosen columns: mean over samples of
            `|d sum(state) / d pixel|`, summed over image channels.
        inputs: `[S, channels, Y, X]`.
        labels: `[S]` class ids, clean inputs, or `[S, num_classes]` of 0 and 1.
        prediction: `[S, num_classes]`.
        classes: name of each class, where classes have names.
    """

    geometry: Geometry
    graph: ColumnGraph
    activity: Tensor
    attention: Tensor
    chosen: Tensor
    fields: Tensor
    inputs: Tensor
    labels: Tensor
    prediction: Tensor
    classes: tuple[str, ...] | None = None


def observe(
    model: nn.Module,
    data: Dataset,
    geometry: Geometry,
    permutation: Tensor | None = None,
    samples: int = 1024,
) -> Observation:
    """Run a model on held-out samples and note what its columns do.

    The model is put in evaluation mode and back. Everything is averaged over samples, so memory
    does not grow with their number.

    Args:
        model: a `Columnformer` on the device of the data.
        data: the first `samples` held-out samples are shown to it.
        geometry: of the columns, in the order of the model.
        permutation: the user's id of each column of the model `[N]` (default: the same).
        samples: how many samples at most.

    Raises:
        TypeError: the model is no `Columnformer`.

    Source: Luo et al., Understanding the effective receptive field in deep convolutional neural
    networks (2016), for the receptive fields.
    """
    if not isinstance(model, Columnformer):
        raise TypeError(
            f"only a Columnformer can be observed. Got {type(model).__name__}: look at its "
            "outputs directly."
        )
    if permutation is None:
        permutation = torch.arange(geometry.num_columns)
    permutation = permutation.cpu()
    place = permutation.argsort()  # of the user's column n in the model
    given, labels = next(data.in_order("test", samples))
    inputs = first_tensor(given)
    was_training = model.training
    model.eval()
    try:
        activity, attention, logits = _watch(model, inputs)
        chosen = spread(geometry.permute(place), CHOSEN)
        fields = _receptive_fields(model, inputs[:BATCH], place[chosen])
    finally:
        model.train(was_training)
    edge_index = permutation[model.graph.edge_index.cpu()]
    distance = None if model.graph.distance is None else model.graph.distance.detach().cpu()
    order = ColumnGraph.edge_order(edge_index)
    return Observation(
        geometry=geometry.permute(place),
        graph=ColumnGraph.from_edge_index(edge_index, geometry.num_columns, distance=distance),
        activity=activity[:, place],
        attention=attention[:, order],
        chosen=chosen,
        fields=fields,
        inputs=inputs.cpu(),
        labels=labels.cpu(),
        prediction=logits,
        classes=data.classes,
    )


def spread(geometry: Geometry, count: int) -> Tensor:
    """Ids of `count` columns spread over a geometry: those nearest to the centres of k-means."""
    positions = geometry.positions.detach().cpu().double().numpy()
    count = min(count, len(np.unique(positions, axis=0)))
    centres = KMeans(count, n_init=1, random_state=0).fit(positions).cluster_centers_
    gaps = np.linalg.norm(positions[:, None] - centres, axis=-1)
    return torch.from_numpy(gaps.argmin(0)).sort().values


@torch.no_grad()
def _watch(model: Columnformer, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Activity `[T, N]`, attention `[T, E]` and logits `[S, K]`, in the order of the model."""
    heard: list[Tensor] = []

    def note(module: Any, arguments: tuple[Any, ...]) -> None:
        weights = module.edge_weights(*arguments[:2])
        heard.append(weights.double().mean((1, 2)).cpu())

    parts = [part for part in model.modules() if isinstance(part, ColumnAttention)]
    hooks = [part.register_forward_pre_hook(note) for part in parts]
    activity, attention, logits = torch.zeros(1), torch.zeros(1), []
    try:
        for batch in inputs.split(BATCH):
            output = model(batch, return_states=True)
            share = len(batch) / len(inputs)
            activity = activity + share * output.states.double().abs().mean((2, 3)).cpu()
            attention = attention + share * torch.stack(heard)
            heard.clear()
            logits.append(output.prediction.float().cpu())
    finally:
        for hook in hooks:
            hook.remove()
    return activity, attention, torch.cat(logits)


def _receptive_fields(model: Columnformer, inputs: Tensor, columns: Tensor) -> Tensor:
    """`[K, Y, X]`, one backward pass per column."""
    images = inputs.detach().clone().requires_grad_()
    state = model(images).state
    fields = []
    for column in columns.tolist():
        (gradient,) = torch.autograd.grad(state[column].sum(), images, retain_graph=True)
        fields.append(gradient.abs().mean(0).sum(0).cpu())
    return torch.stack(fields)
