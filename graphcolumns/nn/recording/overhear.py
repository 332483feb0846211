"""How much attention every edge gets, while a model runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from graphcolumns.nn.recording.record import AttentionRecord, attention_layers
from graphcolumns.ops import segment_softmax
from graphcolumns.ops.column_attention.reference import scores
from graphcolumns.ops.precision import accumulator


@contextmanager
def recording(module: nn.Module) -> Iterator[list[AttentionRecord]]:
    """Collects what the attention layers of a module exchange; who listens already goes on."""
    heard: list[AttentionRecord] = []
    layers: list[Any] = attention_layers(module)
    before = [layer.listener for layer in layers]

    def listen(exchange: AttentionRecord) -> None:
        heard.append(exchange)
        for listener in {id(other): other for other in before if other is not None}.values():
            listener(exchange)

    try:
        for layer in layers:
            layer.listener = listen
        yield heard
    finally:
        for layer, other in zip(layers, before, strict=True):
            layer.listener = other


def attention_mass(exchange: AttentionRecord) -> Tensor:
    """The attention of every edge, without dropout, as a mean over samples and heads.

    Differentiable in queries, keys and scores of edges; takes O(E B H D) memory.

    Returns:
        `[E]` float32 or wider.
    """
    graph, q, k = exchange.graph, exchange.q, exchange.k
    q, k = (x.to(accumulator(x.dtype)) for x in (q, k))
    scale = q.shape[-1] ** -0.5 if exchange.scale is None else exchange.scale
    if q.shape[1] != k.shape[1]:  # queries that all samples share
        q = q.expand(-1, k.shape[1], -1, -1)
    score = scores(q, k, exchange.bias, graph.source, graph.target, scale)
    return segment_softmax(score, graph.target, graph.num_columns).mean((1, 2))
