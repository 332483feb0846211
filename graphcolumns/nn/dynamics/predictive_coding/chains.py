"""Layered networks: in which direction they predict, and how their depth is scaled."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import Literal

from torch import Tensor

from graphcolumns.nn.dynamics.predictive_coding.activation import Activation, identity
from graphcolumns.nn.dynamics.predictive_coding.connection import Connection
from graphcolumns.nn.dynamics.predictive_coding.dense import Dense
from graphcolumns.nn.dynamics.predictive_coding.layer import Layer
from graphcolumns.nn.dynamics.predictive_coding.network import PredictiveCoding
from graphcolumns.nn.dynamics.predictive_coding.skip import Skip


def discriminative(
    weights: Sequence[Tensor],
    *,
    activation: Activation = identity,
    residual: bool = False,
    scales: Sequence[float] | None = None,
    output_precision: float = 1.0,
    clamped: Sequence[str] | None = None,
    form: Literal["state", "error"] = "state",
) -> PredictiveCoding:
    r"""A dense network whose input predicts its label: :math:`e_l = x_l - f(W_l x_{l-1})`.

    Layers are ``"layer0"``, the input, to ``"layerL"``, the label, whose prediction is linear. With
    the label free, all errors are 0 at the feed-forward pass: inference changes nothing. With it
    clamped, inference spreads the error of the output over the layers, and weights learn from it.

    Args:
        weights: Matrices ``[n_l, n_{l-1}]``, from input to label.
        activation: Activation of the hidden layers.
        residual: Whether hidden layers also predict by a copy,
            :math:`\hat x_l = x_{l-1} + a_l W_l f(x_{l-1})`, where sizes are equal.
        scales: Factor of every prediction, see :func:`mupc_scales` (default: 1).
        output_precision: Precision of the label.
        clamped: Names of clamped layers (default: input and label).
        form: Variables of the dynamics, ``"state"`` or ``"error"``.

    Raises:
        ValueError: No weight, sizes that do not fit, or another number of scales than of weights.
    """
    sizes = chain_sizes(weights)
    factors = checked_scales(scales, len(weights))
    links: list[Connection] = []
    for depth, (weight, a) in enumerate(zip(weights, factors, strict=True), 1):
        source, target = f"layer{depth - 1}", f"layer{depth}"
        last, first = depth == len(weights), depth == 1
        if residual:
            f = identity if first else activation
            links.append(Dense(source, target, f, True, a, weight=weight))
            if not first and not last and weight.shape[0] == weight.shape[1]:
                links.append(Skip(source, target))
        else:
            links.append(
                Dense(source, target, identity if last else activation, False, a, weight=weight)
            )
    layers = {f"layer{i}": Layer(n) for i, n in enumerate(sizes)}
    top = f"layer{len(weights)}"
    layers[top] = Layer(sizes[-1], precision=output_precision)
    return PredictiveCoding(layers, links, tuple(clamped or ("layer0", top)), form)


def generative(
    weights: Sequence[Tensor],
    *,
    activation: Activation = identity,
    shrinkage: float | Sequence[float] = 0.0,
    nonnegative: bool = False,
    clamped: Sequence[str] | None = None,
    form: Literal["state", "error"] = "state",
) -> PredictiveCoding:
    r"""A dense network that predicts the layer below: :math:`e_{l-1} = x_{l-1} - f(W_l x_l)`.

    With shrinkage this is hierarchical sparse coding with feedback: a layer settles between what it
    explains below and what the layer above expects of it. One layer is LASSO, and has the codes
    of :class:`LCA`. Layers are ``"layer0"``, the input, to ``"layerL"``, the top, which nothing
    predicts; it is read. Labels may be clamped there while learning, and are inferred afterwards.

    Args:
        weights: Matrices ``[n_{l-1}, n_l]``, from the input up.
        activation: Activation of all predictions.
        shrinkage: Price of activity of all layers above the input, or of each of them.
        nonnegative: Whether the layers above the input are kept at 0 or above.
        clamped: Names of clamped layers (default: the input).
        form: Variables of the dynamics; ``"error"`` allows shrinkage at the top only.

    Raises:
        ValueError: No weight, sizes that do not fit, a number of shrinkages that is not that of
            weights.

    Source: the hierarchy of NeurodynamicalSystems.jl (Smith, 2023-24); with two layers of sparse
    codes, Boutin et al., Sparse deep predictive coding, PLOS Computational Biology 2021,
    https://doi.org/10.1371/journal.pcbi.1008629.
    """
    sizes = chain_sizes([w.T for w in weights])
    prices = [shrinkage] * len(weights) if isinstance(shrinkage, float | int) else list(shrinkage)
    if len(prices) != len(weights):
        raise ValueError(
            f"shrinkage must have one number per layer above the input. Expected {len(weights)}. "
            f"Got {len(prices)}."
        )
    layers = {"layer0": Layer(sizes[0])}
    for depth, (size, price) in enumerate(zip(sizes[1:], prices, strict=True), 1):
        layers[f"layer{depth}"] = Layer(size, shrinkage=price, nonnegative=nonnegative)
    links = [
        Dense(f"layer{depth}", f"layer{depth - 1}", activation, weight=weight)
        for depth, weight in enumerate(weights, 1)
    ]
    return PredictiveCoding(layers, links, tuple(clamped or ("layer0",)), form)


def mupc_scales(sizes: Sequence[int]) -> tuple[float, ...]:
    r"""Factors of predictions with which deep residual networks keep their size at any depth.

    .. math::
        a_1 = n_0^{-1/2}, \qquad a_l = (n_{l-1} L)^{-1/2}, \qquad a_L = n_{L-1}^{-1}

    for a network of L weight matrices between layers of sizes :math:`n_0, \dots, n_L`, whose
    weights start normally distributed with variance 1 and whose hidden predictions have a copy of
    the layer below (``residual=True``).

    Args:
        sizes: Sizes of all layers, input and output included: three or more.

    Raises:
        ValueError: Fewer than three sizes, or one below 1.

    Source: Innocenti, Achour & Buckley, muPC: scaling predictive coding to 100+ layer networks,
    NeurIPS 2025, https://arxiv.org/abs/2505.13124; the factors as in the example of the authors'
    library, https://github.com/thebuckleylab/jpc (examples/mupc.ipynb).
    """
    if len(sizes) < 3 or min(sizes) < 1:
        raise ValueError(
            "sizes must be three or more, all 1 or above: input, hidden, output. Got "
            f"{list(sizes)}."
        )
    depth = len(sizes) - 1
    hidden = [1 / sqrt(n * depth) for n in sizes[1:-2]]
    return (1 / sqrt(sizes[0]), *hidden, 1 / sizes[-2])


def chain_sizes(weights: Sequence[Tensor]) -> list[int]:
    """Sizes of layers between which matrices ``[n_l, n_{l-1}]`` stand.

    Raises:
        ValueError: No weight, or sizes that do not fit.
    """
    if not weights:
        raise ValueError("weights must have one matrix or more. Got none.")
    for below, above in pairwise(weights):
        if above.shape[1] != below.shape[0]:
            raise ValueError(
                "the sizes of neighbouring weights must fit. Got "
                f"{', '.join(str(list(w.shape)) for w in weights)}, as they predict."
            )
    return [weights[0].shape[1], *(w.shape[0] for w in weights)]


def checked_scales(scales: Sequence[float] | None, count: int) -> Sequence[float]:
    """One factor per weight.

    Raises:
        ValueError: Another number of them.
    """
    if scales is None:
        return [1.0] * count
    if len(scales) != count:
        raise ValueError(
            f"scales must have one number per weight. Expected {count}. Got {len(scales)}."
        )
    return scales
