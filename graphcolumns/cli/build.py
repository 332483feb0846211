"""From a configuration to the things that it names."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from hydra.utils import instantiate
from torch import Tensor, nn

from graphcolumns.cli.check import OPTIONAL, OPTIONS, CheckedConfig
from graphcolumns.cli.graph_rules import map_rules
from graphcolumns.cli.metrics import Table
from graphcolumns.cli.order import (
    BEFORE_GRAPH,
    as_graph,
    names_no_column,
    reorders,
    rules_in_order,
    takes,
)
from graphcolumns.cli.own import functions, optimizer_options, terms
from graphcolumns.cli.targets import function_of
from graphcolumns.data import AnyDataset, Regression
from graphcolumns.data.instructed import InstructedClassification
from graphcolumns.data.spec import image_of
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import current_geometry
from graphcolumns.nn.protocols import graph_of, graphs_of
from graphcolumns.training import TrainOptions, derive
from graphcolumns.training.noting import noting
from graphcolumns.training.terms import Term
from graphcolumns.training.weight_schedule import LossWeight

FOLDS = 5


class Parts(NamedTuple):
    """What one configuration stands for. Geometry, graph and model have one order of columns.

    From ``graphcolumns.load`` that is the user's order, that of the geometry function and of
    every file; ``permutation`` is then 0, 1, 2, ... While a run trains it may be another one, see
    ``graphcolumns.cli.order``.

    Attributes:
        geometry: Positions of the columns.
        permutation: The user's id of each column, ``[N]`` int64.
        graph: Edges between columns: the first graph of the model.
        data: Data set, which says the task.
        model: Model, which keeps all of its graphs.
        losses: Weight and term of extra losses by name.
        options: Numbers of the run.
        functions: The other keyword arguments of ``train``: ``metrics``, ``learn``, and, where the
            configuration has them, ``augmentation`` and ``plasticity``.
        metrics: Numbers of a run that is read back, an array per name with a row per step, see
            ``read_metrics``.
    """

    geometry: Geometry
    permutation: Tensor
    graph: ColumnGraph
    data: AnyDataset
    model: nn.Module
    losses: dict[str, tuple[LossWeight, Term]]
    options: TrainOptions
    functions: dict[str, Any]
    metrics: Table = MappingProxyType({})

    @torch.no_grad()
    def current(self) -> Parts:
        """The same with the edges of the model now, and its columns where it has moved them."""
        graph = graph_of(self.model)
        moving = getattr(self.model, "positions", None) is not None
        if not moving and graph.same_topology(self.graph.to(graph.device)):
            return self
        geometry = current_geometry(self.model, self.geometry).to("cpu")
        return self._replace(geometry=geometry, graph=graph.to("cpu"))


def build(config: CheckedConfig) -> Parts:
    """Build all that a configuration names. Trains nothing, and writes nothing.

    Geometry, data and graph first, then the model, whose initial weights depend on ``seed`` only.
    Columns may be put in another order inside, see ``graphcolumns.cli.order``. Whether the parts go
    together is tried by ``graphcolumns.cli.prepare``.

    Raises:
        ValueError, TypeError, FileNotFoundError: Whatever is wrong with the configuration.
    """
    options, called = _options(config), _functions(config)
    given = _call("geometry", config)
    geometry, permutation = given, torch.arange(given.num_columns)
    if reorders(config):
        geometry, permutation = given.reorder()
    graph = _graph(config, given, geometry, permutation)
    if "plasticity" in called and config["reorder"] != BEFORE_GRAPH:
        called["plasticity"] = rules_in_order(called["plasticity"], permutation)
    data = _call("data", config)
    if config["fold"] is not None:
        data = data.validation(config["fold"], FOLDS)
    torch.manual_seed(derive(config["seed"], "weights"))
    model = make_model(config, geometry, graph, permutation, data)
    if reorders(config) and len(graphs_of(model)) > 1:
        raise ValueError(
            "columns can be put in another order for models with one graph. Got "
            f"{', '.join(map(repr, graphs_of(model)))} in {type(model).__name__}; set "
            "reorder=false."
        )
    losses = terms(config["losses"])
    return Parts(geometry, permutation, graph, data, model, losses, options, called)


def make_model(
    config: Mapping[str, Any],
    geometry: Geometry,
    graph: ColumnGraph,
    permutation: Tensor,
    data: AnyDataset,
    **more: Any,
) -> nn.Module:
    """The model that a configuration names, for columns in the order of ``geometry``.

    It gets those of these arguments that it has.

    Args:
        config: Configuration of the run.
        geometry: Positions of the columns.
        graph: Edges in the same order.
        permutation: The user's id of each column, ``[N]``.
        data: Data set, which says what the model gets and returns.
        more: Further arguments, which take the place of those of the configuration.
    """
    columns = {"geometry": geometry, "graph": graph, "permutation": permutation}
    known = columns | {"num_classes": data.num_classes}
    if data.spec.image is not None:
        known |= {"image_size": data.image_size, "in_channels": data.channels}
    passed = {name: value for name, value in known.items() if takes(config["model"], name)}
    # A function with **options would not know these: they are passed only by name.
    named = {"num_outputs": data.num_classes, "spec": data.spec}
    parameters = inspect.signature(function_of(config["model"]["_target_"])).parameters
    if isinstance(data.task, Regression):
        named["regions"] = data.task.regions
    if isinstance(data.task, InstructedClassification):
        named["num_instructions"] = data.task.num_instructions
    passed |= {name: value for name, value in named.items() if name in parameters}
    if data.spec.image is None and {"image_size", "in_channels"} & parameters.keys():
        image_of(data.spec)
    model: nn.Module = _call("model", config, **passed, **more)
    return model


def _graph(
    config: Mapping[str, Any], given: Geometry, geometry: Geometry, permutation: Tensor
) -> ColumnGraph:
    """The edges, in the order of ``geometry``.

    Functions that name no column are called in that order, all others in the user's.
    """
    if config["reorder"] == BEFORE_GRAPH or names_no_column(config["graph"]):
        try:
            graph: ColumnGraph = _call("graph", config, geometry)
        except ValueError:
            _call("graph", config, given)  # refused in the ids of the user
            raise
        return graph
    with noting(f"while building graph with {config['graph']['_target_']}"):
        return as_graph(_callable("graph", config)(given), given).permute(permutation)


def _options(config: Mapping[str, Any]) -> TrainOptions:
    """The numbers of ``train``, checked."""
    known = {field.name for field in fields(TrainOptions)}
    given = {name: config[name] for name in OPTIONS} | optimizer_options(config["optimizer"])
    if given["steps"] is not None:
        given["epochs"] = None
    return TrainOptions(**{name: value for name, value in given.items() if name in known})


def _functions(config: Mapping[str, Any]) -> dict[str, Any]:
    """The functions that ``train`` is given."""
    named = ["learning", *(name for name in OPTIONAL if config[name] is not None)]
    made = {name: _callable(name, config) for name in named}
    return {"metrics": functions(config["metrics"]), "learn": made.pop("learning"), **made}


def _callable(name: str, config: Mapping[str, Any]) -> Any:
    """The function of a part, with its keys; of rules by graph, a mapping of functions."""
    return map_rules(partial(instantiate, _partial_=True, _convert_="all"), config[name])


def _call(name: str, config: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    with noting(f"while building {name} with {config[name]['_target_']}"):
        return _callable(name, config)(*args, **kwargs)
