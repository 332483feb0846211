"""Steps of attention with a loss for each sample, and the scores of pairs as loops."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns import ColumnGraph, column_attention
from graphcolumns.ops import EdgeScores, edge_scores
from tests.ops.support.cases import graph_of


class Steps(NamedTuple):
    """Arguments of edge_scores for every pair of columns; ``matrix`` is the bias of all pairs."""

    graph: ColumnGraph
    q: Tensor
    k: Tensor
    v: Tensor
    lse: Tensor
    out: Tensor
    grad_out: Tensor
    matrix: Tensor  # [N, M, H]
    targets: Tensor
    sources: Tensor

    def run(self, **options) -> EdgeScores:
        given = {"bias": self.matrix[self.targets, self.sources]} | options
        return edge_scores(*self[1:7], self.targets, self.sources, **given)

    def to(self, dtype: torch.dtype) -> "Steps":
        """Half precisions as the models hand them over: lse stays wide."""
        wide = torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype
        kept = {"lse": self.lse.to(wide), "matrix": self.matrix.to(wide)}
        narrow = {n: getattr(self, n).to(dtype) for n in ("q", "k", "v", "out", "grad_out")}
        return self._replace(**kept, **narrow)


def loss_of(out: Tensor) -> Tensor:
    """Some loss ``[B]`` of what was heard ``[T, N, B, H, D]``, curved and different everywhere."""
    weights = torch.linspace(-1, 1, out[:, :, :1].numel(), dtype=out.dtype)
    return (weights.view(out[:, :, :1].shape) * torch.sin(2 * out)).sum((0, 1, 3, 4))


def draw_steps(
    mask: Tensor,
    steps: int = 3,
    batch: int = 4,
    heads: int = 2,
    width: int = 3,
    value_width: int = 2,
    shared_query: bool = False,
    scale: float | None = None,
) -> Steps:
    """Random attention of float64 along the edges of ``mask [N, M]``; the pairs are all pairs."""
    columns, sources = mask.shape

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.float64)

    q = normal(steps, columns, 1 if shared_query else batch, heads, width)
    k, v = (normal(steps, sources, batch, heads, n) for n in (width, value_width))
    matrix, graph = normal(columns, sources, heads), graph_of(mask)
    bias = matrix[graph.target.long(), graph.source.long()]
    heard = [column_attention(*x, graph, bias=bias, scale=scale) for x in zip(q, k, v, strict=True)]
    out = torch.stack([x.out for x in heard]).requires_grad_()
    [grad] = torch.autograd.grad(loss_of(out).sum(), out)
    lse = torch.stack([x.lse for x in heard])
    pairs = torch.cartesian_prod(torch.arange(columns), torch.arange(sources)).T
    return Steps(graph, q, k, v, lse, out.detach(), grad, matrix, *pairs)


def calm(steps: Steps) -> Steps:
    """No pair has nearly all attention: backends differ there in rounding."""
    return steps._replace(q=0.2 * steps.q, lse=steps.lse.clamp(min=1.0) + 3.0)


def rows_of(steps: Steps, i: int, j: int, scale: float) -> dict[str, list[float]]:
    """The effects of the pair (i, j) in every sample, one number at a time."""
    rows: dict[str, list[float]] = {}
    depth, batch, heads = steps.v.shape[0], *steps.v.shape[2:4]
    for b in range(batch):
        sums = dict.fromkeys(("mass", "pA", "deletion", "would_be", "A", "gate", "insertion"), 0.0)
        for t in range(depth):
            for h in range(heads):
                q = steps.q[t, i, b if steps.q.shape[2] > 1 else 0, h]
                s = scale * float(q @ steps.k[t, j, b, h]) + float(steps.matrix[i, j, h])
                rho = math.exp(s - float(steps.lse[t, i, b, h]))
                g, lost = steps.grad_out[t, i, b, h], steps.v[t, j, b, h] - steps.out[t, i, b, h]
                advantage, a = float(g @ lost), rho / (1 + rho)
                sums["mass"] += rho / (depth * heads)
                sums["pA"] += rho * advantage
                sums["deletion"] -= rho / max(1 - rho, 1e-6) * advantage
                sums["would_be"] += a / (depth * heads)
                sums["A"] += advantage
                sums["gate"] += rho * advantage
                sums["insertion"] += a * advantage
        for name, value in sums.items():
            rows.setdefault(name, []).append(value)
    return rows


def loop(steps: Steps, i: int, j: int, scale: float) -> dict[str, float]:
    """What edge_scores has to return for the pair (i, j), by the names of its attributes."""
    rows = rows_of(steps, i, j, scale)
    return {
        "mass": sum(rows["mass"]),
        "bias_gradient": sum(rows["pA"]),
        "attention_gradient": sum(map(abs, rows["pA"])),
        "deletion": sum(rows["deletion"]),
        "deletion_squares": sum(u * u for u in rows["deletion"]),
        "would_be": sum(rows["would_be"]),
        "advantage": sum(rows["A"]),
        "gate": sum(rows["gate"]),
        "insertion": sum(rows["insertion"]),
        "insertion_squares": sum(u * u for u in rows["insertion"]),
    }
