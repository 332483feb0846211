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


def never_recorded(model: nn.Module, graph: ColumnGraph) -> ValueError:
    """What to raise where a model ran and no record along its graph was made."""
    if not recorders(model):
        return ValueError(
            "scores of edges need records. Expected a model with ColumnAttention, ColumnConv or "
            f"EdgeLinear layers, or layers with a recorder. Got {type(model).__name__} with none; "
            "give your layer a recorder (graphcolumns.nn.protocols), or take a rule that reads no "
            "record, such as one by chance, age, length, paths or the size of weights."
        )
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
        losses: Function from the output and the labels to one loss per sample, such as
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
        backend: Backend of ``edge_scores``.

    Returns:
        :class:`~graphcolumns.ops.EdgeScores`, sums over the samples.

    Raises:
        ValueError: A model without records along the graph; losses that are not one per sample;
            arguments that do not fit.
        TypeError: Ids that are not integers, or a model without a graph.
    """
    graph = graph_of(model) if graph is None else graph
    total = ScoreSum(graph, targets, sources, newborn_bias, newborn_weight, chunk, backend)
    for x, y in batch_slices(inputs, labels, slice_size):
        # Nothing of a slice is kept when the next one goes through the model.
        total.add(trace_slice(model, x, [(y, losses)], graph).pop())
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
    graph = graph_of(model) if graph is None else graph
    for x, y in batch_slices(inputs, labels, slice_size):
        yield trace_slice(model, x, [(y, losses)], graph).pop()


def batch_slices(inputs: Inputs, labels: Tensor, size: int) -> Iterator[tuple[Inputs, Tensor]]:
    """Inputs and labels, ``size`` samples at a time.

    Raises:
        ValueError: Other inputs than labels, or a size below 1.
    """
    if size < 1 or len(labels) != num_samples(inputs):
        raise ValueError(
            "inputs and labels must hold the same samples, taken at least one at a time, "
            f"got {num_samples(inputs)}, {len(labels)} and slice_size={size}"
        )
    for start in range(0, len(labels), size):
        place = slice(start, start + size)
        yield select_samples(inputs, place), labels[place]


@torch.enable_grad()
def trace_slice(
    model: nn.Module, inputs: Inputs, tasks: Sequence[tuple[Tensor, Losses]], graph: ColumnGraph
) -> list[Trace]:
    """Runs a few samples forward once, and backward for each pair of labels and losses."""
    model = getattr(model, "_orig_mod", model)  # a compiled model would be compiled once more
    with evaluating(model):  # for the backward pass too: it may compute steps again
        with recording(model, graph, keep=_with_gradient) as records:
            output = model(inputs)
            if not records:
                raise never_recorded(model, graph)
            sums = [loss_sum(losses(output, labels), len(labels)) for labels, losses in tasks]
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
    # In a model without trained parameters nothing else needs the gradient.
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
