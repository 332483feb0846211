"""Scores of edges from a model at work: batches go through in slices, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.batches import Inputs, num_samples, select_samples
from graphcolumns.ops import EdgeScores, edge_scores
from graphcolumns.ops.edge_scores.checks import check_pairs
from graphcolumns.plasticity.probe.alike import filled
from graphcolumns.plasticity.probe.large_bias import from_highest, is_large, lse_from_highest
from graphcolumns.plasticity.probe.listen import (
    Traced,
    attentive_graph,
    evaluating,
    listening,
    never_attended,
    same,
    stack,
    steps,
)
from graphcolumns.plasticity.probe.pair_bias import check_newborn, edge_ids, pair_bias

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
    slice_size: int = 8,
    chunk: int | None = None,
    backend: str = "auto",
) -> EdgeScores:
    """Scores pairs, edges or not, on a batch: :func:`~graphcolumns.ops.edge_scores` of a model.

    The model runs without dropout, on a few samples at a time; its gradients, its mode and the
    random numbers are as before. Several batches add up: ``trace(...) + trace(...)``.

    Args:
        model: Has :class:`~graphcolumns.nn.ColumnAttention` of the modes ``attention``,
            ``selection`` or ``identity``, or :class:`~graphcolumns.nn.ColumnConv`, at any number
            of steps, recurrent or not; layers may differ in heads and widths.
        inputs: Argument of the model: ``[B, ...]``, or a mapping of such tensors.
        labels: ``[B, ...]``.
        losses: From the output and the labels to one loss per sample, such as
            ``lambda output, labels: cross_entropy(output.prediction, labels, reduction="none")``.
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
    tally = ScoreSum(attentive_graph(model, graph), targets, sources, newborn_bias, chunk, backend)
    for part in walk(model, inputs, labels, losses, graph=graph, slice_size=slice_size):
        tally.add(part)
        del part  # before the next slice goes through the model
    return tally.scores()


class ScoreSum:
    """Scores of pairs that add up over slices; arguments and errors as of :func:`trace`."""

    def __init__(
        self,
        graph: ColumnGraph,
        targets: Tensor,
        sources: Tensor,
        newborn_bias: Tensor | None = None,
        chunk: int | None = None,
        backend: str = "auto",
    ) -> None:
        check_pairs(targets, sources, graph.num_columns, graph.num_sources)
        check_newborn(newborn_bias, len(targets))
        self.graph, self.chunk, self.backend = graph, chunk, backend
        self.order: Tensor | None = None
        if bool((targets[1:] < targets[:-1]).any()):  # once here, not in every slice
            self.order = targets.argsort(stable=True)
            targets, sources = targets[self.order], sources[self.order]
            newborn_bias = None if newborn_bias is None else newborn_bias[self.order]
        self.pairs, self.newborn_bias = (targets, sources), newborn_bias
        self.ids = edge_ids(graph, targets, sources)
        self.sole = (self.ids >= 0) & (graph.in_degree.index_select(0, targets) == 1)
        self.total: EdgeScores | None = None
        self.known: Tensor | None = None  # of the edges, the same in every slice, or inputs make it
        self.bias: Tensor | None = None
        self.from_highest: Tensor | None = None  # the known bias, where it is large

    def add(self, part: Traced) -> None:
        """Score one slice."""
        if self.total is None or not same(part.bias, self.known):
            self._know(part.bias)
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
        self.total = scores if self.total is None else self.total.add_(scores)

    def _know(self, bias: Tensor | None) -> None:
        """Scores of the pairs from those of the edges."""
        self.known, self.from_highest = bias, None
        given = (self.newborn_bias, self.graph, self.ids, self.pairs[0])
        if bias is not None and is_large(bias):
            self.bias, self.from_highest = from_highest(bias, *given)
        else:
            self.bias = pair_bias(bias, *given)

    def scores(self) -> EdgeScores:
        """The sums over all slices, in the order of the pairs that were given."""
        if self.total is None:
            raise ValueError("inputs must hold at least one sample, got none")
        return self.total if self.order is None else self.total.at(self.order.argsort())


def walk(
    model: nn.Module,
    inputs: Inputs,
    labels: Tensor,
    losses: Losses,
    *,
    graph: ColumnGraph | None = None,
    slice_size: int = 8,
) -> Iterator[Traced]:
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
) -> Iterator[list[Traced]]:
    """Yields what :func:`trace` scores for several labels and losses; slices run forward once."""
    graph = attentive_graph(model, graph)
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
) -> list[Traced]:
    model = getattr(model, "_orig_mod", model)  # a compiled model would be compiled once more
    with evaluating(model):  # for the backward pass too: it may compute steps again
        with listening(model, graph) as heard:
            output = model(inputs)
            sums = [_sum(losses(output, labels), len(labels)) for labels, losses in asked]
        if not heard:
            raise never_attended(graph)
        outs = [exchange.out for exchange in heard]
        grads = []
        while sums:
            again = len(sums) > 1
            grads.append(
                torch.autograd.grad(
                    sums.pop(0), outs, retain_graph=again, materialize_grads=True, allow_unused=True
                )
            )
        del output, outs
    first = stack(heard, grads[0])
    heads, values = first.out.shape[3:]
    others = ([filled(x, heads, values) for x in other] for other in grads[1:])
    return [first, *(first._replace(grad_out=steps(other)) for other in others)]


def _sum(each: Tensor, samples: int) -> Tensor:
    """Samples do not see each other, so the sum gives each the gradient of its own loss."""
    if each.shape != (samples,):
        raise ValueError(
            f"losses must give one loss per sample, [{samples}], got {list(each.shape)}: "
            'call cross_entropy(..., reduction="none")'
        )
    return each.sum()
