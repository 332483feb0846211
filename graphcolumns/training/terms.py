"""Loss terms: a loss of ``losses``, applied to what a model returned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import torch
from torch import Tensor, nn

from graphcolumns.data import Task
from graphcolumns.data.tasks import task_named
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.protocols import graph_of, prediction_of
from graphcolumns.training import losses
from graphcolumns.training.column_kernels import column_kernels

# (model, its output, targets) -> scalar. An output has a prediction [B, K], state [N, B, C] and
# cost [T, N, B, H] or None.
Term = Callable[[nn.Module, Any, Tensor], Tensor]


def wiring(model: nn.Module, output: Any, targets: Tensor) -> Tensor:
    """``losses.wiring`` of the cost that the model's attention paid."""
    if output.cost is None:
        _missing(
            model,
            "wiring",
            "no cost: build it with a wiring cost (model.cost.wiring=distance; in Python "
            "cost={'wiring': 'distance'})",
        )
    return losses.wiring(output.cost)


def activity(model: nn.Module, output: Any, targets: Tensor) -> Tensor:
    """``losses.activity_sparsity`` of the last state."""
    return losses.activity_sparsity(output.state)


def smoothness(model: nn.Module, output: Any, targets: Tensor) -> Tensor:
    """``losses.feature_smoothness`` of the last state along the model's graph, or its first one."""
    return losses.feature_smoothness(output.state, _graph(model))


def weight_smoothness(model: nn.Module, output: Any, targets: Tensor) -> Tensor:
    """``losses.weight_difference``, averaged over the modules with weights per column."""
    values = [losses.weight_difference(*found) for found in column_kernels(model)]
    if not values:
        remedy = (
            "build it with untied weights (model.weights.attention=untied), or name those of your "
            "modules in column_tensors"
        )
        _missing(model, "weight_smoothness", f"no trained weights per column: {remedy}")
    return torch.stack(values).mean()


def variation(model: nn.Module, output: Any, targets: Tensor) -> Tensor:
    """``losses.total_variation``, averaged over the learned mixtures of the model."""
    several: Any = model
    maps: list[Tensor] = several.mixture_maps() if hasattr(model, "mixture_maps") else []
    if not maps:
        remedy = "build it with weights={'attention': 'mixture'}, or give it a method mixture_maps"
        _missing(model, "variation", f"no learned mixture of weights: {remedy}")
    own = hasattr(model, "mixture_graphs")
    graphs = several.mixture_graphs() if own else [_graph(model)] * len(maps)
    values = [losses.total_variation(c, graph) for c, graph in zip(maps, graphs, strict=True)]
    return torch.stack(values).mean()


TERMS: Mapping[str, Term] = {
    "wiring": wiring,
    "activity": activity,
    "smoothness": smoothness,
    "weight_smoothness": weight_smoothness,
    "variation": variation,
}


def _graph(model: nn.Module) -> ColumnGraph:
    graph = getattr(model, "graph", None)
    return graph if isinstance(graph, ColumnGraph) else graph_of(model)


def _missing(model: nn.Module, name: str, remedy: str) -> NoReturn:
    raise ValueError(
        f"the loss term {name!r} cannot be computed: {type(model).__name__} has {remedy}, or set "
        f"the weight of {name!r} to 0."
    )


def task_term(task: Task) -> Term:
    """The loss of the task as a term."""

    def term(model: nn.Module, output: Any, targets: Tensor) -> Tensor:
        return task.loss(prediction_of(output, len(targets)), targets)

    return term


@dataclass(frozen=True)
class SampleLosses:
    """The loss of every sample, ``[B]``, from what a model returned and the targets.

    Attributes:
        task: Task whose loss it is.
    """

    task: Task

    @property
    def answers(self) -> Literal["classes", "bits"] | None:
        """Kind of labels that the model's own prediction defines, as the task says."""
        return self.task.answers

    def __call__(self, output: Any, targets: Tensor) -> Tensor:
        """The losses of a batch."""
        return self.task.per_sample(output.prediction, targets)


def per_sample(task: Task | str) -> SampleLosses:
    """The loss of every sample of a task, or of the task of that name."""
    return SampleLosses(task_named(task))
