"""The parameters that a model keeps per edge, and the gradient of the loss by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.batches import Inputs, batch_slices, num_samples
from graphcolumns.nn.edge_bias import EdgeBias
from graphcolumns.nn.per_edge import edge_tensors
from graphcolumns.nn.protocols import own_gradients_of
from graphcolumns.nn.recording import evaluating
from graphcolumns.plasticity.probe.pair_bias import mean_of_open
from graphcolumns.plasticity.probe.trace import Losses, loss_sum


class EdgeWeight(NamedTuple):
    """Weights of the edges in one layer.

    Attributes:
        values: What the layer computes with, ``[E, K]``: ``K`` is 1, heads or channels.
        parameter: Parameter by which the loss has the same derivative as by ``values``.
        is_score: Whether the weights are additive scores of a softmax over the in-edges.
    """

    values: Tensor
    parameter: nn.Parameter
    is_score: bool

    def centred(self, graph: ColumnGraph) -> Tensor:
        """Scores less the mean of the open in-edges of their target, other weights as they are."""
        if not self.is_score:
            return self.values
        return self.values - mean_of_open(self.values, graph).index_select(0, graph.target)


def edge_weights(model: nn.Module, graph: ColumnGraph) -> list[EdgeWeight]:
    """The weights of the edges of a graph, layer by layer.

    An edge bias counts once, with the scores that attention adds: where it has scores for all
    heads and scores per head, these are their sums.

    Raises:
        ValueError: The model has no parameters per edge of the graph.
    """
    found: dict[int, EdgeWeight] = {}
    for entry in edge_tensors(model, graph):
        owner, parameter = entry.owner, entry.tensor
        if not isinstance(parameter, nn.Parameter) or not parameter.is_floating_point():
            continue
        if isinstance(owner, EdgeBias):  # the finer kind of score comes last
            found[id(owner)] = EdgeWeight(_per_head(owner()), parameter, not owner.signed)
        else:
            found[id(parameter)] = EdgeWeight(_per_head(parameter), parameter, False)
    if not found:
        raise ValueError(
            "this rule reads the weights of edges. Expected parameters per edge: an edge bias "
            "(attention={'edge_bias': 'edge'}; ColumnConv: edge_bias=graph), EdgeLinear layers or "
            f"others that name their edge_tensors. Got none in {type(model).__name__}; choose a "
            "criterion that reads attention, such as criteria.mass."
        )
    return list(found.values())


def weight_gradient(
    model: nn.Module,
    inputs: Inputs,
    labels: Tensor,
    losses: Losses,
    weights: Sequence[EdgeWeight],
    slice_size: int,
) -> Tensor:
    """The gradient of the mean loss of a batch by the weights of the edges.

    The model runs without dropout, on a few samples at a time. Parameters that are not trained have
    a gradient, too; no ``.grad`` is read or written.

    Args:
        model: Model that has the weights.
        inputs: Argument of the model: ``[B, ...]``, or a mapping of such tensors.
        labels: ``[B, ...]``.
        losses: Function from the output and the labels to one loss per sample.
        weights: Weights, see :func:`edge_weights`.
        slice_size: Samples at a time.

    Returns:
        ``[E, K]``, the weights side by side.

    Raises:
        ValueError: Losses that are not one per sample, or no sample.
    """
    samples = num_samples(inputs)
    if not samples:
        raise ValueError("inputs must hold at least one sample. Got none.")
    model = getattr(model, "_orig_mod", model)  # a compiled model would be compiled once more
    parameters = [weight.parameter for weight in weights]
    total = [torch.zeros_like(parameter) for parameter in parameters]
    own = own_gradients_of(model)
    with torch.enable_grad(), evaluating(model), own, _differentiable(parameters):
        for x, y in batch_slices(inputs, labels, slice_size):
            loss = loss_sum(losses(model(x), y), len(y))
            parts = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
            for sum_, part in zip(total, parts, strict=True):
                sum_ += part
    return torch.cat([_per_head(x) for x in total], 1) / samples


@contextmanager
def _differentiable(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Frozen parameters with a gradient, and frozen again afterwards."""
    frozen = [parameter for parameter in parameters if not parameter.requires_grad]
    try:
        for parameter in frozen:
            parameter.requires_grad_()
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)


def _per_head(values: Tensor) -> Tensor:
    """``[E]`` and ``[E, ...]`` as ``[E, K]``, detached."""
    values = values.detach()
    return values[:, None] if values.dim() == 1 else values.flatten(1)
