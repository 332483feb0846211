"""A trained model, with its columns in the order of the user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.cli.build import Parts, make_model
from graphcolumns.cli.order import rules_in_order, takes
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.protocols import graph_of
from graphcolumns.plasticity import Rewiring, carry
from graphcolumns.scaling.inherit import Origin, inherit

SAMPLES = 8
TOLERANCE = 1e-3  # of the largest logit: rounding in another order, through many steps


def in_user_order(parts: Parts, config: Mapping[str, Any]) -> Parts:
    """Parts whose geometry, graph and model have the user's order of columns.

    Args:
        parts: Parts of a run, in any order.
        config: Configuration of the run.

    Raises:
        ValueError: The model cannot be put in another order, or its outputs differ in it.
    """
    user, count = parts.permutation, len(parts.permutation)
    if torch.equal(user, torch.arange(count)):
        return parts
    place = user.argsort()
    now = graph_of(parts.model)
    geometry, graph = parts.geometry.permute(place), now.permute(place)
    model = _model(parts, config, place, graph)
    moved = parts._replace(
        geometry=geometry,
        permutation=torch.arange(count),
        graph=parts.graph.permute(place),
        model=model,
        functions={**parts.functions, **_rule(parts, place)},
    )
    _check_same(parts, moved)
    return moved


def _model(parts: Parts, config: Mapping[str, Any], place: Tensor, graph: ColumnGraph) -> nn.Module:
    old: Any = parts.model
    # What columns see is laid out by place, with ties; it stays what it was.
    seen = _seen(config["model"], old.receptive[place]) if hasattr(old, "receptive") else {}
    geometry, user = parts.geometry.permute(place), torch.arange(len(place))
    # Built on its first edges, as it was: a constructor may refuse what a rule has left of them.
    first = parts.graph.permute(place)
    with torch.random.fork_rng():
        model = make_model(config, geometry, first, user, parts.data, **seen)
    before = graph_of(model)
    if not before.same_topology(graph):
        carry(Rewiring.between(before, graph), model)
    inherit(model.eval(), old, Origin(place, old.graph.permuted_edges(place)))
    if hasattr(old, "wiring_norm"):
        model.wiring_norm = old.wiring_norm
    return model


def _seen(node: Mapping[str, Any], receptive: Tensor) -> dict[str, Any]:
    """The argument that says what the columns of a model see, if it has one."""
    if takes(node, "interface") and ("interface" in node or not takes(node, "receptive")):
        return {"interface": {**node.get("interface", {}), "receptive": receptive}}
    return {"receptive": receptive} if takes(node, "receptive") else {}


def _rule(parts: Parts, place: Tensor) -> dict[str, Any]:
    """The rule of the run with its columns in the other order."""
    rule = parts.functions.get("plasticity")
    return {} if rule is None else {"plasticity": rules_in_order(rule, place)}


@torch.no_grad()
def _check_same(parts: Parts, moved: Parts) -> None:
    """Raise unless both models give the same answers to most of a few samples.

    Rounding may tip a choice between sources in one of them; a tensor in the wrong order tips all.
    """
    inputs, _ = next(parts.data.in_order("test", SAMPLES))
    before, after = (each.model(inputs).prediction.float().flatten(1) for each in (parts, moved))
    apart = (before - after).abs().amax(1) > TOLERANCE * (1 + before.abs().amax(1))
    if apart.double().mean() > 0.5:
        raise ValueError(
            f"{type(parts.model).__name__} answers otherwise with its columns in the user's order: "
            "it keeps a tensor per column or edge that its modules do not name in column_tensors "
            "or edge_tensors. Name it there; or train with reorder=false, or read the run in its "
            "own order with graphcolumns.cli.run_folder.parts_of(run)."
        )
