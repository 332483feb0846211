"""The records of one slice of samples as tensors, with the gradient of each sample's loss."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.recording import AttentionRecord, LinearRecord, Record, recorders
from graphcolumns.ops import kernels
from graphcolumns.ops.context import product_dtype


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
            of heads, the others are filled up with heads that receive nothing.
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
        "edge_features='keys_values', or another aggr or flow, ColumnAttention not with "
        "excitatory_beyond."
    )


def as_multiplied(record: Record) -> Record:
    """Without gradients but at ``out``, and in the dtype in which autocast multiplied."""
    if isinstance(record, LinearRecord):
        return record._replace(x=record.x.detach(), weight=record.weight.detach())
    q, k, v = (x.detach().to(product_dtype(x)) for x in (record.q, record.k, record.v))
    bias = None if record.bias is None else record.bias.detach()
    return record._replace(q=q, k=k, v=v, bias=bias, lse=record.lse.detach())


def traced(records: list[Record], grads: Sequence[Sequence[Tensor]]) -> list[Trace]:
    """One trace per list of gradients at the outputs of all records; empties the records."""
    attends = [isinstance(record, AttentionRecord) for record in records]
    attention = [record for record in records if isinstance(record, AttentionRecord)]
    linear = [record for record in records if isinstance(record, LinearRecord)]
    records.clear()
    steps_of = [list(compress(each, attends)) for each in grads]
    passes_of = [list(compress(each, (not one for one in attends))) for each in grads]
    passes = [
        tuple(LinearTrace(r.x, r.weight, grad) for r, grad in zip(linear, each, strict=True))
        for each in passes_of
    ]
    stacked = stack(attention, steps_of) if attention else [None] * len(grads)
    return [Trace(*both) for both in zip(stacked, passes, strict=True)]


def stack(
    records: list[AttentionRecord], grads: Sequence[list[Tensor]]
) -> Sequence[AttentionTrace | None]:
    """The steps of one slice as tensors, for each list of gradients; empties the records."""
    share = 1.0
    if len({(x.q.shape, x.v.shape, x.scale) for x in records}) > 1:
        share, grads = padded(records, grads)
    scale, width, bias = records[0].scale, records[0].q.shape[-1], records[0].bias
    if not all(same(record.bias, bias) for record in records):
        bias = _biases(records)
    names = ("q", "k", "v", "lse", "out")
    lists = {name: [getattr(x, name).detach() for x in records] for name in names}
    records.clear()  # so that what is stacked is freed, one kind after the other
    q, k, v, lse, out = (steps(lists.pop(name)) for name in names)
    scale = width**-0.5 if scale is None else scale
    return [AttentionTrace(q, k, v, lse, out, steps(x), bias, scale, share) for x in grads]


def steps(values: Sequence[Tensor]) -> Tensor:
    """The values of all steps in one tensor."""
    joined = values[0].new_empty((len(values), *values[0].shape))
    kernels.advise(joined)
    return torch.stack(list(values), out=joined)


def same(x: Tensor | None, y: Tensor | None) -> bool:
    """Whether both are the same scores, or none."""
    return x is y or (x is not None and y is not None and torch.equal(x, y))


def _biases(records: list[AttentionRecord]) -> Tensor:
    """Scores of the edges that differ from step to step, ``[T, E, H]``."""
    shape, like = (records[0].graph.num_edges, records[0].q.shape[2]), records[0].lse
    biases = [like.new_zeros(shape) if x.bias is None else x.bias for x in records]
    every = [(x[:, None] if x.dim() == 1 else x).to(like.dtype).expand(shape) for x in biases]
    return torch.stack(every)


def padded(
    records: list[AttentionRecord], grads: Sequence[list[Tensor]]
) -> tuple[float, list[list[Tensor]]]:
    """Brings records, in place, to the most heads, the largest widths and scale 1.

    A channel of zeros adds nothing to a dot product, and a head that no column reads (values of 0,
    a normaliser of infinity) has no mass, no advantage and no effect. So the effects of an edge on
    a sample add up over layers of any size.

    Args:
        records: Records of all steps.
        grads: Lists of gradients at their ``out``.

    Returns:
        The share of heads that were there before, and the gradients in the shapes of the records.
    """
    heads = [x.q.shape[2] for x in records]
    most = max(heads)
    width, values = (max(getattr(x, name).shape[3] for x in records) for name in ("q", "v"))
    records[:] = [_brought(record, most, width, values) for record in records]
    share = sum(heads) / (len(heads) * most)
    return share, [[_filled(x, most, values) for x in each] for each in grads]


def _filled(x: Tensor, heads: int, width: int) -> Tensor:
    """``[N, b, H, D]`` with zeros up to so many heads and channels, if any are missing."""
    if x.shape[2:] == (heads, width):
        return x
    return pad(x, (0, width - x.shape[3], 0, heads - x.shape[2]))


def _brought(record: AttentionRecord, heads: int, width: int, values: int) -> AttentionRecord:
    q, k, v, out = record.q, record.k, record.v, record.out
    scale = q.shape[3] ** -0.5 if record.scale is None else record.scale
    bias, more = record.bias, heads - q.shape[2]
    if bias is not None and bias.dim() == 2:
        bias = pad(bias, (0, more))
    return AttentionRecord(
        record.graph,
        _filled(q * scale, heads, width).expand(-1, k.shape[1], -1, -1),
        _filled(k, heads, width),
        _filled(v, heads, values),
        bias,
        1.0,
        _filled(out.detach(), heads, values),
        pad(record.lse, (0, more), value=float("inf")),
    )
