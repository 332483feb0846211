"""The records of one slice of samples as tensors, with the gradient of each sample's loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.nn.recording import AttentionRecord, LinearRecord, Record
from graphcolumns.ops import pages
from graphcolumns.ops.precision import product_dtype
from graphcolumns.plasticity.probe.padded import differ, filled, grown, padded, present


class AttentionTrace(NamedTuple):
    """``T`` steps of attention on a slice of ``b`` samples, detached.

    Attributes:
        q: ``[T, N, b, H, D]``, or ``[T, N, 1, H, D]`` for queries that do not depend on the input.
        k: ``[T, M, b, H, D]``.
        v: ``[T, M, b, H, Dv]``.
        lse: ``[T, N, b, H]``.
        out: ``[T, N, b, H, Dv]``.
        grad_out: ``[T, N, b, H, Dv]``, the gradient of the loss of each sample.
        bias: Scores of the edges, ``[T, E, H]``, ``[E]`` or ``[E, H]`` if all steps share them, or
            None.
        scale: Scaling factor of the dot products.
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


class LinearTrace(NamedTuple):
    """One pass of a linear layer on edges on a slice of ``b`` samples, detached.

    Attributes:
        x: ``[M, b, C]``.
        weight: Weights of the edges, ``[E]``, ``[E, H]`` or ``[E, C]``.
        grad_out: ``[N, b, C]``, the gradient of the loss of each sample.
    """

    x: Tensor
    weight: Tensor
    grad_out: Tensor


class Trace(NamedTuple):
    """All that was computed along one graph on a slice of samples.

    Attributes:
        attention: Steps of attention, or None without any.
        linear: Passes of linear layers.
    """

    attention: AttentionTrace | None
    linear: tuple[LinearTrace, ...] = ()

    @property
    def samples(self) -> int:
        """Samples in the slice."""
        return self.linear[0].x.shape[1] if self.attention is None else self.attention.k.shape[2]


def as_multiplied(record: Record) -> Record:
    """Without gradients but at ``out``, and in the dtype in which autocast multiplied."""
    if isinstance(record, LinearRecord):
        return record._replace(x=record.x.detach(), weight=record.weight.detach())
    q, k, v = (x.detach().to(product_dtype(x)) for x in (record.q, record.k, record.v))
    bias = None if record.bias is None else record.bias.detach()
    return record._replace(q=q, k=k, v=v, bias=bias, lse=record.lse.detach())


def traced(records: list[Record], grads: Sequence[Sequence[Tensor]]) -> list[Trace]:
    """One trace per list of gradients at the outputs of all records; empties the records."""
    is_linear = [isinstance(record, LinearRecord) for record in records]
    linear = [record for record in records if isinstance(record, LinearRecord)]
    attention = [record for record in records if isinstance(record, AttentionRecord)]
    records.clear()
    passed = [
        tuple(
            LinearTrace(record.x, record.weight, grad)
            for record, grad in zip(linear, _only(each, is_linear, True), strict=True)
        )
        for each in grads
    ]
    steps_of = [_only(each, is_linear, False) for each in grads]
    return [Trace(*both) for both in zip(_stacked(attention, steps_of), passed, strict=True)]


def _only(values: Sequence[Tensor], is_linear: Sequence[bool], wanted: bool) -> list[Tensor]:
    return [x for x, linear in zip(values, is_linear, strict=True) if linear is wanted]


def _stacked(
    records: list[AttentionRecord], grads: Sequence[list[Tensor]]
) -> list[AttentionTrace | None]:
    if not records:
        return [None] * len(grads)
    first = stack(records, grads[0])
    heads, values = first.out.shape[3:]
    others = ([filled(x, heads, values) for x in other] for other in grads[1:])
    return [first, *(first._replace(grad_out=steps(other)) for other in others)]


def stack(records: list[AttentionRecord], grads: Sequence[Tensor]) -> AttentionTrace:
    """The steps of one slice as tensors; empties the list."""
    share = present(records)
    if differ(records):
        records[:] = padded(records)
    grads = grown(grads, records)
    scale, width, bias = records[0].scale, records[0].q.shape[-1], _stack_bias(records)
    names = ("q", "k", "v", "lse", "out")
    lists = {name: [getattr(x, name).detach() for x in records] for name in names}
    records.clear()  # so that what is stacked is freed, one kind after the other
    q, k, v, lse, out = (steps(lists.pop(name)) for name in names)
    scale = width**-0.5 if scale is None else scale
    return AttentionTrace(q, k, v, lse, out, steps(grads), bias, scale, share)


def steps(values: Sequence[Tensor]) -> Tensor:
    """The values of all steps in one tensor."""
    joined = values[0].new_empty((len(values), *values[0].shape))
    pages.advise(joined)
    return torch.stack(list(values), out=joined)


def _stack_bias(records: list[AttentionRecord]) -> Tensor | None:
    biases = [record.bias for record in records]
    if all(same(bias, biases[0]) for bias in biases):
        return biases[0]
    shape = (records[0].graph.num_edges, records[0].q.shape[2])
    return torch.stack([_per_head(bias, shape, records[0].lse) for bias in biases])


def same(x: Tensor | None, y: Tensor | None) -> bool:
    """Whether both are the same scores, or none."""
    return x is y or (x is not None and y is not None and torch.equal(x, y))


def _per_head(bias: Tensor | None, shape: tuple[int, int], like: Tensor) -> Tensor:
    if bias is None:
        return like.new_zeros(shape)
    return (bias[:, None] if bias.dim() == 1 else bias).to(like.dtype).expand(shape)
