"""A trained run, as a study sees it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from torch import nn

from graphcolumns.data import AnyDataset
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.training import TrainOptions


class Retrained(NamedTuple):
    """A model trained from scratch on a graph that stays as it is, with what its run reported."""

    model: nn.Module
    summary: Mapping[str, Any]


class Retrain(Protocol):
    """Trains the model of a run again, from scratch, on another graph."""

    def __call__(self, graph: ColumnGraph, seed: int | None = None) -> Retrained:
        """Train without a rule of plasticity, otherwise as the run was trained.

        Args:
            graph: Edges, with measured distances, between the columns of the run.
            seed: Seed of the initial weights and of the order of samples; None: that of the run.
        """
        ...


class StudyRun(NamedTuple):
    """A trained run. Every column id is the user's, as from ``graphcolumns.load``.

    Attributes:
        folder: Run folder, with ``summary.json``, ``metrics.jsonl`` and ``edges.jsonl``.
        geometry: Positions of the columns at the end.
        graph: Edges at the end.
        data: Data set, which says the task.
        model: Trained model, in evaluation mode.
        untrained: The same model as it began: first edges, first weights.
        initial_graph: Edges at the start.
        options: Options of the training.
        retrain: Trains from scratch on another graph.
    """

    folder: Path
    geometry: Geometry
    graph: ColumnGraph
    data: AnyDataset
    model: nn.Module
    untrained: nn.Module
    initial_graph: ColumnGraph
    options: TrainOptions
    retrain: Retrain
