"""How far above the attention of a column a newborn would stand, before any bias."""

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.batches import Inputs, num_samples, split_samples
from graphcolumns.nn.protocols import graph_of
from graphcolumns.nn.recording import AttentionRecord, evaluating, recording
from graphcolumns.ops.column_attention.reference import dot
from graphcolumns.ops.context import accumulator
from graphcolumns.ops.edge_scores.checks import check_pairs
from graphcolumns.plasticity.probe.stacked import as_multiplied, never_recorded


@torch.no_grad()
def largest_gap(
    model: nn.Module,
    inputs: Inputs,
    targets: Tensor,
    sources: Tensor,
    *,
    graph: ColumnGraph | None = None,
    slice_size: int = 8,
    chunk: int = 2**12,
) -> Tensor:
    r"""The largest :math:`s^{qk}_{ij} - \mathrm{lse}_i` of pairs over samples and steps.

    With the bias :math:`b_0 = \mathrm{logit}(\varepsilon) - \mathrm{gap}` a newborn gets at most
    :math:`\varepsilon` of the attention on all these inputs, so what its column receives moves by
    at most :math:`\varepsilon \|v_j - \mathrm{out}_i\|`. Forward passes only, without dropout.

    Args:
        model: Model, as in :func:`~graphcolumns.plasticity.probe.trace.trace`.
        inputs: ``[B, ...]``.
        targets: ``[P]`` int32 or int64.
        sources: ``[P]``.
        graph: Graph along whose edges (default: the first of the model).
        slice_size: Samples at a time.
        chunk: Pairs at a time.

    Returns:
        ``[P, H]``, at least float32, or ``[P, 1]``, the largest of all heads, where layers differ
        in their number of heads; 0 where the target has no in-edge, and its first edge would
        get all attention whatever its bias.

    Raises:
        ValueError: As trace; inputs without samples.
        TypeError: Ids that are not integers.
    """
    graph = graph_of(model) if graph is None else graph
    check_pairs(targets, sources, graph.num_columns, graph.num_sources)
    if not num_samples(inputs):
        raise ValueError("inputs must hold at least one sample, got none")
    largest: Tensor | None = None
    for x in split_samples(inputs, slice_size):
        with evaluating(model), recording(model, graph, keep=as_multiplied) as records:
            model(x)
        for record in records:
            if not isinstance(record, AttentionRecord):
                continue
            gap = _gap(record, targets, sources, chunk)
            largest = gap if largest is None else _larger(largest, gap)
    if largest is None and records:
        raise ValueError(
            "the gap is between scores of attention. Got a model with linear layers only; start "
            "newborns with first_value='zero' or 'node_mean'."
        )
    if largest is None:
        raise never_recorded(model, graph)
    return largest


def _larger(one: Tensor, other: Tensor) -> Tensor:
    if one.shape != other.shape:
        one, other = (gap.amax(1, keepdim=True) for gap in (one, other))
    return torch.maximum(one, other)


def _gap(record: AttentionRecord, targets: Tensor, sources: Tensor, chunk: int) -> Tensor:
    q, k = record.q, record.k
    scale = q.shape[-1] ** -0.5 if record.scale is None else record.scale
    wide = accumulator(q.dtype)
    gaps = []
    for i, j in zip(targets.split(chunk), sources.split(chunk), strict=True):
        products = dot(q.index_select(0, i).to(wide), k.index_select(0, j).to(wide))
        lse = record.lse.index_select(0, i)
        gap = (scale * products - lse).masked_fill(lse == float("-inf"), 0.0)
        gaps.append(gap.amax(1))
    return torch.cat(gaps)
