"""A dense columnformer block, written from its formulas: `[B, N, C]`, an N x N score matrix.

Oracle of the tests. It shares no code with the package; it reads a column's parameters by name.
"""

import math

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import Column


def parameters(column: Column) -> dict[str, Tensor]:
    """Copies of the parameters of a column, leaves of their own."""
    return {name: p.detach().clone().requires_grad_() for name, p in column.named_parameters()}


def matrix(values: Tensor, graph: ColumnGraph, fill: float = 0.0) -> Tensor:
    """Edge values `[E, ...]` as `[N, N, ...]`, rows are targets."""
    source, target = graph.edge_index
    empty = values.new_full((graph.num_columns, graph.num_sources, *values.shape[1:]), fill)
    return empty.index_put((target, source), values)


def block(
    x: Tensor,
    p: dict[str, Tensor],
    graph: ColumnGraph,
    heads: int,
    scale: float | None = None,
    skip: bool = True,
) -> tuple[Tensor, Tensor]:
    """One step of `x [B, N, C]`; returns the state and the attention `[B, H, N, N]`."""
    mix = _mixture(p)
    h = _norm(x, p, "norm1.", mix)
    scores = _scores(h, p, graph, heads, scale, mix)
    attention = torch.softmax(scores, -1)
    value = _linear(h, p, "attention.value.", mix) if "attention.value.weight" in p else h
    heard = (attention @ _split(value, heads)).transpose(1, 2).flatten(2)
    if "attention.out.weight" in p:
        heard = _linear(heard, p, "attention.out.", mix)
    x = x + heard if skip else heard
    hidden = _linear(_norm(x, p, "norm2.", mix), p, "hidden.", mix)
    gelu = 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2)))
    return x + _linear(gelu, p, "out.", mix), attention


def _scores(
    h: Tensor,
    p: dict[str, Tensor],
    graph: ColumnGraph,
    heads: int,
    scale: float | None,
    mix: Tensor | None,
) -> Tensor:
    q = _split(_linear(h, p, "attention.query.", mix), heads)
    k = _split(_linear(h, p, "attention.key.", mix), heads)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    scores = scale * q @ k.transpose(2, 3)
    if "attention.edge_bias.common" in p:
        scores = scores + matrix(p["attention.edge_bias.common"], graph)
    if "attention.edge_bias.per_head" in p:
        scores = scores + matrix(p["attention.edge_bias.per_head"], graph).permute(2, 0, 1)
    listens = matrix(torch.ones(graph.num_edges), graph).bool()
    return scores.masked_fill(~listens, -math.inf)


def _split(x: Tensor, heads: int) -> Tensor:
    """`[B, N, H D] -> [B, H, N, D]`."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def _mixture(p: dict[str, Tensor]) -> Tensor | None:
    """c = softmax(e^s w / |w|), `[N, R]`."""
    if "mixture.weight" not in p:
        return None
    w = p["mixture.weight"]
    unit = w / w.square().sum(-1, keepdim=True).sqrt()
    return torch.softmax(p["mixture.log_sharpness"].exp()[:, None] * unit, -1)


def _mixed(value: Tensor, mix: Tensor | None, own: int) -> Tensor:
    """Weights per column where there is a leading axis of sets; `own` axes belong to one set."""
    if mix is None or value.dim() == own:
        return value
    return torch.einsum("nr,r...->n...", mix, value)


def _linear(x: Tensor, p: dict[str, Tensor], prefix: str, mix: Tensor | None) -> Tensor:
    weight = _mixed(p[prefix + "weight"], mix, 2)
    y = torch.einsum("bnc,ncd->bnd" if weight.dim() == 3 else "bnc,cd->bnd", x, weight)
    return y + _mixed(p[prefix + "bias"], mix, 1) if prefix + "bias" in p else y


def _norm(x: Tensor, p: dict[str, Tensor], prefix: str, mix: Tensor | None) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    unit = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return unit * _mixed(p[prefix + "weight"], mix, 1) + _mixed(p[prefix + "bias"], mix, 1)
