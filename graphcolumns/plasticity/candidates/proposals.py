"""Where candidates for new edges come from: each proposal draws (target, source) pairs.

A proposal is called with the graph, a number of pairs, a seed and the number of a round, and
returns that many pairs or fewer, edges and repetitions among them; ``draw_candidates`` sorts these
out. Every proposal is a function of its arguments, in ``O(N + E + count)`` and never with an N x N
object, except ``Everything``.

A rule takes a function from the ``Evidence`` on the edges to a proposal, its ``sampler``: below,
``uniform`` for ``Uniform`` and so on. They are ``graphcolumns.plasticity.samplers``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from graphcolumns.connect import Kernel as KernelName
from graphcolumns.connect import draws
from graphcolumns.connect.race import exponential_race
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity.candidates.mesh_parts import drawn_on_mesh, pairs_of_rows
from graphcolumns.plasticity.probe.evidence import Evidence
from graphcolumns.plasticity.probe.trace import iter_slices
from graphcolumns.random.column_draws import random_ids, random_source, stratified_targets, weighted
from graphcolumns.random.counter import derive

ALL_PAIRS = 2048  # columns up to which all pairs may be candidates
SMALL = 2**16  # pairs up to which ``thorough`` looks at all of them


class Pairs(NamedTuple):
    """Column ids, int64 on the CPU."""

    targets: Tensor  # [K]
    sources: Tensor  # [K]


class Proposal(Protocol):
    """Draws pairs."""

    def __call__(self, graph: ColumnGraph, count: int, seed: int, round_: int) -> Pairs:
        """``count`` pairs or fewer, the first draw first."""


Sampler = Callable[[Evidence], Proposal]


@dataclass(frozen=True)
class Uniform:
    """Every pair is equally likely; targets take turns, so that none is left out by chance."""

    def __call__(self, graph: ColumnGraph, count: int, seed: int, round_: int) -> Pairs:
        """``count`` pairs."""
        targets = stratified_targets(graph.num_columns, count, seed, round_)
        return Pairs(targets, random_ids(graph.num_sources, count, seed, "uniform", round_))


@dataclass(frozen=True, eq=False)
class Distance:
    """Near pairs more often: sources drawn without replacement by a kernel of their distance.

    The exact draw of ``connect.distance_decay``, on any geometry, through a spatial index. As many
    more sources are drawn per target as there are in-edges on average, which leaves at least
    ``count`` new pairs: one round is enough.

    Args:
        geometry: Places of the columns now.
        length: Scale of the kernel, in the unit of the geometry.
        kernel: Kernel, ``"exponential"``, ``"gaussian"`` or ``"power"``.
    """

    geometry: Geometry
    length: float
    kernel: KernelName = "exponential"

    def __call__(self, graph: ColumnGraph, count: int, seed: int, round_: int) -> Pairs:
        """About ``count`` pairs that are not edges; each pair once."""
        n = graph.num_columns
        self.geometry.require_columns(n)
        if graph.num_sources != n:
            raise ValueError(f"a kernel of distance needs a graph within one sheet. Got {graph}.")
        if not 0 < self.length < math.inf:
            raise ValueError(f"length must be positive and finite. Got {self.length}.")
        if round_:
            return Pairs(*torch.empty(2, 0, dtype=torch.int64))
        each = min(n - 1, math.ceil(count / n) + math.ceil(graph.num_edges / n))
        generator = np.random.Generator(np.random.Philox(derive(seed, "distance", round_)))
        if self.geometry.metric == "geodesic":
            return Pairs(*drawn_on_mesh(self.geometry, each, self._log_kernel(), generator))
        ids = exponential_race(self.geometry, each, self._log_kernel(), generator)
        return Pairs(*pairs_of_rows(torch.from_numpy(ids)))

    def _log_kernel(self) -> draws.LogKernel:
        return draws.log_kernel(self.kernel, self.length)


@dataclass(frozen=True)
class TwoHop:
    """Sources of one's sources: a random in-edge, then a random in-edge of its source."""

    def __call__(self, graph: ColumnGraph, count: int, seed: int, round_: int) -> Pairs:
        """``count`` pairs, fewer where a path ends."""
        if graph.num_sources != graph.num_columns:
            raise ValueError(f"two hops need a graph within one sheet. Got {graph}.")
        targets = stratified_targets(graph.num_columns, count, seed, round_)
        middle, first = random_source(graph, targets, seed, "first hop", round_)
        sources, second = random_source(graph, middle.clamp(min=0), seed, "second hop", round_)
        found = first & second
        return Pairs(targets[found], sources[found])


@dataclass(frozen=True, eq=False)
class Norms:
    r"""Pairs in proportion to the product of two norms, which bounds what an edge could do.

    The advantage of an insertion is :math:`g_i \cdot (v_j - o_i)`, large only where the gradient
    of the target and the value of the source are.

    Args:
        target: Norms :math:`|g_i|` of the targets, ``[N]``, not negative.
        source: Norms :math:`|v_j|` of the sources, ``[M]``, not negative.

    Source: Heddes et al., Always-sparse training by growing connections with guided stochastic
    exploration (2024), whose GraBo sampling this resembles.
    """

    target: Tensor
    source: Tensor

    def __call__(self, graph: ColumnGraph, count: int, seed: int, round_: int) -> Pairs:
        """``count`` pairs."""
        ends = ((self.target, graph.num_columns), (self.source, graph.num_sources))
        chosen = [
            weighted(weight, size, count, seed, f"norm {end}", round_)
            for end, (weight, size) in enumerate(ends)
        ]
        return Pairs(*chosen)


@dataclass(frozen=True)
class Everything:
    """All pairs: ``N M`` of them, so for small sheets and for tests only."""

    def __call__(self, graph: ColumnGraph, count: int, seed: int, round_: int) -> Pairs:
        """All pairs, whatever ``count``."""
        n, m = graph.num_columns, graph.num_sources
        if max(n, m) > ALL_PAIRS:
            raise ValueError(
                f"all pairs may be candidates up to {ALL_PAIRS} columns. Got {graph}; use "
                "Distance, TwoHop, Norms, Uniform or a Mixture."
            )
        keys = torch.arange(n * m)
        return Pairs(keys // m, keys % m)


@dataclass(frozen=True, eq=False)
class Mixture:
    """Several proposals, each with its share of the pairs.

    Args:
        parts: Proposals.
        shares: Shares of the proposals, not negative; only their proportions matter.

    Raises:
        ValueError: Not one share per part, a negative one, or all 0.
    """

    parts: Sequence[Proposal]
    shares: Sequence[float]

    def __post_init__(self) -> None:
        shares = list(self.shares)
        if len(shares) != len(self.parts) or min(shares, default=0) < 0 or not sum(shares) > 0:
            raise ValueError(
                "a mixture needs one share per part, none negative, one positive. Got "
                f"{len(self.parts)} parts and shares {shares}."
            )

    def __call__(self, graph: ColumnGraph, count: int, seed: int, round_: int) -> Pairs:
        """About ``count`` pairs, part after part."""
        total = sum(self.shares)
        drawn = [
            part(graph, math.ceil(count * share / total), derive(seed, f"part {number}"), round_)
            for number, (part, share) in enumerate(zip(self.parts, self.shares, strict=True))
            if share
        ]
        return Pairs(*(torch.cat(ends) for ends in zip(*drawn, strict=True)))


def uniform(edges: Evidence) -> Proposal:
    """Every pair alike: ``Uniform``."""
    return Uniform()


def distance(edges: Evidence, length: float = 2.0, kernel: KernelName = "exponential") -> Proposal:
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
