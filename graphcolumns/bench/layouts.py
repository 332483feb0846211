"""Inputs of a problem as others keep them."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.bench.problem import Problem


def disjoint(problem: Problem) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The edges of B copies of the graph, and q, k, v, grad ``[B N, H, D]`` on them."""
    p, b, n = problem, problem.shape.batch, problem.shape.columns
    shift = n * torch.arange(b, device=p.q.device)[:, None, None]
    edge_index = (p.graph.edge_index + shift).transpose(0, 1).flatten(1)
    return edge_index, tuple(leaf(x.transpose(0, 1).flatten(0, 1)) for x in (p.q, p.k, p.v, p.grad))


def leaf(x: Tensor) -> Tensor:
    """A copy that wants a gradient."""
    return x.detach().clone().requires_grad_()
