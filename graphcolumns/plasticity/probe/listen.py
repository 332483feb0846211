"""Listening to a model: what its columns tell each other, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.recording.record import AttentionRecord, attention_layers
from graphcolumns.ops import pages
from graphcolumns.ops.precision import product_dtype
from graphcolumns.plasticity.probe.alike import alike, differ, grown, present

MIXING = ("mixing", "linear_mixing")


class Traced(NamedTuple):
    """What columns told each other in ``T`` steps on a slice of ``b`` samples, detached.

    Attributes:
        q: ``[T, N, b, H, D]``, or ``[T, N, 1, H, D]`` for queries that do not depend on the input.
        k: ``[T, M, b, H, D]``.
        v: ``[T, M, b, H, Dv]``.
        lse: ``[T, N, b, H]``.
        out: ``[T, N, b, H, Dv]``.
        grad_out: ``[T, N, b, H, Dv]``, the gradient of the loss of each sample.
        bias: Of the edges, ``[T, E, H]``, ``[E]`` or ``[E, H]`` if all steps share it, or None.
        scale: Of the scores.
        share: Share of the heads of all steps that are real; where layers differ in their number
            of heads, the others are filled up with heads that hear nothing.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    lse: Tensor
    out: Tensor
    grad_out: Tensor
    bias: Tensor | None
    scale: float
    share: float = 1.0


def attentive_graph(model: nn.Module, graph: ColumnGraph | None) -> ColumnGraph:
    """The graph whose edges can be scored: the given one, or that of the model.

    Raises:
        ValueError: There is none, or the model mixes along it without attention.
    """
    found = getattr(model, "graph", None) if graph is None else graph
    if not isinstance(found, ColumnGraph):
        raise ValueError(
            f"{type(model).__name__} has no ColumnGraph named graph: pass graph= the one along "
            "which its columns attend"
        )
    layers = attention_layers(model)
    modes = {str(getattr(layer, "mode", "attention")) for layer in layers}
    mixing = sorted(modes.intersection(MIXING))
    if mixing:
        raise ValueError(
            "scores of edges need attention. Expected the modes attention, selection or identity. "
            f"Got {', '.join(mixing)}; there the gradient of the edge bias says all there is, so "
            "take a rule that reads the bias."
        )
    if not layers:
        raise ValueError(
            "scores of edges need attention. Expected a model with ColumnAttention or ColumnConv "
            f"layers. Got {type(model).__name__} with neither; take a rule that reads no "
            "attention, such as one by chance, age, length or paths."
        )
    return found


def never_attended(graph: ColumnGraph) -> ValueError:
    """What to raise where a model ran and no exchange along its graph was seen."""
    return ValueError(
        "edges are scored where a layer attends along them, and the model never attended along "
        f"{graph}, or in a form that keeps no record: ColumnConv with a sparse matrix, column_id, "
        "parallel edges, edge_features='keys_values', or another aggr or flow. Call its layers "
        "with the ColumnGraph that is model.graph, or pass graph= the one that they use."
    )


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model without dropout; afterwards every module is in the mode it was in."""
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextmanager
def listening(model: nn.Module, graph: ColumnGraph) -> Iterator[list[AttentionRecord]]:
    """Collects the exchanges along ``graph`` of a model that runs."""
    heard: list[AttentionRecord] = []
    layers: list[Any] = attention_layers(model)

    def listen(exchange: AttentionRecord) -> None:
        if exchange.graph is graph or exchange.graph.same_topology(graph):
            # Of a model without trained parameters: somebody has to ask for the gradient.
            exchange.out.requires_grad_()
            heard.append(_as_multiplied(exchange))

    try:
        for layer in layers:
            layer.listener = listen
        yield heard
    finally:
        for layer in layers:
            del layer.listener


def _as_multiplied(exchange: AttentionRecord) -> AttentionRecord:
    """Without gradients but at ``out``, and in the dtype in which autocast multiplied."""
    q, k, v = (x.detach().to(product_dtype(x)) for x in (exchange.q, exchange.k, exchange.v))
    bias = None if exchange.bias is None else exchange.bias.detach()
    return exchange._replace(q=q, k=k, v=v, bias=bias, lse=exchange.lse.detach())


def stack(heard: list[AttentionRecord], grads: Sequence[Tensor]) -> Traced:
    """The steps of one slice as tensors; empties the list."""
    share = present(heard)
    if differ(heard):
        heard[:] = alike(heard)
    grads = grown(grads, heard)
    scale, width, bias = heard[0].scale, heard[0].q.shape[-1], _stack_bias(heard)
    names = ("q", "k", "v", "lse", "out")
    lists = {name: [getattr(x, name).detach() for x in heard] for name in names}
    heard.clear()  # so that what is stacked is freed, one kind after the other
    q, k, v, lse, out = (steps(lists.pop(name)) for name in names)
    scale = width**-0.5 if scale is None else scale
    return Traced(q, k, v, lse, out, steps(grads), bias, scale, share)


def steps(values: Sequence[Tensor]) -> Tensor:
    """The values of all steps in one tensor."""
    joined = values[0].new_empty((len(values), *values[0].shape))
    pages.advise(joined)
    return torch.stack(list(values), out=joined)


def _stack_bias(heard: list[AttentionRecord]) -> Tensor | None:
    biases = [exchange.bias for exchange in heard]
    if all(same(bias, biases[0]) for bias in biases):
        return biases[0]
    shape = (heard[0].graph.num_edges, heard[0].q.shape[2])
    return torch.stack([_per_head(bias, shape, heard[0].lse) for bias in biases])


def same(x: Tensor | None, y: Tensor | None) -> bool:
    """Whether both are the same scores, or none."""
    return x is y or (x is not None and y is not None and torch.equal(x, y))


def _per_head(bias: Tensor | None, shape: tuple[int, int], like: Tensor) -> Tensor:
    if bias is None:
        return like.new_zeros(shape)
    return (bias[:, None] if bias.dim() == 1 else bias).to(like.dtype).expand(shape)
