"""A trained model, with its columns in the order of the user."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.cli.build import Parts, make_model
from graphcolumns.cli.order import rule_in_order, takes
from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity.inherit import Origin, inherit

TOLERANCE = 1e-3  # of the largest logit: rounding in another order, through many steps


def in_user_order(parts: Parts, config: Mapping[str, Any]) -> Parts:
    """Parts whose geometry, graph and model have the user's order of columns.

    Args:
        parts: of a run, in any order.
        config: its configuration.

    Raises:
        ValueError: the model cannot be put in another order, or answers otherwise in it.
    """
    user, count = parts.permutation, len(parts.permutation)
    if torch.equal(user, torch.arange(count)):
        return parts
    place = user.argsort()
    now: Any = parts.model.graph
    geometry, graph = parts.geometry.permute(place), now.permute(place)
    model = _model(parts, config, place, graph)
    moved = parts._replace(
        geometry=geometry,
        permutation=torch.arange(count),
        graph=parts.graph.permute(place),
        model=model,
        options={**parts.options, **_rule(parts, place)},
    )
    _check_same(parts, moved)
    return moved


def _model(parts: Parts, config: Mapping[str, Any], place: Tensor, graph: ColumnGraph) -> nn.Module:
    old: Any = parts.model
    # What columns see is laid out by place, with ties; it stays what it was.
    seen = {}
    if takes(config["model"], "receptive") and hasattr(old, "receptive"):
        seen["receptive"] = old.receptive[place]
    geometry, user = parts.geometry.permute(place), torch.arange(len(place))
    with torch.random.fork_rng():
        model = make_model(config, geometry, graph, user, parts.data, **seen)
    inherit(model.eval(), old, Origin(place, old.graph.permuted_edges(place)))
    if hasattr(old, "wiring_norm"):
        model.wiring_norm = old.wiring_norm
    return model


def _rule(parts: Parts, place: Tensor) -> dict[str, Any]:
    """The rule of the run with its columns in the other order."""
    rule = parts.options.get("plasticity")
    return {} if rule is None else {"plasticity": partial(rule_in_order, rule, place)}


@torch.no_grad()
def _check_same(parts: Parts, moved: Parts) -> None:
    """Raise unless both models give the same answers to one sample."""
    inputs = parts.data.test_inputs[:1]
    before, after = (each.model(inputs).logits.float() for each in (parts, moved))
    if (before - after).abs().max() > TOLERANCE * (1 + before.abs().max()):
        raise ValueError(
            f"{type(parts.model).__name__} answers otherwise with its columns in the user's order: "
            "it keeps a tensor per column or edge that its modules do not name in column_tensors "
            "or edge_tensors. Name it there; or train with reorder=false, or read the run in its "
            "own order with graphcolumns.cli.run_folder.parts_of(run)."
        )
