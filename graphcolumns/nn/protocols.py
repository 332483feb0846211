"""What the library requires of a model and of a module, in one place.

**A model** is a ``torch.nn.Module`` that keeps the graphs along which its columns exchange values,
takes others in their place, and returns a :class:`ModelOutput`; see :class:`ColumnModel`.

**A module** of the model may say more about itself. Every hook is optional:

``edge_tensors``
    Names of its parameters and buffers whose first dimension is E. They move with their edges when
    the graph changes; those that are None are skipped. They belong to the graph that the module
    keeps, or that the nearest module around it keeps. A module that keeps several graphs says to
    which of them each tensor belongs: a mapping from the name of the tensor to that of the graph.
    Graphs with the same edges have names of their own, :meth:`.ColumnGraph.named`.
``column_tensors``
    Names of its parameters and buffers whose first dimension is N. They are inherited, column by
    column, when a model is rebuilt with other columns.
``own_columns``
    True if the columns of its parts are not those of the model, so that rebuilding copies them
    whole.
``rescaled(coarse, columns)``
    A method that takes over what it needs from the same module of another model, in place of that
    copying.
``rewired(graph)`` or ``rewired(graph, name)``
    A method that takes a new graph after its edges changed. A module that keeps a graph must have
    it; one that keeps several gets the name of the one that changed.
``after_step()``
    A method called after every optimizer step, for rules that parameters must keep to.
``no_weight_decay``
    Names of its parameters that are never decayed.
``decayed``
    Names of its vectors that are decayed, such as weights per edge; matrices are decayed anyway.
``mixture_maps()`` and ``mixture_graphs()``
    Methods of the model that return the learned mixture coefficients of its columns, each [N, R],
    and the graph under each of them (default: the first graph), for the loss term ``variation``.
``relaxation(inputs)``
    A method of a model that settles: a :class:`~graphcolumns.nn.dynamics.Relaxation` with energy
    and residual along the way and states of the columns ``[T, N, B, C]``, which reports play.
``own_gradients()``
    A method of a model that learns by passes of its own: a context manager in which derivatives of
    its output are those that it learns from, not those of backpropagation. Edges are scored in it.
``learned_by(rule)``
    A method of the model that training calls with the learning rule before the first step.
``recorder``
    A class attribute, normally None; set only while records of what the module computes along
    edges are kept, see ``graphcolumns.nn.recording``.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph

# Name of the graph of a model that has only one.
ONLY = "graph"


class ModelOutput(NamedTuple):
    """The result of a forward pass.

    A model of your own may return any object with a ``prediction``. The library reads the other
    attributes where they are there: extra losses and reports say which of them they need.

    Attributes:
        prediction: Value that is compared with the targets: logits ``[B, K]``, responses, a
            reconstruction.
        state: State of the columns after the last step, ``[N, B, C]``, or None.
        cost: Expected cost of every column, ``[T, N, B, H]``, or None; with communicability
            ``[1, N, 1, 1]``, because that is one number for all steps, samples and heads.
        states: State of the columns after every step, ``[T, N, B, C]``, or None.
        energy: Energy that a model with one has reached, ``[B]``, or None.
        iterations: Steps until a model that settles has settled, ``[B]``, or None.
    """

    prediction: Tensor
    state: Tensor | None = None
    cost: Tensor | None = None
    states: Tensor | None = None
    energy: Tensor | None = None
    iterations: Tensor | None = None


def prediction_of(output: Any, samples: int | None = None) -> Tensor:
    """The prediction in what a model returned.

    Args:
        output: Output of a model.
        samples: Number of samples that the model was given (default: not compared).

    Raises:
        TypeError: There is no prediction.
        ValueError: It is of another number of samples.
    """
    prediction = getattr(output, "prediction", None)
    if torch.is_tensor(prediction):
        if samples is not None and (not prediction.ndim or len(prediction) != samples):
            raise ValueError(
                f"a prediction must have one row per sample, [B, ...] with B = {samples}. Got "
                f"{list(prediction.shape)}; columns come first in a state [N, B, C], samples in a "
                "prediction."
            )
        return prediction
    named = getattr(output, "logits", None) is not None
    raise TypeError(
        "model(inputs) must return an output with a tensor named prediction, such as ModelOutput. "
        f"Got {type(output).__name__}"
        + (" with logits; name them prediction." if named else "; return ModelOutput(prediction).")
    )


class ColumnModel(Protocol):
    """A model of columns on one or several graphs.

    A model with one graph may keep it as ``graph`` and leave ``graphs`` out, may leave the name out
    of :meth:`rewired`, and may leave out :meth:`describe`. Read a model through :func:`graphs_of`,
    :func:`graph_of` and :func:`description_of`, which have these defaults.
    """

    @property
    def graphs(self) -> Mapping[str, ColumnGraph]:
        """The graphs of the model by name, the one that is rewired by default first."""

    def rewired(self, graph: ColumnGraph, name: str) -> None:
        """Takes ``graph`` in place of ``graphs[name]``, after tensors per edge were carried."""

    def forward(self, inputs: Any) -> ModelOutput:
        """Runs on a batch of inputs: a tensor, or a mapping of tensors."""

    def describe(self) -> str:
        """The first sentence of a report on this model."""


def graphs_of(model: nn.Module) -> Mapping[str, ColumnGraph]:
    """All graphs of a model by name: ``model.graphs``, or ``model.graph`` alone.

    Raises:
        TypeError: The model has neither, or one of them is not a :class:`ColumnGraph`.
    """
    graphs = getattr(model, "graphs", None)
    if graphs is None:
        graphs = {ONLY: getattr(model, "graph", None)}
    if not isinstance(graphs, Mapping) or not graphs:
        got = "no graph" if isinstance(graphs, Mapping) else type(graphs).__name__
        raise TypeError(
            f"model.graphs must be a mapping from names to ColumnGraphs. Got {got} from "
            f"{type(model).__name__}."
        )
    for name, graph in graphs.items():
        if not isinstance(graph, ColumnGraph):
            where = "model.graph" if name == ONLY else f"model.graphs[{name!r}]"
            raise TypeError(
                f"{where} must be a ColumnGraph. Got {type(graph).__name__} from "
                f"{type(model).__name__}; keep the edges there, self.graph = graph. What is "
                "trained without edges needs a loop of its own."
            )
    return graphs


def graph_of(model: nn.Module, name: str | None = None) -> ColumnGraph:
    """One graph of a model.

    Args:
        model: A model, see :class:`ColumnModel`.
        name: Name of the graph among ``model.graphs`` (default: the first).

    Raises:
        TypeError: As :func:`graphs_of`.
        ValueError: The model has no graph of this name.
    """
    graphs = graphs_of(model)
    if name is None:
        return next(iter(graphs.values()))
    if name not in graphs:
        raise ValueError(
            f"graph must name a graph of the model. Expected one of "
            f"{', '.join(map(repr, graphs))}. Got {name!r}."
        )
    return graphs[name]


def own_gradients_of(model: nn.Module) -> AbstractContextManager[None]:
    """The context in which edges are scored: the model's own, or one that changes nothing.

    A model that learns by passes of its own has a method ``own_gradients()``; of all others the
    derivatives are those of backpropagation.
    """
    found = getattr(model, "own_gradients", None)
    return nullcontext() if found is None else found()


def description_of(model: nn.Module) -> str:
    """One sentence on a model: its own ``describe()``, or its class, parameters and graphs."""
    describe = getattr(model, "describe", None)
    if describe is not None:
        return str(describe())
    count = sum(p.numel() for p in model.parameters())
    graphs = [
        f"{graph.num_columns:,} columns and {graph.num_edges:,} edges"
        + ("" if name == ONLY else f" ({name})")
        for name, graph in graphs_of(model).items()
    ]
    return f"{type(model).__name__} with {count:,} parameters on {', and '.join(graphs)}."
