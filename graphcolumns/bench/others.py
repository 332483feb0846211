"""Peers that run on GPUs only, where they are installed: NATTEN and Anemoi.

Called as NATTEN 0.21 and anemoi-models 0.19 are.
"""

from __future__ import annotations

from importlib.util import find_spec
from math import isqrt

import torch
from torch import Tensor

from graphcolumns.bench.clock import Work
from graphcolumns.bench.layouts import disjoint, leaf
from graphcolumns.bench.problem import Problem
from graphcolumns.graph import ColumnGraph


def natten(problem: Problem) -> Work:
    """Neighbourhood attention on a regular grid, without bias: q, k, v ``[B, X, Y, H, D]``."""
    from natten import na2d

    p, side = problem, isqrt(problem.shape.columns)
    window = isqrt(p.shape.degree)
    q, k, v, grad = (
        leaf(x.transpose(0, 1).unflatten(1, (side, side)).contiguous())
        for x in (p.q, p.k, p.v, p.grad)
    )

    def work() -> tuple[Tensor, ...]:
        out = na2d(q, k, v, kernel_size=(window, window))
        return torch.autograd.grad(out, (q, k, v), grad)

    return work


def from_natten(problem: Problem, grad: Tensor) -> Tensor:
    """``[B, X, Y, H, D]`` as ``[N, B, H, D]``."""
    return grad.flatten(1, 2).transpose(0, 1)


def no_natten(problem: Problem, device: str) -> str:
    """Why NATTEN cannot run."""
    if not _installed("natten"):
        return "not installed"
    if problem.shape.order != "grid":
        return "regular grids only"
    return "" if device == "cuda" else "runs on CUDA only"


def anemoi(problem: Problem) -> Work:
    """Anemoi's Triton kernel on B copies of the graph side by side.

    It has no bias, but features of every edge that are added to keys and values: zeros, which it
    reads, and whose gradient it writes.
    """
    from anemoi.models.triton.gt import graph_transformer_attention_conv

    edge_index, (q, k, v, grad) = disjoint(problem)
    graph = ColumnGraph.from_edge_index(edge_index, len(q))
    back = graph.by_source
    by_target = (graph.source.long(), graph.rowptr)
    by_source = (back.colptr, back.permutation, graph.target.long())
    features = q.new_zeros(graph.num_edges, *q.shape[1:])

    def work() -> tuple[Tensor, ...]:
        out = graph_transformer_attention_conv(q, k, v, features, by_target, by_source)
        return torch.autograd.grad(out, (q, k, v), grad)

    return work


def from_anemoi(problem: Problem, grad: Tensor) -> Tensor:
    """``[B N, H, D]`` as ``[N, B, H, D]``."""
    return grad.unflatten(0, (problem.shape.batch, -1)).transpose(0, 1)


def no_anemoi(problem: Problem, device: str) -> str:
    """Why Anemoi's kernel cannot run."""
    if not _installed("anemoi.models"):
        return "not installed"
    return "" if device == "cuda" else "runs on CUDA only"


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # a part of a package that is not there
        return False
