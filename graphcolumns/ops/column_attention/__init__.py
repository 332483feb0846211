"""Attention along edges: signature, mathematics, checks, dispatch."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.ops.backend import choose_backend
from graphcolumns.ops.column_attention import checks
from graphcolumns.ops.column_attention.inputs import AttentionInputs
from graphcolumns.ops.column_attention.op import column_attention_op
from graphcolumns.ops.column_attention.scatter import forward as _scatter
from graphcolumns.ops.column_attention.transformed import forward as _transformed
from graphcolumns.ops.column_attention.triton import hubs
from graphcolumns.ops.context import as_given, product_dtype, transformed

__all__ = ["Attention", "column_attention"]


class Attention(NamedTuple):
    """What a column receives.

    Attributes:
        out: ``[N, B, H, Dv]``, the attended values.
        cost: ``[N, B, H]``, the expected cost of the in-edges, or None when none was given.
        lse: ``[N, B, H]``, the log of the softmax normaliser; ``-inf`` without in-edges.
    """

    out: Tensor
    cost: Tensor | None
    lse: Tensor


def column_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    graph: ColumnGraph,
    *,
    bias: Tensor | None = None,
    cost: Tensor | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
    seed: int | Tensor | None = None,
    backend: str = "auto",
) -> Attention:
    r"""Softmax attention of every column over its in-edges.

    For target :math:`i`, source :math:`j \in \mathcal{N}(i)`, head :math:`h` and input :math:`b`

    .. math::
        s_{ij} &= \mathrm{scale} \cdot q_i^\top k_j + \mathrm{bias}_{ij}, \qquad
        p_{ij} = \exp(s_{ij} - \mathrm{lse}_i), \qquad
        \mathrm{lse}_i = \log \sum_{j} e^{s_{ij}} \\
        \mathrm{out}_i &= \sum_j p_{ij} v_j, \qquad
        \mathrm{cost}_i = \sum_j p_{ij} c_{ij}.

    The cost is one more value channel: with lengths as ``c`` it is the expected wiring length of
    a column. It is differentiable in ``c``, ``q`` and ``k``. Dropout multiplies ``p`` (in both
    channels) by a counter-based mask. A column without in-edges gets ``out = cost = 0`` and
    ``lse = -inf``, and so does one whose biases are all ``-inf``. On the complete graph this is the
    attention of a transformer.

    Weights of a column sum to one whatever its scores: the normaliser is kept in two parts, which
    ``lse`` adds up. A constant added to all biases of a column changes nothing but ``lse``. A
    closed or dropped edge passes nothing on, NaN and infinity neither, forward or backward.

    Half precisions are summed in float32. Under autocast q, k and v take its dtype, as in torch's
    own attention.

    Args:
        q: Queries ``[N, B, H, D]``, or ``[N, 1, H, D]`` for queries that do not depend on the
            input: they are broadcast, their gradient is summed over the batch.
        k: Keys ``[M, B, H, D]``.
        v: Values ``[M, B, H, Dv]``.
        graph: Edges along which columns attend; ``N`` columns, ``M`` sources, ``E`` edges.
        bias: Bias added to the scores, ``[E]`` (all heads) or ``[E, H]``; ``-inf`` closes an edge.
        cost: Cost of an edge ``c``, ``[E]`` or ``[E, H]``.
        scale: Scaling factor of the dot products (default: ``D ** -0.5``).
        dropout: Probability of dropping an edge, per batch element and head.
        seed: Seed of the dropout mask, an int or a scalar int64 tensor (default: drawn from
            torch's generator).
        backend: ``"auto"``, ``"reference"``, ``"dense"``, ``"cpp"``, ``"triton"`` or
            ``"scatter"``; see :func:`~graphcolumns.ops.backend.choose_backend`. Function transforms
            (``torch.func``) and forward-mode differentiation always take plain torch.

    Returns:
        :class:`Attention`; ``out`` has the dtype of v, ``cost`` and ``lse`` are at least float32.

    Raises:
        ValueError: Shapes or devices that do not fit the graph or each other, a dropout outside
            [0, 1), or a seed that is not a scalar.
        TypeError: ``graph`` is not a ColumnGraph, tensors that are not of one floating dtype, or a
            scale that is a tensor.
        ImportError: ``backend="scatter"`` without torch-scatter, ``backend="triton"`` without
            triton, ``backend="cpp"`` without a compiler.

    Source: Vaswani et al., Attention is all you need, NeurIPS 2017,
    https://arxiv.org/abs/1706.03762.

    Example:
        >>> import torch
        >>> from graphcolumns import ColumnGraph, column_attention
        >>> graph = ColumnGraph.from_edge_index(torch.tensor([[0, 1, 1], [0, 0, 1]]), 2)
        >>> q = k = v = torch.ones(2, 1, 1, 4)
        >>> column_attention(q, k, v, graph).out.shape
        torch.Size([2, 1, 1, 4])
    """
    q, k, v = (x.to(product_dtype(x)) for x in (q, k, v))
    checks.check(q, k, v, graph, bias, cost, scale, dropout, seed)
    scale = 1.0 / math.sqrt(q.shape[-1]) if scale is None else float(scale)
    counter = _seed(seed, dropout, q.device)
    inputs = AttentionInputs(q, k, v, bias, cost, graph.views, scale, dropout, counter)
    backend = choose_backend(backend, graph, k.shape[1] * k.shape[2], k.shape[3], q.dtype)
    if transformed() or backend == "scatter":
        with as_given(q):
            return Attention(*(_transformed if transformed() else _scatter)(inputs))
    backend = hubs.for_graph(graph) if backend == "triton" else backend
    out, total, lse, *_ = column_attention_op(
        *inputs[:5], *inputs.views, scale, dropout, counter, backend
    )
    return Attention(out, None if cost is None else total, lse)


def _seed(seed: int | Tensor | None, dropout: float, device: torch.device) -> Tensor | None:
    if dropout == 0.0:
        return None
    if isinstance(seed, Tensor):
        return seed
    if seed is None:  # a tensor, not an int: no synchronisation and no recompilation
        return torch.randint(2**62, (), device=device)
    return torch.tensor(seed, dtype=torch.int64, device=device)
