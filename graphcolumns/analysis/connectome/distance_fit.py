"""Rules by which the probability of an edge falls with distance, fitted and compared."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from graphcolumns.analysis.connectome.pairs import Floats, joined_pairs
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph

Bools = NDArray[np.bool_]
Shape = Literal["exponential", "power", "gaussian"]
# What the logarithm of each rule is linear in.
TRANSFORMS: dict[Shape, Callable[[Floats], Floats]] = {
    "exponential": lambda d: d,
    "power": lambda d: np.log(d),
    "gaussian": lambda d: d**2,
}
# Pairs that are measured, or those of so many columns if that is more.
PAIRS, TARGETS = 200_000, 64
STEPS, TOLERANCE = 100, 1e-10


class DistanceFit(NamedTuple):
    r"""One rule of distance.

    Args:
        shape: ``"exponential"`` :math:`e^{-\lambda d}`, ``"power"`` :math:`d^{-\lambda}` or
            ``"gaussian"`` :math:`e^{-\lambda d^2}`.
        rate: :math:`\lambda`, per unit of length, a pure number, or per square of the unit.
        scale: Logarithm of the factor of the rule.
        log_likelihood: Logarithm of the likelihood of the pairs that were measured.
        aic: Akaike's information criterion, ``4 - 2 log_likelihood``; smaller is better.
    """

    shape: Shape
    rate: float
    scale: float
    log_likelihood: float
    aic: float

    def probability(self, distance: Floats) -> Floats:
        """Probability that columns at a distance are joined, of the shape of the distances."""
        return -np.expm1(-np.exp(self.scale - self.rate * TRANSFORMS[self.shape](distance)))


class DistanceFits(NamedTuple):
    r"""Three rules of distance, fitted to the same pairs.

    Args:
        fits: Exponential, power and Gaussian rule.
        pair_mean: Mean distance of the pairs, in the unit of the geometry.
        scaled_rate: :math:`\lambda \langle d \rangle` of the exponential rule, without a unit, by
            which sheets and species of different size are compared.
        best: Shape of the smallest AIC.
        pairs: Number of pairs that were measured.
    """

    fits: tuple[DistanceFit, ...]
    pair_mean: float
    scaled_rate: float
    best: Shape
    pairs: int


def fit_distance_rules(graph: ColumnGraph, geometry: Geometry, seed: int = 0) -> DistanceFits:
    r"""Fit how the probability that two columns are joined falls with their distance.

    .. math::
        P(i - j \mid d) = 1 - \exp\left(-c\, f_\lambda(d)\right)

    which is :math:`c f_\lambda(d)` for sparse graphs, and the probability of a pair when pairs are
    drawn one after another in proportion to :math:`f_\lambda`, each once, for dense ones. Scale and
    rate maximise the likelihood of all pairs (of more than 632 columns, of those of some columns,
    drawn at random). Directions, weights and self-edges are left out.

    Args:
        graph: Edges among columns.
        geometry: Positions of the columns.
        seed: Seed of the draw of columns.

    Returns:
        Three fits. Pairs that no path joins are left out.

    Raises:
        ValueError: No pair is joined, or all are; the joined pairs are all the nearest or all the
            farthest, so that no rate is the best; two columns at one position; a geometry of
            another number of columns; a bipartite graph.

    Source: Ercsey-Ravasz et al., A predictive network model of cerebral cortical connectivity based
    on a distance rule, Neuron 80 (2013).
    """
    lengths, joined = measured_pairs(graph, geometry, seed)
    if not joined.any() or joined.all():
        some = "all" if len(joined) and joined.all() else "none"
        raise ValueError(
            f"a rule of distance needs pairs that are joined and pairs that are not. Got {some} of "
            f"{len(joined)} joined; pass a sparser or a denser graph."
        )
    if not lengths.min() > 0:
        raise ValueError(
            "a rule of distance needs columns at different positions. Got two at one; move them "
            "apart."
        )
    fits = tuple(_fit(shape, lengths, joined) for shape in TRANSFORMS)
    best = min(fits, key=lambda fit: fit.aic).shape
    mean = float(lengths.mean())
    return DistanceFits(fits, mean, fits[0].rate * mean, best, len(lengths))


@torch.no_grad()
def measured_pairs(graph: ColumnGraph, geometry: Geometry, seed: int = 0) -> tuple[Floats, Bools]:
    """Distances of pairs of different columns, and whether each is joined, ``[P]`` both.

    Args:
        graph: Edges among columns.
        geometry: Positions of the columns.
        seed: Seed of the draw of columns, of more than 632.
    """
    geometry.require_columns(graph.num_columns)
    matrix = joined_pairs(graph).matrix()
    n = graph.num_columns
    if n * (n - 1) // 2 <= PAIRS:
        target, source = np.triu_indices(n, 1)
    else:
        drawn = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
        rows = drawn[: max(TARGETS, PAIRS // n)].sort().values.numpy()
        target, source = np.repeat(rows, n), np.tile(np.arange(n), len(rows))
        # A pair of drawn columns counts once.
        both = np.isin(source, rows) & (source <= target)
        target, source = target[~both], source[~both]
    ends = torch.from_numpy(target.astype(np.int64)), torch.from_numpy(source.astype(np.int64))
    lengths = geometry.distance(*ends).double().cpu().numpy()
    # A single column has no pair, which scipy would not index.
    joined = np.asarray(matrix[target, source]).ravel() > 0 if n > 1 else np.empty(0, dtype=bool)
    there = np.isfinite(lengths)
    return lengths[there], joined[there]


def _fit(shape: Shape, lengths: Floats, joined: Bools) -> DistanceFit:
    """Maximise the likelihood by Newton's method; it is concave in scale and rate."""
    value = TRANSFORMS[shape](lengths)
    low, high = value[joined], value[~joined]
    if low.max() <= high.min() or low.min() >= high.max():
        raise ValueError(
            "a rule of distance needs joined and unjoined pairs at overlapping distances. Got "
            "joined pairs that are all the nearest, or all the farthest; no rate is the best."
        )
    middle, width = float(value.mean()), float(value.std())
    design = np.stack([np.ones(len(value)), (value - middle) / width])
    found = np.array([math.log(-math.log1p(-joined.mean())), 0.0])
    now = _likelihood(found @ design, joined)
    for _ in range(STEPS):
        step = _newton(found @ design, joined, design)
        while (then := _likelihood((found + step) @ design, joined)) < now and abs(step).max() > 0:
            step = step / 2
        found = found + step
        if then - now <= TOLERANCE * (1 + abs(now)) and abs(step).max() < 1e-8:
            break
        now = then
    rate = -found[1] / width
    scale = float(found[0] + rate * middle)
    final = _likelihood(found @ design, joined)
    return DistanceFit(shape, float(rate), scale, final, 4 - 2 * final)


def _likelihood(eta: Floats, joined: Bools) -> float:
    hazard = np.exp(np.minimum(eta, 700))
    log_joined = np.log(np.maximum(-np.expm1(-hazard), 1e-300))
    return float(np.where(joined, log_joined, -hazard).sum())


def _newton(eta: Floats, joined: Bools, design: Floats) -> Floats:
    """The step of Fisher scoring, whose matrix is positive definite."""
    hazard = np.exp(np.clip(eta, -700, 700))
    absent = np.exp(-hazard)
    present = np.maximum(-np.expm1(-hazard), 1e-300)
    slope = np.where(joined, hazard * absent / present, -hazard)
    curvature = hazard**2 * absent / present
    gradient = design @ slope
    matrix = (design * curvature) @ design.T
    return np.linalg.solve(matrix + 1e-12 * np.trace(matrix) * np.eye(2), gradient)
