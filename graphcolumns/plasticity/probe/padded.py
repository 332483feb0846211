"""Records of layers that differ in heads, widths or scale, brought to one shape by zeros.

A channel of zeros adds nothing to a dot product, and a head that nobody heard (values of 0, a
normaliser of infinity) has no mass, no advantage and no effect. So the effects of an edge on a
sample add up over layers of any size.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import pad

from graphcolumns.nn.recording import AttentionRecord


def differ(records: Sequence[AttentionRecord]) -> bool:
    """Whether the records cannot be stacked as they are."""
    return len({(x.q.shape, x.v.shape, x.scale) for x in records}) > 1


def present(records: Sequence[AttentionRecord]) -> float:
    """The share of the heads of all steps that are there before :func:`padded` adds others."""
    heads = [x.q.shape[2] for x in records]
    return sum(heads) / (len(heads) * max(heads))


def padded(records: Sequence[AttentionRecord]) -> list[AttentionRecord]:
    """The records with the most heads and the largest widths of all of them, and scale 1."""
    heads = max(x.q.shape[2] for x in records)
    width, values = (max(getattr(x, name).shape[3] for x in records) for name in ("q", "v"))
    return [_brought(record, heads, width, values) for record in records]


def grown(values: Sequence[Tensor], like: Sequence[AttentionRecord]) -> list[Tensor]:
    """Gradients at ``out`` in the shapes of the records that :func:`padded` returned."""
    return [filled(x, *y.out.shape[2:]) for x, y in zip(values, like, strict=True)]


def filled(x: Tensor, heads: int, width: int) -> Tensor:
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
        filled(q * scale, heads, width).expand(-1, k.shape[1], -1, -1),
        filled(k, heads, width),
        filled(v, heads, values),
        bias,
        1.0,
        filled(out.detach(), heads, values),
        pad(record.lse, (0, more), value=float("inf")),
    )
