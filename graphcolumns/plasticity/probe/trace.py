"""Scores of edges from a model at work: batches go through in slices, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.batches import Inputs, num_samples, select_samples
from graphcolumns.nn.protocols import graph_of
from graphcolumns.nn.recording import Record, evaluating, recorders, recording
from graphcolumns.ops import EdgeScores
from graphcolumns.plasticity.probe.score_sum import ScoreSum
from graphcolumns.plasticity.probe.stacked import Trace, as_multiplied, traced

# (output of the model, labels) -> the loss of every sample, [B].
Losses = Callable[[Any, Tensor], Tensor]


def recorded_graph(model: nn.Module, graph: ColumnGraph | None = None) -> ColumnGraph:
    """The graph whose edges can be scored: the given one, or the first of the model.

    Raises:
        ValueError: The model has no layer that records what it computes along edges.
        TypeError: No graph was given and the model has none.
    """
    if not recorders(model):
        raise ValueError(
            "scores of edges need records. Expected a model with ColumnAttention, ColumnConv or "
            f"EdgeLinear layers, or layers with a recorder. Got {type(model).__name__} with none; "
            "give your layer a recorder (graphcolumns.nn.protocols), or take a rule that reads no "
            "record, such as one by chance, age, length, paths or the size of weights."
        )
    return graph_of(model) if graph is None else graph


def never_recorded(graph: ColumnGraph) -> ValueError:
    """What to raise where a model ran and no record along its graph was made."""
    return ValueError(
        "edges are scored where a layer records what it computes along them, and none was recorded "
        f"along {graph}. Layers record if they are called with the ColumnGraph that is model.graph "
        "(or with graph=); ColumnConv does not with a sparse matrix, column_id, parallel edges, "
        "edge_features='keys_values', or another aggr or flow."
    )


def trace(
    model: nn.Module,
    inputs: Inputs,
    labels: Tensor,
    losses: Losses,
    targets: Tensor,
    sources: Tensor,
    *,
    graph: ColumnGraph | None = None,
    newborn_bias: Tensor | None = None,
    newborn_weight: Tensor | None = None,
    slice_size: int = 8,
    chunk: int | None = None,
    backend: str = "auto",
) -> EdgeScores:
    """Scores pairs, edges or not, on a batch: :func:`~graphcolumns.ops.edge_scores` of a model.

    The scores are computed from the records that layers make along the graph: softmax attention
    (:class:`~graphcolumns.nn.recording.AttentionRecord`) and linear layers on edges
    (:class:`~graphcolumns.nn.recording.LinearRecord`, see
    :func:`~graphcolumns.plasticity.probe.linear_scores.linear_scores`). Effects on the loss add up
    over layers of both kinds.

    The model runs without dropout, on a few samples at a time; its gradients, its mode and the
    random numbers are as before. Several batches add up: ``trace(...) + trace(...)``.

    Args:
        model: Model with layers that record, at any number of steps, recurrent or not; layers may
            differ in heads and widths.
        inputs: Argument of the model: ``[B, ...]``, or a mapping of such tensors.
        labels: ``[B, ...]``.
        losses: From the output and the labels to one loss per sample, such as
            ``lambda output, labels: cross_entropy(output.prediction, labels, reduction="none")``.
        targets: ``[P]`` int32 or int64.
        sources: ``[P]``.
        graph: Graph along whose edges (default: the first of the model); other records are left
            out.
        newborn_bias: The score that pairs which are no edges would be born with, ``[P]`` or
            ``[P, H]`` (default: the mean score of the in-edges of the target).
        newborn_weight: The weight that they would be born with in linear layers, ``[P]`` (default:
            the mean weight of the in-edges of the target).
        slice_size: Samples at a time.
        chunk: Pairs at a time (default: by memory).
        backend: Of edge_scores.

    Returns:
        :class:`~graphcolumns.ops.EdgeScores`, sums over the samples.

    Raises:
        ValueError: A model without records along the graph; losses that are not one per sample;
            arguments that do not fit.
        TypeError: Ids that are not integers, or a model without a graph.
    """
    graph = recorded_graph(model, graph)
    born = newborn_bias, newborn_weight
    total = ScoreSum(graph, targets, sources, *born, chunk, backend)
    for part in iter_slices(model, inputs, labels, losses, graph=graph, slice_size=slice_size):
        total.add(part)
        del part  # before the next slice goes through the model
    return total.scores()


def iter_slices(
    model: nn.Module,
    inputs: Inputs,
    labels: Tensor,
    losses: Losses,
    *,
    graph: ColumnGraph | None = None,
    slice_size: int = 8,
) -> Iterator[Trace]:
    """Yields what :func:`trace` scores, slice by slice; arguments and errors as there."""
    for parts in iter_slices_together(
        model, inputs, [(labels, losses)], graph=graph, slice_size=slice_size
    ):
        yield parts.pop()  # kept here no longer, when the next slice goes through the model


def iter_slices_together(
    model: nn.Module,
    inputs: Inputs,
    asked: Sequence[tuple[Tensor, Losses]],
    *,
    graph: ColumnGraph | None = None,
    slice_size: int = 8,
) -> Iterator[list[Trace]]:
    """Yields what :func:`trace` scores for several labels and losses; slices run forward once."""
    graph = recorded_graph(model, graph)
    counts = [len(labels) for labels, _ in asked]
    if slice_size < 1 or any(count != num_samples(inputs) for count in counts):
        raise ValueError(
            "inputs and labels must hold the same samples, taken at least one at a time, "
            f"got {num_samples(inputs)}, {', '.join(map(str, counts))} and slice_size={slice_size}"
        )
    for start in range(0, num_samples(inputs), slice_size):
        place = slice(start, start + slice_size)
        yield _slice(
            model, select_samples(inputs, place), [(y[place], losses) for y, losses in asked], graph
        )


@torch.enable_grad()
def _slice(
    model: nn.Module, inputs: Inputs, asked: Sequence[tuple[Tensor, Losses]], graph: ColumnGraph
) -> list[Trace]:
    model = getattr(model, "_orig_mod", model)  # a compiled model would be compiled once more
    with evaluating(model):  # for the backward pass too: it may compute steps again
        with recording(model, graph, keep=_with_gradient) as records:
            output = model(inputs)
            sums = [loss_sum(losses(output, labels), len(labels)) for labels, losses in asked]
        if not records:
            raise never_recorded(graph)
        outs = [record.out for record in records]
        grads = []
        while sums:
            again = len(sums) > 1
            grads.append(
                torch.autograd.grad(
                    sums.pop(0), outs, retain_graph=again, materialize_grads=True, allow_unused=True
                )
            )
        del output, outs
    return traced(records, grads)


def _with_gradient(record: Record) -> Record:
    # In a model without trained parameters nothing else asks for the gradient.
    record.out.requires_grad_()
    return as_multiplied(record)


def loss_sum(each: Tensor, samples: int) -> Tensor:
    """The summed losses of samples; each gets the gradient of its own loss from it.

    Raises:
        ValueError: Losses that are not one per sample.
    """
    if each.shape != (samples,):
        raise ValueError(
            f"losses must give one loss per sample, [{samples}], got {list(each.shape)}: "
            'call cross_entropy(..., reduction="none")'
        )
    return each.sum()
