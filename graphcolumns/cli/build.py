"""From a configuration to the things that it names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from hydra.utils import instantiate
from torch import Tensor, nn

from graphcolumns.cli.check import OPTIONAL, OPTIONS, check
from graphcolumns.cli.metrics import Table
from graphcolumns.cli.order import (
    BEFORE_GRAPH,
    as_graph,
    check_rule,
    names_no_column,
    reorders,
    rule_in_order,
    takes,
)
from graphcolumns.cli.own import functions, optimizer_options, terms, try_own
from graphcolumns.cli.targets import function_of
from graphcolumns.data import AnyDataset
from graphcolumns.data.spec import image_of
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import current_geometry
from graphcolumns.train import TrainOptions, check_fit, derive
from graphcolumns.train.plastic_updates import PlasticUpdates
from graphcolumns.train.terms import Term

FOLDS = 5


class Parts(NamedTuple):
    """What one configuration stands for. Geometry, graph and model have one order of columns.

    From `graphcolumns.load` that is the user's order, that of the geometry function and of
    every file; `permutation` is then 0, 1, 2, ... While a run trains it may be another one, see
    `graphcolumns.cli.order`.

    Attributes:
        geometry: where the columns are.
        permutation: the user's id of each column, `[N]` int64.
        graph: who listens to whom.
        data: what is learned.
        model: the model.
        losses: name -> (weight, term).
        options: the other keyword arguments of `train`.
        metrics: of a run that is read back, a number per step by name, see `read_metrics`.
    """

    geometry: Geometry
    permutation: Tensor
    graph: ColumnGraph
    data: AnyDataset
    model: nn.Module
    losses: dict[str, tuple[float, Term]]
    options: dict[str, Any]
    metrics: Table = MappingProxyType({})

    def length(self) -> tuple[int, int]:
        """Optimizer steps of the run, and its seed."""
        options = numbers(self.options)
        return options.count_steps(self.data.size("train")), options.seed

    @torch.no_grad()
    def current(self) -> Parts:
        """The same with the edges of the model now, and its columns where it has moved them."""
        graph: Any = self.model.graph
        moving = getattr(self.model, "positions", None) is not None
        if not moving and graph.same_topology(self.graph.to(graph.device)):
            return self
        geometry = current_geometry(self.model, self.geometry).to("cpu")
        return self._replace(geometry=geometry, graph=graph.to("cpu"))


def build(config: Mapping[str, Any]) -> Parts:
    """Check a resolved configuration and build all that it names. Writes nothing.

    Geometry, data and graph first, then the model, whose initial weights depend on `seed` only.
    Columns may be put in another order inside, see `graphcolumns.cli.order`. At the end one sample
    goes through the model and its losses, so that a combination that cannot work fails here.

    Raises:
        ValueError, TypeError, FileNotFoundError: whatever is wrong with it.
    """
    check(config)
    options = _options(config)
    given = _call("geometry", config)
    geometry, permutation = given, torch.arange(given.num_columns)
    if reorders(config):
        geometry, permutation = given.reorder()
    graph = _graph(config, given, geometry, permutation)
    if options.get("plasticity") is not None and config["reorder"] != BEFORE_GRAPH:
        options["plasticity"] = partial(rule_in_order, options["plasticity"], permutation)
    data = _call("data", config)
    if config["fold"] is not None:
        data = data.validation(config["fold"], FOLDS)
    torch.manual_seed(derive(config["seed"], "weights"))
    model = make_model(config, geometry, graph, permutation, data)
    losses = terms(config["losses"])
    parts = Parts(geometry, permutation, graph, data, model, losses, options)
    _try_out(parts)
    return parts


def make_model(
    config: Mapping[str, Any],
    geometry: Geometry,
    graph: ColumnGraph,
    permutation: Tensor,
    data: AnyDataset,
    **more: Any,
) -> nn.Module:
    """The model that a configuration names, for columns in the order of `geometry`.

    It gets those of these arguments that it has.

    Args:
        config: the configuration.
        geometry: where the columns are.
        graph: who listens to whom, in the same order.
        permutation: the user's id of each column, `[N]`.
        data: what is learned.
        more: further arguments, which take the place of those of the configuration.
    """
    columns = {"geometry": geometry, "graph": graph, "permutation": permutation}
    known = columns | {"num_classes": data.num_classes}
    if data.spec.image is not None:
        known |= {"image_size": data.image_size, "in_channels": data.channels}
    passed = {name: value for name, value in known.items() if takes(config["model"], name)}
    # A function with **options would not know these: they are passed only by name.
    named = {"num_outputs": data.num_classes, "spec": data.spec}
    parameters = inspect.signature(function_of(config["model"]["_target_"])).parameters
    passed |= {name: value for name, value in named.items() if name in parameters}
    if data.spec.image is None and {"image_size", "in_channels"} & parameters.keys():
        image_of(data.spec)
    model: nn.Module = _call("model", config, **passed, **more)
    return model


def _graph(
    config: Mapping[str, Any], given: Geometry, geometry: Geometry, permutation: Tensor
) -> ColumnGraph:
    """The edges in the order of `geometry`; only functions that name no column are called in it."""
    if config["reorder"] == BEFORE_GRAPH or names_no_column(config["graph"]):
        try:
            graph: ColumnGraph = _call("graph", config, geometry)
        except ValueError:
            _call("graph", config, given)  # refused in the ids of the user
            raise
        return graph
    with _noting(f"while building graph with {config['graph']['_target_']}"):
        return as_graph(_callable("graph", config)(given), given).permute(permutation)


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of `train`, checked."""
    options = {name: config[name] for name in OPTIONS} | optimizer_options(config["optimizer"])
    if options["steps"] is not None:
        options["epochs"] = None
    numbers(options)
    options["metrics"] = functions(config["metrics"])
    options["learn"] = _callable("learning", config)
    for name in OPTIONAL:
        if config[name] is not None:
            options[name] = _callable(name, config)
    return options


def numbers(options: Mapping[str, Any]) -> TrainOptions:
    """The fields of `TrainOptions` among the keyword arguments of `train`, checked."""
    names = {field.name for field in fields(TrainOptions)}
    return TrainOptions(**{name: x for name, x in options.items() if name in names})


def _callable(name: str, config: Mapping[str, Any]) -> Callable[..., Any]:
    function: Callable[..., Any] = instantiate(config[name], _partial_=True, _convert_="all")
    return function


def _call(name: str, config: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    with _noting(f"while building {name} with {config[name]['_target_']}"):
        return _callable(name, config)(*args, **kwargs)


def _try_out(parts: Parts) -> None:
    """One sample through model and losses, in evaluation mode, and whether the rule can start."""
    with _noting("while trying one sample"):
        parts.model.eval()
        check_fit(parts.model, parts.data, parts.losses, parts.options.get("augmentation"))
    with _noting("while trying metrics, optimizer and schedule"):
        try_own(parts.model, parts.data, parts.options, parts.length()[0])
    with _noting("while starting the rule of plasticity"):
        rule = parts.options.get("plasticity")
        if rule is not None:
            check_rule(rule(steps=parts.length()[0]), parts.graph, parts.permutation)
        PlasticUpdates.begin(rule, parts.model, parts.data, parts.geometry, *parts.length())


@contextmanager
def _noting(context: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        error.add_note(f"({context})")
        raise
