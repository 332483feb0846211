"""The two orders of columns: that of the user, and that of the model.

Everything that is given or written has the ids of the user: the order of the geometry function or
file. Inside, columns may be put along a space-filling curve, so that neighbours are near each other
in memory too. ``build`` permutes in one place, the run folder keeps the permutation, and what
writes or reads ids maps them.

Functions of your own never meet the inner order without saying so. A graph function is called with
the user's geometry, and its edges are permuted. Nothing is reordered where a function of your own
would see columns by position: a model without the argument ``permutation``, and parts of a rule, of
losses and of metrics. The key ``reorder`` of a configuration decides otherwise.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from graphcolumns import connect
from graphcolumns.cli.graph_rules import map_rules
from graphcolumns.cli.targets import function_of, named_targets
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity import Rule

# What runs of earlier versions did: their own graph functions got the reordered geometry.
BEFORE_GRAPH = "before_graph"
# Graph functions that look at places alone. The order of columns decides ties and random draws,
# which stay those of the curve: seeded runs keep their edges.
PLACES_ONLY = (
    *(connect.nearest, connect.within_radius, connect.distance_decay),
    *(connect.random, connect.complete, connect.layered),
)
# Parts of a configuration whose functions are called with states or edges of the model.
SEEING = ("plasticity", "losses", "metrics")


def reorders(config: Mapping[str, Any]) -> bool:
    """Whether the columns of a run are put along a space-filling curve."""
    choice = config["reorder"]
    if choice is not None:
        return bool(choice)
    seen = [target for name in SEEING for _, target in named_targets(config.get(name))]
    return takes(config["model"], "permutation") and all(map(_is_ours, seen))


def names_no_column(node: Mapping[str, Any]) -> bool:
    """Whether a graph function looks at the places of columns alone, not at their ids."""
    return function_of(node["_target_"]) in PLACES_ONLY


def takes(node: Mapping[str, Any], argument: str) -> bool:
    """Whether the function that a configuration names has an argument of that name."""
    parameters = inspect.signature(function_of(node["_target_"])).parameters
    return argument in parameters or any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
    )


def on_the_geometry(config: Mapping[str, Any]) -> bool:
    """Whether the columns of a model are those of the geometry: it takes them, or their edges."""
    return takes(config["model"], "graph") or takes(config["model"], "geometry")


def as_graph(made: Any, geometry: Geometry) -> ColumnGraph:
    """What a graph function returned, as a graph: edges that are no ColumnGraph are measured.

    Args:
        made: Result of the function: a ColumnGraph, a PyG ``Data`` (its ``edge_index`` is taken),
            or edges ``[2, E]`` (row 0 source, row 1 target) as a tensor or an array.
        geometry: Geometry that the function was called with.

    Raises:
        TypeError: The result is something else.
        ValueError: The edges are of other columns.
    """
    if isinstance(made, Data) and made.edge_index is not None:
        made = made.edge_index
    if isinstance(made, np.ndarray):
        made = torch.from_numpy(np.ascontiguousarray(made))
    if isinstance(made, Tensor):
        made = ColumnGraph.from_edge_index(made, geometry.num_columns).remeasure(geometry)
    if not isinstance(made, ColumnGraph):
        raise TypeError(
            "a graph function must return a ColumnGraph, or edges [2, E] with row 0 source and row "
            f"1 target. Got {type(made).__name__}."
        )
    geometry.require_columns(made.num_columns)
    return made


def rules_in_order(rules: Any, permutation: Tensor) -> Any:
    """``rule_in_order`` of a rule, or of that of each graph, as functions of ``steps``."""
    return map_rules(lambda make: partial(rule_in_order, make, permutation), rules)


def rule_in_order(make: Any, permutation: Tensor, steps: int) -> Rule:
    """The rule of a run of ``steps``, with the columns that its constraints name in another order.

    Args:
        make: Function of ``steps`` that returns the rule in the user's order.
        permutation: The user's id of each column of the model, ``[N]``.
        steps: Length of the run.
    """
    rule = make(steps=steps)
    if not isinstance(rule, Rule):
        raise TypeError(
            "plasticity must be a function of steps that returns a Rule, such as presets.rigl. Got "
            f"{type(rule).__name__}."
        )
    return replace(rule, constraints=rule.constraints.permute(permutation))


def check_rule(rule: Rule, graph: ColumnGraph, permutation: Tensor) -> None:
    """Raise in the ids of the user unless a graph keeps to the constraints of a rule.

    Args:
        rule: Rule in the order of the model, as ``graph``.
        graph: First edges of the run.
        permutation: The user's id of each column of the model, ``[N]``.
    """
    if graph.num_columns != len(permutation):  # of columns that no order has touched
        rule.constraints.check(graph)
        return
    back = permutation.argsort()
    rule.constraints.permute(back).check(graph.permute(back))


def _is_ours(target: str) -> bool:
    """Whether a function is of this library, or of torch, which has no columns."""
    return target.split(".")[0] in ("graphcolumns", "geometries", "torch")
