"""Predictive coding models, from sizes or from a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import Any, Literal

from graphcolumns.connect import complete_between
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.neurodynamics.predictive_coding import Link, PredictiveCodingModel
from graphcolumns.nn.dynamics import Layer, mupc_scales

Loss = Literal["squared", "cross_entropy"]


def layered_predictive_coding(
    sizes: Sequence[int],
    *,
    activation: str = "tanh",
    residual: bool = False,
    mupc: bool = False,
    loss: Loss = "cross_entropy",
    bias: bool = True,
    graphs: Mapping[str, ColumnGraph] | None = None,
) -> PredictiveCodingModel:
    r"""A discriminative network: the input predicts the label, layer by layer.

    Layers are ``"input"``, ``"layer1"``, ... and ``"label"``; the link that predicts a layer has
    its name. Evaluation is one feed-forward pass.

    Args:
        sizes: Sizes of all layers, input and label included.
        activation: Activation of hidden layers.
        residual: Whether hidden layers of equal size also predict the next by a copy.
        mupc: Whether predictions are scaled for depth, see
            :func:`~graphcolumns.nn.dynamics.mupc_scales`; needs ``residual``. In sparse graphs the
            mean in-degree takes the place of the size.
        loss: Cost of the label: ``"cross_entropy"`` or ``"squared"``.
        bias: Whether columns have a bias.
        graphs: Edges of some links in place of complete graphs, by name.

    Raises:
        ValueError: Fewer than three sizes, graphs that do not fit them, ``mupc`` without
            ``residual``.
    """
    _check_sizes(sizes)
    if mupc and not residual:
        raise ValueError("mupc scales residual networks. Got residual=False; pass True.")
    names = ["input", *(f"layer{i}" for i in range(1, len(sizes) - 1)), "label"]
    edges = _graphs(names, sizes, graphs or {})
    scales = _scales(sizes, list(edges.values())) if mupc else [None] * len(edges)
    links, skips = {}, []
    for (source, target), a in zip(pairwise(names), scales, strict=True):
        first, last = source == "input", target == "label"
        plain = first if residual else last
        f = "identity" if plain else activation
        links[target] = Link(source, target, edges[target], f, residual, a)
        graph = edges[target]
        if residual and not first and not last and graph.num_columns == graph.num_sources:
            skips.append((source, target))
    layers = {name: Layer((size, 1)) for name, size in zip(names, sizes, strict=True)}
    layers["label"] = Layer((sizes[-1], 1), loss=loss)
    return PredictiveCodingModel(layers, links, skips=skips, bias=bias)


def generative_predictive_coding(
    sizes: Sequence[int],
    *,
    activation: str = "tanh",
    shrinkage: float = 0.0,
    nonnegative: bool = False,
    steps: int = 100,
    dt: float = 0.1,
    initialiser: bool = False,
) -> PredictiveCodingModel:
    """A generative network: the label predicts the layer below, down to the input.

    While it learns, input and label are clamped. Evaluation infers the label from the input, in
    ``steps`` steps, from zero or from a learned first guess.

    Args:
        sizes: Sizes of all layers from the input to the label.
        activation: Activation of predictions of hidden layers; that of the input is linear.
        shrinkage: Price of activity of hidden layers.
        nonnegative: Whether hidden layers are kept at 0 or above.
        steps: Steps of inference at evaluation.
        dt: Time step of inference at evaluation.
        initialiser: Whether a first guess is learned.

    Raises:
        ValueError: Fewer than three sizes.
    """
    _check_sizes(sizes)
    names = ["input", *(f"layer{i}" for i in range(1, len(sizes) - 1)), "label"]
    links = {
        below: Link(
            above, below, complete_between(n, m), "identity" if below == "input" else activation
        )
        for (below, above), (n, m) in zip(pairwise(names), pairwise(sizes), strict=True)
    }
    layers = {name: Layer((size, 1)) for name, size in zip(names, sizes, strict=True)}
    for name, size in zip(names[1:-1], sizes[1:-1], strict=True):
        layers[name] = Layer((size, 1), shrinkage=shrinkage, nonnegative=nonnegative)
    guessed = names[1:] if initialiser else []
    return PredictiveCodingModel(layers, links, steps=steps, dt=dt, initialiser=guessed)


def predictive_columns(
    graph: ColumnGraph,
    num_outputs: int,
    spec: Any = None,
    *,
    inputs: int | None = None,
    activation: str = "tanh",
    loss: Loss = "cross_entropy",
    steps: int = 30,
    dt: float = 0.2,
) -> PredictiveCodingModel:
    """Columns of a sheet that predict each other along a graph, with cycles or without.

    The input predicts the columns, columns predict columns along ``graph``, and all of them
    predict the label. Evaluation infers: input clamped, columns and label free. The graph is the
    first of the model: rules prune and regrow it.

    Args:
        graph: Edges among the columns.
        num_outputs: Number of classes, or of values.
        spec: Spec of the data, which has the size of the input.
        inputs: Number of values of an input, in place of ``spec``.
        activation: Activation of the columns.
        loss: Cost of the label.
        steps: Steps of inference at evaluation.
        dt: Time step of inference at evaluation.

    Raises:
        ValueError: Neither ``spec`` nor ``inputs``.
    """
    size = prod(spec.inputs[0].shape) if inputs is None and spec is not None else inputs
    if size is None:
        raise ValueError("the size of an input must be known. Got neither spec nor inputs.")
    n = graph.num_columns
    links = {
        "columns": Link("columns", "columns", graph, activation),
        "input": Link("input", "columns", complete_between(n, size)),
        "label": Link("columns", "label", complete_between(num_outputs, n)),
    }
    layers = {"input": Layer((size, 1)), "columns": Layer((n, 1))}
    layers["label"] = Layer((num_outputs, 1), loss=loss)
    return PredictiveCodingModel(layers, links, steps=steps, dt=dt)


def _check_sizes(sizes: Sequence[int]) -> None:
    if len(sizes) < 3 or min(sizes) < 1:
        raise ValueError(
            "sizes must be three or more, all 1 or above: input, hidden layers, label. Got "
            f"{list(sizes)}; between input and label something must be inferred."
        )


def _graphs(
    names: Sequence[str], sizes: Sequence[int], given: Mapping[str, ColumnGraph]
) -> dict[str, ColumnGraph]:
    """The edges of every link, by the name of its target."""
    if unknown := [name for name in given if name not in names[1:]]:
        raise ValueError(
            f"graphs must name links. Expected some of {', '.join(map(repr, names[1:]))}. Got "
            f"{unknown[0]!r}."
        )
    pairs = zip(names[1:], pairwise(sizes), strict=True)
    return {name: given.get(name) or complete_between(n, m) for name, (m, n) in pairs}


def _scales(sizes: Sequence[int], graphs: Sequence[ColumnGraph]) -> list[float | None]:
    degrees = [max(1, round(graph.num_edges / graph.num_columns)) for graph in graphs]
    return list(mupc_scales([*degrees, sizes[-1]]))
