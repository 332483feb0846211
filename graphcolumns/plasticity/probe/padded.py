"""Records of layers that differ in heads, widths or scale, brought to one shape by zeros.

A channel of zeros adds nothing to a dot product, and a head that no column reads (values of 0, a
normaliser of infinity) has no mass, no advantage and no effect. So the effects of an edge on a
sample add up over layers of any size.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import pad

from graphcolumns.nn.recording import AttentionRecord


def padded(
    records: list[AttentionRecord], grads: Sequence[list[Tensor]]
) -> tuple[float, list[list[Tensor]]]:
    """Brings records, in place, to the most heads, the largest widths and scale 1.

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
