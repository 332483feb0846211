"""Whether a configuration fits the functions that it names, before any of them is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NewType

from graphcolumns.cli.graph_rules import graph_rules
from graphcolumns.cli.own import OPTIMIZER, check_losses, check_metrics, check_optimizer
from graphcolumns.cli.signature import check_call, check_keys, check_value, hints_of
from graphcolumns.training import TrainOptions

# A configuration that `check` has found in order.
CheckedConfig = NewType("CheckedConfig", dict[str, Any])

# Fields of `TrainOptions` that stand at the top of a configuration.
OPTIONS = (
    *("steps", "epochs", "batch_size", "grad_accumulation", "amp", "compile", "device", "seed"),
    *("checkpoint_every", "evaluate_every", "evaluate_test", "best", "progress", "tensorboard"),
)
# Things that are built, each with the arguments that do not come from its own part.
BUILT: Mapping[str, Sequence[str]] = {
    "geometry": (),
    "graph": ("geometry",),
    "model": (
        *("geometry", "graph", "permutation"),
        *("image_size", "in_channels", "num_classes", "num_outputs", "spec"),
        *("num_instructions", "regions"),
    ),
    "data": (),
    "augmentation": ("inputs", "generator"),
    "plasticity": ("steps",),
    "learning": ("model", "batch", "terms", "scaler", "parts", "amp"),
}
OPTIONAL = ("augmentation", "plasticity")  # null: without
# The other top-level keys.
VALUES: Mapping[str, Any] = {
    "name": str,
    "degree": int,
    "run": str,
    "report": bool,
    "fold": int | None,
    "reorder": bool | Literal["before_graph"] | None,
    "optimizer": dict[str, Any],
    "losses": dict[str, Any],
    "metrics": dict[str, Any],
}


def check_config(config: Mapping[str, Any]) -> CheckedConfig:
    """Check a resolved configuration, and return it.

    Args:
        config: Configuration of plain dictionaries, lists and values.

    Raises:
        ValueError: An unknown key (with the known ones), or a ``_target_`` that does not exist.
        TypeError: A value of the wrong type.
    """
    known = (*BUILT, *VALUES, *OPTIONS)
    check_keys("", config, known)
    missing = [key for key in known if key not in config]
    if missing:
        raise ValueError(f"the configuration lacks {', '.join(missing)}.")
    hints = {**hints_of(TrainOptions), **VALUES}
    for name in (*VALUES, *OPTIONS):
        if name != "optimizer" or not isinstance(config[name], Mapping):
            check_value(name, config[name], hints[name])
    check_losses(config["losses"])
    check_metrics(config["metrics"])
    check_optimizer(config["optimizer"], hints)
    for name, later in BUILT.items():
        if name in OPTIONAL and config[name] is None:
            continue
        rules = graph_rules(config[name]) if name == "plasticity" else None
        for path, node in _paths(name, config[name], rules):
            if rules is not None and node is None:
                raise ValueError(
                    f"{path} must be a rule, and a graph without a rule is left out. Got null; "
                    f"write ~{path}."
                )
            check_call(path, node, later)
    return CheckedConfig(dict(config))


def _paths(name: str, node: Any, rules: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    """A part of a configuration, or the rules of its graphs, with their places in it."""
    if rules is None:
        return [(name, node)]
    return [(f"{name}.{graph}", rule) for graph, rule in rules.items()]


__all__ = ["BUILT", "OPTIMIZER", "OPTIONAL", "OPTIONS", "VALUES", "CheckedConfig", "check_config"]
