"""Scores of edges from a model at work: batches go through in slices, whose scores add up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import edge_ids
from graphcolumns.nn.batches import Inputs, batch_slices
from graphcolumns.nn.protocols import graph_of, own_gradients_of
from graphcolumns.nn.recording import Record, evaluating, recording
from graphcolumns.ops import EdgeScores, edge_scores
from graphcolumns.ops.edge_scores.checks import check_pairs
from graphcolumns.plasticity.probe.linear_scores import LinearEffects, linear_scores
from graphcolumns.plasticity.probe.pair_bias import (
    LARGE,
    check_newborn,
    from_highest,
    lse_from_highest,
    pair_bias,
)
from graphcolumns.plasticity.probe.stacked import (
    AttentionTrace,
    Trace,
    as_multiplied,
    never_recorded,
    same,
    traced,
)

# (output of the model, labels) -> the loss of every sample, [B].
Losses = Callable[[Any, Tensor], Tensor]


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


@torch.enable_grad()
def trace_slice(
    model: nn.Module, inputs: Inputs, tasks: Sequence[tuple[Tensor, Losses]], graph: ColumnGraph
) -> list[Trace]:
    """Runs a few samples forward once, and backward for each pair of labels and losses."""
    model = getattr(model, "_orig_mod", model)  # a compiled model would be compiled once more
    # Both for the backward pass too: it may compute steps again.
    with evaluating(model), own_gradients_of(model):
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


class ScoreSum:
    """Scores of pairs that add up over slices.

    Arguments and errors are those of :func:`~graphcolumns.plasticity.probe.trace.trace`.
    """

    def __init__(
        self,
        graph: ColumnGraph,
        targets: Tensor,
        sources: Tensor,
        newborn_bias: Tensor | None = None,
        newborn_weight: Tensor | None = None,
        chunk: int | None = None,
        backend: str = "auto",
    ) -> None:
        check_pairs(targets, sources, graph.num_columns, graph.num_sources)
        for newborn in (newborn_bias, newborn_weight):
            if newborn is not None:
                check_newborn(newborn, len(targets))
        self.graph, self.chunk, self.backend = graph, chunk, backend
        self.order: Tensor | None = None
        # Sorted once here, not in every slice.
        if bool((targets[1:] < targets[:-1]).any()):
            self.order = targets.argsort(stable=True)
            targets, sources = targets[self.order], sources[self.order]
            newborn_bias = None if newborn_bias is None else newborn_bias[self.order]
            newborn_weight = None if newborn_weight is None else newborn_weight[self.order]
        self.pairs, self.newborn_bias = (targets, sources), newborn_bias
        self.newborn_weight = newborn_weight
        self.ids = edge_ids(graph, targets, sources)
        self.sole = (self.ids >= 0) & (graph.in_degree.index_select(0, targets) == 1)
        self.total: EdgeScores | None = None
        # Scores of edges and of pairs: the same in every slice, unless they depend on the inputs.
        self.edge_bias: Tensor | None = None
        self.bias = pair_bias(None, newborn_bias, graph, self.ids, targets)
        # The scores of the edges less the highest of their column, where they are large.
        self.from_highest: Tensor | None = None

    def add(self, part: Trace) -> None:
        """Score one slice."""
        if part.attention is None:
            scores = self._linear(part).scores()
        elif not part.linear:
            scores = self._attention(part.attention)
        else:
            scores = self._both(part.attention, part)
        self.total = scores if self.total is None else self.total.add_(scores)

    def _attention(self, part: AttentionTrace) -> EdgeScores:
        if not same(part.bias, self.edge_bias):
            self._set_bias(part.bias)
        if self.from_highest is not None:
            part = part._replace(lse=lse_from_highest(part, self.from_highest, self.graph))
        scores = edge_scores(
            *part[:6], *self.pairs,
            bias=self.bias, sole=self.sole, scale=part.scale, chunk=self.chunk,
            backend=self.backend,
        )  # fmt: skip
        if part.share < 1:  # means over heads, of those that there are
            mass, would_be = scores.mass / part.share, scores.would_be / part.share
            scores = replace(scores, mass=mass, would_be=would_be)
        return scores

    def _both(self, attention: AttentionTrace, part: Trace) -> EdgeScores:
        """Effects of both kinds add up in each sample, so samples are scored one by one."""
        each = []
        for sample in range(part.samples):
            own = slice(sample, sample + 1)
            # Queries may be shared by all samples.
            part_of = {
                name: x if x.shape[2] == 1 else x[:, :, own]
                for name, x in zip(attention._fields[:6], attention[:6], strict=True)
            }
            alone = attention._replace(**part_of)  # type: ignore[arg-type]
            each.append(self._attention(alone))
        heads = attention.q.shape[0] * attention.q.shape[3] * attention.share
        return self._linear(part).with_attention(each, heads)

    def _linear(self, part: Trace) -> LinearEffects:
        weights = [self._weights(each.weight) for each in part.linear]
        return linear_scores(part.linear, weights, *self.pairs, self.chunk)

    def _weights(self, weight: Tensor) -> Tensor:
        """The weights of the pairs in a linear layer, ``[P, H]``."""
        found = pair_bias(weight, self.newborn_weight, self.graph, self.ids, self.pairs[0])
        assert found is not None
        return found.reshape(len(self.ids), -1)

    def _set_bias(self, bias: Tensor | None) -> None:
        """Take the scores of the pairs from those of the edges."""
        self.edge_bias, self.from_highest = bias, None
        given = (self.newborn_bias, self.graph, self.ids, self.pairs[0])
        # Where scores are large, rounding could be felt in the masses of edges.
        finite = None if bias is None or not bias.numel() else bias.masked_fill(bias.isinf(), 0.0)
        if bias is not None and finite is not None and float(finite.abs().max()) > LARGE:
            self.bias, self.from_highest = from_highest(bias, *given)
        else:
            self.bias = pair_bias(bias, *given)

    def scores(self) -> EdgeScores:
        """The sums over all slices, in the order of the pairs that were given."""
        if self.total is None:
            raise ValueError("inputs must hold at least one sample, got none")
        return self.total if self.order is None else self.total.at(self.order.argsort())
