"""Where candidates come from, as rules take it: from ``Evidence`` on the edges to a proposal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from graphcolumns.connect import Kernel
from graphcolumns.plasticity.candidates.draw import Everything
from graphcolumns.plasticity.candidates.proposals import (
    Distance,
    Mixture,
    Norms,
    Proposal,
    TwoHop,
    Uniform,
)
from graphcolumns.plasticity.probe.evidence import Evidence
from graphcolumns.plasticity.probe.trace import iter_slices

Sampler = Callable[[Evidence], Proposal]
SMALL = 2**16  # pairs


def uniform(edges: Evidence) -> Proposal:
    """Every pair alike: ``Uniform``."""
    return Uniform()


def distance(edges: Evidence, length: float = 2.0, kernel: Kernel = "exponential") -> Proposal:
    """Near pairs more often, ``length`` in the unit of the geometry: ``Distance``."""
    return Distance(edges.geometry, length, kernel)


def two_hop(edges: Evidence) -> Proposal:
    """Sources of one's sources: ``TwoHop``."""
    return TwoHop()


def everything(edges: Evidence) -> Proposal:
    """All pairs, up to 2048 columns: ``Everything``."""
    return Everything()


def thorough(edges: Evidence) -> Proposal:
    """All pairs of a small sheet; else by chance, by norms and along two hops, a third each.

    Up to ``2 ** 16`` pairs, 256 columns, looking at all of them costs little more than at some. In
    a large bipartite graph there are no two hops: by chance and by norms, half each.
    """
    graph = edges.graph
    if graph.num_columns * graph.num_sources <= SMALL:
        return Everything()
    parts: list[Proposal] = [Uniform(), norms(edges)]
    if graph.num_columns == graph.num_sources:
        parts.append(TwoHop())
    return Mixture(parts, [1.0] * len(parts))


def norms(edges: Evidence) -> Proposal:
    """Sources with large values for targets with large gradients, in one more pass: ``Norms``."""
    probe = edges.probe
    batch = probe.inputs, probe.labels
    gradients: Tensor | float = 0.0
    values: Tensor | float = 0.0
    slices = iter_slices(
        probe.model, *batch, probe.losses, graph=probe.graph, slice_size=probe.slice_size
    )
    for part in slices:
        if part.attention is not None:
            gradients = gradients + _norm(part.attention.grad_out)
            values = values + _norm(part.attention.v)
        for each in part.linear:
            gradients = gradients + _norm(each.grad_out[None, :, :, None])
            values = values + _norm(each.x[None, :, :, None])
    return Norms(torch.as_tensor(gradients), torch.as_tensor(values))


def mixture(edges: Evidence, parts: Sequence[Sampler], shares: Sequence[float]) -> Proposal:
    """Several, each with its share of the candidates: ``Mixture``."""
    return Mixture([part(edges) for part in parts], shares)


def _norm(x: Tensor) -> Tensor:
    """``[T, N, b, H, D]`` -> ``[N]``: summed over steps and samples."""
    return x.flatten(-2).norm(dim=-1).sum((0, 2)).double().cpu()
