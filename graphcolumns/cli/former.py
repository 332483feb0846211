"""Configurations of earlier versions, in the words of today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphcolumns.cli.former_criteria import moved_criteria
from graphcolumns.cli.order import BEFORE_GRAPH
from graphcolumns.cli.targets import function_of, named_targets, why_missing
from graphcolumns.models.options.former import FORMER
from graphcolumns.plasticity.criteria.former import OPTIONS, VALUES
from graphcolumns.plasticity.rules.former import RENAMED

# Keys that runs of earlier versions lack, with what these did.
EARLIER: dict[str, Any] = {
    "reorder": BEFORE_GRAPH,
    "best": None,
    "metrics": {},
    "learning": {"_target_": "graphcolumns.learning.backprop"},
}
# Modules and names that have moved, within graphcolumns. The longest that fits counts.
MOVED = {
    "models.columnformer.staged": "models.staged_columnformer.staged",
    "models.columnformer.StagedColumnformer": "models.staged_columnformer.StagedColumnformer",
    "models.columnformer.stages": "models.staged_columnformer.model",
    "models.columnformer.stage": "models.staged_columnformer.stage",
    "plasticity.arrival": "plasticity.rules.arrival",
    "plasticity.budget": "plasticity.rules.budget",
    "plasticity.budget.At": "plasticity.rules.schedules.At",
    "plasticity.budget.Every": "plasticity.rules.schedules.Every",
    "plasticity.rules.budget.At": "plasticity.rules.schedules.At",
    "plasticity.rules.budget.Every": "plasticity.rules.schedules.Every",
    "plasticity.candidates.draw.Everything": "plasticity.candidates.proposals.Everything",
    "plasticity.candidates.samplers": "plasticity.candidates.proposals",
    "plasticity.constraints": "plasticity.selection.constraints",
    "plasticity.cycles": "plasticity.rules.schedules",
    "plasticity.rules.cycles": "plasticity.rules.schedules",
    "plasticity.edge_adamw": "plasticity.state.edge_adamw",
    "plasticity.criteria.homeostasis.remember": "plasticity.criteria.homeostasis.update_memory",
    "plasticity.homeostasis": "plasticity.criteria.homeostasis",
    "plasticity.homeostasis.remember": "plasticity.criteria.homeostasis.update_memory",
    "plasticity.limits": "plasticity.rules.limits",
    "plasticity.newborn": "plasticity.state.newborn",
    "plasticity.proposals": "plasticity.candidates.proposals",
    "plasticity.rule": "plasticity.rules.rule",
    "plasticity.select.soft": "plasticity.gumbel_scores",
    "plasticity.soft": "plasticity.gumbel_scores",
    "plasticity.Placement": "placement.Placement",
    "plasticity.move_columns": "placement.move_columns",
    "plasticity.place_columns": "placement.place_columns",
    "plasticity.swap_change": "placement.swap_change",
    "plasticity.swapped": "placement.with_swapped_columns",
    "plasticity.wire_cost": "placement.wire_cost",
    "plasticity.Rescaling": "scaling.Rescaling",
    "plasticity.nearest_columns": "scaling.nearest_columns",
    "plasticity.remove_columns": "scaling.remove_columns",
    "plasticity.rescale": "scaling.rescale",
    "train": "training",
    "train.losses.binary_cross_entropy": "data.losses.binary_cross_entropy",
    "train.losses.binary_cross_entropy_each": "data.losses.binary_cross_entropy_each",
    "train.losses.cross_entropy": "data.losses.cross_entropy",
    "train.losses.cross_entropy_each": "data.losses.cross_entropy_each",
    "train.losses.squared_error": "data.losses.squared_error",
    "train.losses.squared_error_each": "data.losses.squared_error_each",
}
MOVED |= moved_criteria()
OURS = "graphcolumns."
# Options that have been renamed, of functions whose name of today begins so.
RENAMED_OPTIONS = {
    "plasticity.presets.": RENAMED,
    "plasticity.rules.presets.": RENAMED,
    "plasticity.criteria.insertion_gain": RENAMED,
    "plasticity.criteria.fisher_taylor": OPTIONS,
}
# Where the models are whose keywords are in groups today.
GROUPED = (
    "graphcolumns.models.columnformer.sheet",
    "graphcolumns.models.staged_columnformer.staged",
    "graphcolumns.models.staged_columnformer.build.",
)


def upgrade(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a run as this version would have written it.

    Keys that are missing get what an earlier version did without them, and functions of the library
    their names of today. A configuration of today is returned as it is.

    Args:
        config: Configuration of plain dictionaries, lists and values.

    Raises:
        ValueError: A function of the library that is gone.
    """
    upgraded = in_words_of_today(EARLIER | dict(config))
    for path, target in named_targets(upgraded):
        _require(path, target)
    return upgraded


def in_words_of_today(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the names and keys of today, whether its functions exist or not."""
    upgraded: dict[str, Any] = _renamed(config)
    model = upgraded.get("model")
    if isinstance(model, Mapping) and str(model.get("_target_")).startswith(GROUPED):
        upgraded["model"] = grouped(model)
    return upgraded


def grouped(model: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a columnformer in their groups; what is in groups already stays."""
    options: dict[str, Any] = {}
    for key, value in model.items():
        group, _, field = FORMER.get(key, "").partition(".")
        if field and not isinstance(value, Mapping):
            options[group] = {**options.get(group, {}), field: value}
        elif isinstance(value, Mapping):
            options[key] = {**options.get(key, {}), **value}
        else:
            options[key] = value
    return options


def renamed(target: str) -> str:
    """The name of today of a function, by its dotted path."""
    if not target.startswith(OURS):
        return target
    parts = target.removeprefix(OURS).split(".")
    for count in range(len(parts), 0, -1):
        now = MOVED.get(".".join(parts[:count]))
        if now is not None:
            return OURS + ".".join([now, *parts[count:]])
    return target


def _renamed(node: Any) -> Any:
    if isinstance(node, Mapping):
        target = node.get("_target_")
        names = {"_target_": renamed(target)} if isinstance(target, str) else {}
        now = _option_names(names.get("_target_", ""))
        ours = names.get("_target_", "").startswith(OURS)
        given = {now.get(key, key): _renamed(value) for key, value in node.items()} | names
        return {key: _value(key, value) if ours else value for key, value in given.items()}
    return [_renamed(part) for part in node] if isinstance(node, list) else node


def _value(option: str, value: Any) -> Any:
    """The value of an option of a function of the library, in the words of today."""
    now = VALUES.get(option)
    return value if now is None or isinstance(value, list | dict) else now.get(value, value)


def _option_names(target: str) -> Mapping[str, str]:
    """The options of a function that were renamed, by the name that they had."""
    for start, names in RENAMED_OPTIONS.items():
        if target.startswith(OURS + start):
            return names
    return {}


def _require(path: str, target: str) -> None:
    """Raise unless a function of the library is there; others are checked where they are called."""
    if not target.startswith(OURS):
        return
    try:
        function_of(target)
    except Exception as error:
        raise ValueError(
            f"a run must name functions of this version of graphcolumns. Got {path}: {target}. "
            f"{why_missing(target)} If it was renamed, CHANGELOG.md says how: write the new name "
            "into config.yaml of the run. Otherwise read the run with the version that wrote it "
            "(`version_graphcolumns` in summary.json)."
        ) from error
