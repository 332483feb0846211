"""Attention by the products of torch.sparse, and by embedding_bag."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch_geometric.utils import softmax

from graphcolumns.bench.clock import Work
from graphcolumns.bench.problem import Problem


def sparse(problem: Problem) -> Work:
    """torch.sparse: sampled products and sparse-dense products of every head and sample."""
    p = problem
    values = torch.ones(p.graph.num_edges, device=p.q.device)
    pattern = _csr(p.graph.rowptr, p.graph.source.long(), values)
    order, back = p.graph.by_source.permutation, p.graph.reverse()
    flipped = (back.rowptr, back.source.long())

    def work() -> tuple[Tensor, ...]:
        out = _SparseAttention.apply(p.q, p.k, p.v, p.bias, pattern, order, *flipped)
        return torch.autograd.grad(out, (p.q, p.k, p.v, p.bias), p.grad)

    return work


class _SparseAttention(torch.autograd.Function):
    """One head of one sample after the other, as torch's CSR products want it."""

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        bias: Tensor,
        pattern: Tensor,
        order: Tensor,
        back_rowptr: Tensor,
        back_source: Tensor,
    ) -> Tensor:
        """Out ``[N, B, H, D]``."""
        scale = q.shape[-1] ** -0.5
        n, edges = q.shape[0], bias.shape[0]
        degree = pattern.crow_indices().diff()
        target = torch.repeat_interleave(torch.arange(n, device=q.device), degree)
        out, weights = torch.empty_like(v), q.new_empty(q.shape[1], q.shape[2], edges)
        for b, h in torch.cartesian_prod(*map(torch.arange, q.shape[1:3])).tolist():
            score = _sampled(pattern, q[:, b, h], k[:, b, h]) * scale + bias[:, h]
            weights[b, h] = softmax(score, target, num_nodes=n)
            out[:, b, h] = _with(pattern, weights[b, h]) @ v[:, b, h]
        ctx.save_for_backward(q, k, v, weights, out, target)
        ctx.patterns = pattern, order, back_rowptr, back_source
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of q, k, v and bias."""
        q, k, v, weights, out, target = ctx.saved_tensors
        pattern, order, back_rowptr, back_source = ctx.patterns
        scale = q.shape[-1] ** -0.5
        dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        dbias = q.new_zeros(weights.shape[2], q.shape[2])
        delta = (grad * out).sum(-1)

        def flip(values: Tensor) -> Tensor:
            return _csr(back_rowptr, back_source, values[order])

        for b, h in torch.cartesian_prod(*map(torch.arange, q.shape[1:3])).tolist():
            p, g = weights[b, h], grad[:, b, h]
            dv[:, b, h] = flip(p) @ g
            ds = p * (_sampled(pattern, g, v[:, b, h]) - delta[:, b, h][target])
            dbias[:, h] += ds
            dq[:, b, h] = _with(pattern, ds * scale) @ k[:, b, h]
            dk[:, b, h] = flip(ds * scale) @ q[:, b, h]
        return dq, dk, dv, dbias, None, None, None, None


def _sampled(pattern: Tensor, left: Tensor, right: Tensor) -> Tensor:
    return torch.sparse.sampled_addmm(pattern, left, right.T, beta=0.0).values()


def _with(pattern: Tensor, values: Tensor) -> Tensor:
    return _csr(pattern.crow_indices(), pattern.col_indices(), values)


def _csr(rowptr: Tensor, source: Tensor, values: Tensor) -> Tensor:
    size = (len(rowptr) - 1, len(rowptr) - 1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse")  # beta, and the checks that we turn off
        return torch.sparse_csr_tensor(rowptr, source, values, size, check_invariants=False)


def embedding_bag(problem: Problem) -> Work:
    """Scores by gathering, sums by ``embedding_bag``, one head of one sample after the other."""
    p = problem
    source, target = p.graph.edge_index
    starts = p.graph.rowptr[:-1]
    scale, degree = p.shape.width**-0.5, p.shape.degree

    def work() -> tuple[Tensor, ...]:
        out = []
        for b in range(p.shape.batch):
            for h in range(p.shape.heads):
                q, k, v = p.q[:, b, h], p.k[:, b, h], p.v[:, b, h].contiguous()
                score = (q[target] * k[source]).sum(-1) * scale + p.bias[:, h]
                weight = score.view(-1, degree).softmax(-1).flatten()
                out.append(
                    F.embedding_bag(source, v, starts, mode="sum", per_sample_weights=weight)
                )
        stacked = torch.stack(out, 1).view_as(p.grad)
        return torch.autograd.grad(stacked, (p.q, p.k, p.v, p.bias), p.grad)

    return work
