"""Scores of edges from a model at work: batches go through in slices, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops import EdgeScores, edge_scores
from graphcolumns.ops.edge_scores.checks import check_pairs
from graphcolumns.plasticity.listen import (
    Traced,
    attentive_graph,
    evaluating,
    listening,
    same,
    stack,
)
from graphcolumns.plasticity.pair_bias import check_newborn, edge_ids, pair_bias

# (output of the model, labels) -> the loss of every sample, [B].
Losses = Callable[[Any, Tensor], Tensor]


def trace(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    losses: Losses,
    targets: Tensor,
    sources: Tensor,
    *,
    graph: ColumnGraph | None = None,
    newborn_bias: Tensor | None = None,
    slice_size: int = 8,
    chunk: int | None = None,
    backend: str = "auto",
) -> EdgeScores:
    """Scores pairs, edges or not, on a batch: :func:`~graphcolumns.ops.edge_scores` of a model.

    The model runs without dropout, on a few samples at a time; its gradients, its mode and the
    random numbers are as before. Several batches add up: ``trace(...) + trace(...)``.

    Args:
        model: Has :class:`~graphcolumns.nn.ColumnAttention` of the modes ``attention``,
            ``selection`` or ``identity``, at any number of steps, recurrent or not.
        inputs: ``[B, ...]``, what the model is called with.
        labels: ``[B, ...]``.
        losses: From the output and the labels to one loss per sample, such as
            ``lambda output, labels: cross_entropy(output.logits, labels, reduction="none")``.
        targets: ``[P]`` int32 or int64.
        sources: ``[P]``.
        graph: Along whose edges (default: ``model.graph``); other exchanges are left out.
        newborn_bias: The score that pairs which are no edges would be born with, ``[P]`` or
            ``[P, H]`` (default: the mean score of the in-edges of the target).
        slice_size: Samples at a time.
        chunk: Pairs at a time (default: by memory).
        backend: Of edge_scores.

    Returns:
        :class:`~graphcolumns.ops.EdgeScores`, sums over the samples.

    Raises:
        ValueError: A model that has no graph or does not attend along it, or mixes without
            attention; losses that are not one per sample; arguments that do not fit.
        TypeError: Ids that are not integers.
    """
    graph = attentive_graph(model, graph)
    check_pairs(targets, sources, graph.num_columns, graph.num_sources)
    check_newborn(newborn_bias, len(targets))
    if bool((targets[1:] < targets[:-1]).any()):  # once here, not in every slice
        order = targets.argsort(stable=True)
        born = None if newborn_bias is None else newborn_bias[order]
        sorted_pairs = targets[order], sources[order]
        scores = _trace_sorted(
            model, inputs, labels, losses, *sorted_pairs, graph, born, slice_size, chunk, backend
        )
        return scores.at(order.argsort())
    pairs = targets, sources
    return _trace_sorted(
        model, inputs, labels, losses, *pairs, graph, newborn_bias, slice_size, chunk, backend
    )


def _trace_sorted(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    losses: Losses,
    targets: Tensor,
    sources: Tensor,
    graph: ColumnGraph,
    newborn_bias: Tensor | None,
    slice_size: int,
    chunk: int | None,
    backend: str,
) -> EdgeScores:
    """:func:`trace` of pairs in the order of their targets."""
    ids = edge_ids(graph, targets, sources)
    sole = (ids >= 0) & (graph.in_degree.index_select(0, targets) == 1)
    total: EdgeScores | None = None
    known: Tensor | None = None  # of the edges, the same in every slice unless inputs make it
    bias: Tensor | None = None
    for part in walk(model, inputs, labels, losses, graph=graph, slice_size=slice_size):
        if total is None or not same(part.bias, known):
            known, bias = part.bias, pair_bias(part.bias, newborn_bias, graph, ids, targets)
        scores = edge_scores(
            *part[:6], targets, sources,
            bias=bias, sole=sole, scale=part.scale, chunk=chunk, backend=backend,
        )  # fmt: skip
        total = scores if total is None else total.add_(scores)
        del part, scores  # before the next slice goes through the model
    if total is None:
        raise ValueError("inputs must hold at least one sample, got none")
    return total


def walk(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    losses: Losses,
    *,
    graph: ColumnGraph | None = None,
    slice_size: int = 8,
) -> Iterator[Traced]:
    """Yields what :func:`trace` scores, slice by slice; arguments and errors as there."""
    graph = attentive_graph(model, graph)
    if slice_size < 1 or len(inputs) != len(labels):
        raise ValueError(
            "inputs and labels must hold the same samples, taken at least one at a time, "
            f"got {len(inputs)}, {len(labels)} and slice_size={slice_size}"
        )
    for x, y in zip(inputs.split(slice_size), labels.split(slice_size), strict=True):
        if len(x):
            yield _slice(model, x, y, losses, graph)


@torch.enable_grad()
def _slice(
    model: nn.Module, inputs: Tensor, labels: Tensor, losses: Losses, graph: ColumnGraph
) -> Traced:
    model = getattr(model, "_orig_mod", model)  # a compiled model would be compiled once more
    with evaluating(model):  # for the backward pass too: it may compute steps again
        with listening(model, graph) as heard:
            each = losses(model(inputs), labels)
        _check_losses(each, len(inputs))
        if not heard:
            raise ValueError(f"the model never attended along {graph}: pass graph= the one it uses")
        outs = [exchange.out for exchange in heard]
        # Samples do not see each other, so the sum gives each the gradient of its own loss.
        grads = torch.autograd.grad(each.sum(), outs, materialize_grads=True, allow_unused=True)
        del each, outs
    return stack(heard, grads)


def _check_losses(each: Tensor, samples: int) -> None:
    if each.shape != (samples,):
        raise ValueError(
            f"losses must give one loss per sample, [{samples}], got {list(each.shape)}: "
            'call cross_entropy(..., reduction="none")'
        )
