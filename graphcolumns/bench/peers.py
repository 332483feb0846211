"""What others write for attention along edges, as one table of functions.

Each takes a `Problem` and returns the work of one forward and backward pass. What needs no
gradient and does not change between calls (index tensors, masks) is made before the clock starts.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch_geometric.nn import TransformerConv
from torch_geometric.utils import scatter, softmax

from graphcolumns.bench.clock import Work
from graphcolumns.bench.problem import Problem
from graphcolumns.ops import column_attention

DENSE_LIMIT = 2**34  # bytes of an attention matrix that we dare to ask for


class Peer(NamedTuple):
    """One way to solve the problem.

    Attributes:
        build: the work of one forward and backward pass.
        missing: why it cannot run on this problem and device, or "".
    """

    build: Callable[[Problem], Work]
    missing: Callable[[Problem, str], str] = lambda problem, device: ""


def ours(problem: Problem, backend: str = "auto") -> Work:
    """`column_attention`, with a bias per edge and head, and its gradient."""
    p = problem

    def work() -> tuple[Tensor, ...]:
        out = column_attention(p.q, p.k, p.v, p.graph, bias=p.bias, backend=backend).out
        return torch.autograd.grad(out, (p.q, p.k, p.v, p.bias), p.grad)

    return work


def reference(problem: Problem) -> Work:
    """The same in plain torch."""
    return ours(problem, "reference")


def pyg_disjoint(problem: Problem) -> Work:
    """PyG's TransformerConv, from queries to messages, on B copies of the graph side by side."""
    p, b, n = problem, problem.shape.batch, problem.shape.columns
    shift = n * torch.arange(b, device=p.q.device)[:, None, None]
    edge_index = (p.graph.edge_index + shift).transpose(0, 1).flatten(1)
    # [B N, H, D], as a PyG user keeps a batch.
    q, k, v, grad = (_leaf(x.transpose(0, 1).flatten(0, 1)) for x in (p.q, p.k, p.v, p.grad))
    return _pyg(p, edge_index, q, k, v, grad)


def pyg_folded(problem: Problem) -> Work:
    """The same on one graph, the batch folded into the heads."""
    p = problem
    q, k, v, grad = (_leaf(x.flatten(1, 2)) for x in (p.q, p.k, p.v, p.grad))
    return _pyg(p, p.graph.edge_index, q, k, v, grad)


def pyg_compiled(problem: Problem) -> Work:
    """The folded form through torch.compile."""
    p = problem
    q, k, v, grad = (_leaf(x.flatten(1, 2)) for x in (p.q, p.k, p.v, p.grad))
    return _pyg(p, p.graph.edge_index, q, k, v, grad, compiled=True)


def _pyg(
    p: Problem,
    edge_index: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    grad: Tensor,
    compiled: bool = False,
) -> Work:
    conv = TransformerConv(p.shape.width, p.shape.width, heads=q.shape[1]).to(q.device)
    propagate = torch.compile(conv.propagate) if compiled else conv.propagate

    def work() -> tuple[Tensor, ...]:
        out = propagate(edge_index, query=q, key=k, value=v, edge_attr=None, size=None)
        return torch.autograd.grad(out, (q, k, v), grad.view_as(out))

    return work


def composition(problem: Problem) -> Work:
    """Gather, PyG softmax by index, scatter: what torch-scatter code looks like today."""
    p = problem
    source, target = p.graph.edge_index
    scale = p.shape.width**-0.5

    def work() -> tuple[Tensor, ...]:
        score = (p.q[target] * p.k[source]).sum(-1) * scale + p.bias[:, None]
        weight = softmax(score, target, num_nodes=p.shape.columns)
        out = scatter(weight[..., None] * p.v[source], target, 0, p.shape.columns, "sum")
        return torch.autograd.grad(out, (p.q, p.k, p.v, p.bias), p.grad)

    return work


def torch_scatter(problem: Problem) -> Work:
    """torch-scatter's own segment sums and softmax."""
    return ours(problem, "scatter")


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
        """Out `[N, B, H, D]`."""
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
    """Scores by gathering, sums by `embedding_bag`, one head of one sample after the other."""
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


def masked_sdpa(problem: Problem) -> Work:
    """The dense columnformer: scaled_dot_product_attention under an N x N mask."""
    p, n = problem, problem.shape.columns
    mask = torch.zeros(n, n, dtype=torch.bool, device=p.q.device)
    source, target = p.graph.edge_index
    mask[target, source] = True
    q, k, v, grad = (_leaf(x.permute(1, 2, 0, 3).contiguous()) for x in (p.q, p.k, p.v, p.grad))

    def work() -> tuple[Tensor, ...]:
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return torch.autograd.grad(out, (q, k, v), grad)

    return work


def flex(problem: Problem) -> Work:
    """FlexAttention with a block mask of the graph."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    p, n = problem, problem.shape.columns
    table = torch.zeros(n, n, dtype=torch.bool, device=p.q.device)
    source, target = p.graph.edge_index
    table[target, source] = True
    blocks = create_block_mask(
        lambda b, h, i, j: table[i, j], None, None, n, n, device=str(p.q.device)
    )
    attention = torch.compile(flex_attention)
    q, k, v, grad = (_leaf(x.permute(1, 2, 0, 3).contiguous()) for x in (p.q, p.k, p.v, p.grad))

    def work() -> tuple[Tensor, ...]:
        out = attention(q, k, v, block_mask=blocks)
        return torch.autograd.grad(out, (q, k, v), grad)

    return work


def _leaf(x: Tensor) -> Tensor:
    return x.detach().clone().requires_grad_()


def _needs(package: str) -> Callable[[Problem, str], str]:
    return lambda problem, device: "" if find_spec(package) else f"{package} is not installed"


def _cuda_only(problem: Problem, device: str) -> str:
    return "" if device == "cuda" else "no backward pass on the CPU"


def _fits(problem: Problem, device: str) -> str:
    n, _, b, _, h, _, dtype = problem.shape
    size = n * n * max(1, b * h * dtype.itemsize // 4)
    return "" if size <= DENSE_LIMIT else f"its matrix would take {size / 2**30:.0f} GiB"


def _float32_cpu(problem: Problem, device: str) -> str:
    return "" if problem.shape.dtype == torch.float32 else "float32 only"


PEERS: Mapping[str, Peer] = {
    "PyG TransformerConv": Peer(pyg_disjoint),
    "PyG, batch in heads": Peer(pyg_folded),
    "PyG compiled": Peer(pyg_compiled),
    "gather, softmax, scatter": Peer(composition),
    "torch-scatter": Peer(torch_scatter, _needs("torch_scatter")),
    "torch.sparse": Peer(sparse, _float32_cpu),
    "embedding_bag": Peer(embedding_bag, _float32_cpu),
    "masked SDPA": Peer(masked_sdpa, _fits),
    "FlexAttention": Peer(flex, _cuda_only),
    "our reference": Peer(reference),
}
