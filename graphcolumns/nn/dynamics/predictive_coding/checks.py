"""Checks of a network when it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from graphcolumns.nn.dynamics.predictive_coding.edges import Edges
from graphcolumns.nn.dynamics.predictive_coding.skip import Skip

if TYPE_CHECKING:
    from graphcolumns.nn.dynamics.predictive_coding.network import PredictiveCoding


def check_network(network: PredictiveCoding) -> None:
    """Raises ValueError for names, shapes and forms that do not go together."""
    _check_names(network)
    _check_connections(network)
    _check_losses(network)
    if network.form not in ("state", "error"):
        raise ValueError(f"form must be 'state' or 'error'. Got {network.form!r}.")
    if network.form == "error":
        _check_shrinkage(network)


def _check_names(network: PredictiveCoding) -> None:
    named = [("clamped", name) for name in network.clamped]
    named += [("read", network.read)] if network.read is not None else []
    for connection in network.connections:
        named += [("source", connection.source), ("target", connection.target)]
    for what, name in named:
        if name not in network.layers:
            raise ValueError(
                f"{what} must name a layer. Expected one of "
                f"{', '.join(map(repr, network.layers))}. Got {name!r}."
            )
    if not network.connections:
        raise ValueError("a network must have one connection or more. Got none.")
    if not network.clamped or not network.free:
        raise ValueError(
            "one layer or more must be clamped, and one or more free. Got clamped="
            f"{network.clamped} of {tuple(network.layers)}."
        )


def _check_connections(network: PredictiveCoding) -> None:
    for connection in network.connections:
        if network.batch_dim and not isinstance(connection, Edges | Skip):
            raise ValueError(
                "connections along edges have columns first and go with no others. Got "
                f"{type(connection).__name__}({connection.source!r}, {connection.target!r}) beside "
                "Edges; use Edges on a complete graph."
            )
        source, target = network.layers[connection.source], network.layers[connection.target]
        connection.check(source.sizes, target.sizes)
    reached = {c.source for c in network.connections} | network.predicted
    if alone := [name for name in network.free if name not in reached]:
        raise ValueError(
            f"every free layer must predict or be predicted. Got {alone[0]!r} without a connection."
        )


def _check_losses(network: PredictiveCoding) -> None:
    for name in network.free:
        if network.layers[name].loss != "squared" and name in network.predicted:
            # A free layer of logits is read out at its prediction: it has no error of its own.
            raise ValueError(
                f"loss='cross_entropy' is for clamped layers. Got the free layer {name!r}; "
                "clamp it, or give it loss='squared'."
            )
    if all(_weightless(network.layers[name].precision) for name in network.predicted):
        raise ValueError(
            "one predicted layer or more must have a precision above 0. Got none: there is no "
            "energy."
        )


def _weightless(precision: float | Tensor) -> bool:
    if isinstance(precision, Tensor):
        return not bool((precision > 0).any())
    return precision == 0


def _check_shrinkage(network: PredictiveCoding) -> None:
    for name in network.free:
        if network.layers[name].proximal and name in network.predicted:
            raise ValueError(
                "in the error form, shrinkage and bounds are for layers that nothing predicts: of "
                f"others the states are no variables. Got {name!r}; pass form='state'."
            )
