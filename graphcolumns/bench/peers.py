"""What others write for attention along edges, as one table of functions.

Each takes a ``Problem`` and returns the work of one forward and backward pass. What needs no
gradient and does not change between calls (index tensors, masks) is made before the clock starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch_geometric.nn import TransformerConv
from torch_geometric.utils import scatter, softmax

from graphcolumns.bench import others
from graphcolumns.bench.clock import Work
from graphcolumns.bench.layouts import disjoint, leaf
from graphcolumns.bench.problem import Problem
from graphcolumns.bench.sparse import embedding_bag, sparse
from graphcolumns.ops import column_attention

DENSE_LIMIT = 2**34  # bytes of the largest attention matrix that is tried


class Peer(NamedTuple):
    """One way to solve the problem.

    Attributes:
        build: The work of one forward and backward pass.
        missing: Why it cannot run on this problem and device, or "".
        restore: A gradient of its q, k or v in our layout ``[N, B, H, D]``. Peers that run on GPUs
            only have it: what they compute is compared with ours before they are timed.
    """

    build: Callable[[Problem], Work]
    missing: Callable[[Problem, str], str] = lambda problem, device: ""
    restore: Callable[[Problem, Tensor], Tensor] | None = None


def ours(problem: Problem, backend: str = "auto") -> Work:
    """``column_attention``, with a bias per edge and head, and its gradient."""
    p = problem

    def work() -> tuple[Tensor, ...]:
        out = column_attention(p.q, p.k, p.v, p.graph, bias=p.bias, backend=backend).out
        return torch.autograd.grad(out, (p.q, p.k, p.v, p.bias), p.grad)

    return work


def ours_unbiased(problem: Problem) -> Work:
    """The same without a bias, as those peers that have none."""
    p = problem

    def work() -> tuple[Tensor, ...]:
        out = column_attention(p.q, p.k, p.v, p.graph).out
        return torch.autograd.grad(out, (p.q, p.k, p.v), p.grad)

    return work


def reference(problem: Problem) -> Work:
    """The same in plain torch."""
    return ours(problem, "reference")


def pyg_disjoint(problem: Problem) -> Work:
    """PyG's TransformerConv, from queries to messages, on B copies of the graph side by side."""
    edge_index, (q, k, v, grad) = disjoint(problem)
    return _pyg(problem, edge_index, q, k, v, grad)


def pyg_folded(problem: Problem) -> Work:
    """The same on one graph, the batch folded into the heads."""
    p = problem
    q, k, v, grad = (leaf(x.flatten(1, 2)) for x in (p.q, p.k, p.v, p.grad))
    return _pyg(p, p.graph.edge_index, q, k, v, grad)


def pyg_compiled(problem: Problem) -> Work:
    """The folded form through torch.compile."""
    p = problem
    q, k, v, grad = (leaf(x.flatten(1, 2)) for x in (p.q, p.k, p.v, p.grad))
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


def masked_sdpa(problem: Problem) -> Work:
    """The dense columnformer: scaled_dot_product_attention under an N x N mask."""
    p, n = problem, problem.shape.columns
    mask = torch.zeros(n, n, dtype=torch.bool, device=p.q.device)
    source, target = p.graph.edge_index
    mask[target, source] = True
    q, k, v, grad = (leaf(x.permute(1, 2, 0, 3).contiguous()) for x in (p.q, p.k, p.v, p.grad))

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
    q, k, v, grad = (leaf(x.permute(1, 2, 0, 3).contiguous()) for x in (p.q, p.k, p.v, p.grad))

    def work() -> tuple[Tensor, ...]:
        out = attention(q, k, v, block_mask=blocks)
        return torch.autograd.grad(out, (q, k, v), grad)

    return work


def _needs(package: str) -> Callable[[Problem, str], str]:
    return lambda problem, device: "" if find_spec(package) else f"{package} is not installed"


def _cuda_only(problem: Problem, device: str) -> str:
    return "" if device == "cuda" else "no backward pass on the CPU"


def _fits(problem: Problem, device: str) -> str:
    shape = problem.shape
    size = shape.columns**2 * max(1, shape.batch * shape.heads * shape.dtype.itemsize // 4)
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
    "FlexAttention": Peer(flex, _cuda_only, lambda problem, grad: grad.permute(2, 0, 1, 3)),
    "NATTEN": Peer(others.natten, others.no_natten, others.from_natten),
    "Anemoi": Peer(others.anemoi, others.no_anemoi, others.from_anemoi),
    "our reference": Peer(reference),
}
