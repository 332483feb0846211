"""How much attention every edge gets."""

from torch import Tensor

from graphcolumns.nn.recording.records import AttentionRecord
from graphcolumns.ops import segment_softmax
from graphcolumns.ops.column_attention.reference import edge_logits
from graphcolumns.ops.context import accumulator


def attention_mass(record: AttentionRecord) -> Tensor:
    """The attention of every edge, without dropout, as a mean over samples and heads.

    Differentiable in queries, keys and scores of edges; takes O(E B H D) memory.

    Returns:
        ``[E]`` float32 or wider.
    """
    graph, q, k = record.graph, record.q, record.k
    q, k = (x.to(accumulator(x.dtype)) for x in (q, k))
    scale = q.shape[-1] ** -0.5 if record.scale is None else record.scale
    if q.shape[1] != k.shape[1]:  # queries that all samples share
        q = q.expand(-1, k.shape[1], -1, -1)
    score = edge_logits(q, k, record.bias, graph.source, graph.target, scale)
    return segment_softmax(score, graph.target, graph.num_columns).mean((1, 2))
