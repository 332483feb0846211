"""Losses, metrics, optimizers and schedules of the user, named by ``_target_``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hydra.utils import instantiate
from torch import nn

from graphcolumns.cli.signature import check_function, check_keys, check_value
from graphcolumns.data import AnyDataset
from graphcolumns.training import TERMS
from graphcolumns.training.fit import RESERVED
from graphcolumns.training.terms import Term
from graphcolumns.training.weight_schedule import LossWeight, ScheduledWeight

TARGET = "_target_"
# What AdamW is given.
OPTIMIZER = ("lr", "weight_decay", "betas", "warmup", "min_lr", "clip")
# Of an optimizer of the user, what `train` does itself; all other keys are arguments of the target.
OURS = ("lr", "weight_decay", "warmup", "min_lr", "clip")
SCORED = ("train_", "test_", "validation_", "best_", "version_")


def check_losses(losses: Mapping[str, Any]) -> None:
    """A weight for each known term, or a function of (model, output, labels) with its weight.

    The weight of a known term may have a schedule beside it, a function of (step, steps).
    """
    for name, value in losses.items():
        path = f"losses.{name}"
        if isinstance(value, Mapping) and TARGET not in value and name in TERMS:
            check_keys(path, value, ("weight", "schedule"))
            check_value(f"{path}.weight", value.get("weight", 1.0), float)
            check_function(f"{path}.schedule", value.get("schedule"), ("step", "steps"))
        elif isinstance(value, Mapping):
            check_value(f"{path}.weight", value.get("weight", 1.0), float)
            own = {key: part for key, part in value.items() if key != "weight"}
            check_function(path, own, ("model", "output", "labels"))
        elif name not in TERMS:
            check_keys("losses", {name: value}, list(TERMS))
        else:
            check_value(path, value, float)


def check_metrics(metrics: Mapping[str, Any]) -> None:
    """Functions of (model, data)."""
    for name, value in metrics.items():
        if name in RESERVED or name.startswith(SCORED):
            raise ValueError(
                f"metrics must be named otherwise than what a run writes itself. Got {name!r}; "
                f"choose a name that does not begin with {', '.join(SCORED)}."
            )
        check_function(f"metrics.{name}", value, ("model", "data"))


def check_optimizer(optimizer: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    """Check the group ``optimizer``.

    It has the numbers of AdamW; or, with ``_target_``, what ``train`` takes and arguments of the
    target.
    """
    ours = OURS if TARGET in optimizer else OPTIMIZER
    numbers = {key: value for key, value in optimizer.items() if key in ours}
    others = {key: v for key, v in optimizer.items() if key not in (*ours, "schedule")}
    for name, value in numbers.items():
        check_value(f"optimizer.{name}", value, hints[name])
    if optimizer.get("schedule") is not None:
        check_function("optimizer.schedule", optimizer["schedule"], ("step", "steps"))
    if TARGET in optimizer:
        check_function("optimizer", others, ("groups",), ("lr",))
    else:
        check_keys("optimizer", others, (*ours, "schedule"))


def terms(losses: Mapping[str, Any]) -> dict[str, tuple[LossWeight, Term]]:
    """The losses of a configuration, without those of weight 0."""
    found: dict[str, tuple[LossWeight, Term]] = {}
    for name, value in losses.items():
        if isinstance(value, Mapping) and TARGET not in value:
            weight = float(value.get("weight", 1.0))
            found[name] = (
                weight and ScheduledWeight(weight, _function(value["schedule"])),
                TERMS[name],
            )
        elif isinstance(value, Mapping):
            own = {key: part for key, part in value.items() if key != "weight"}
            found[name] = (float(value.get("weight", 1.0)), _function(own))
        else:
            found[name] = (value, TERMS[name])
    return {name: (weight, term) for name, (weight, term) in found.items() if weight}


def functions(metrics: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    """The metrics of a configuration."""
    return {name: _function(value) for name, value in metrics.items()}


def optimizer_options(optimizer: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of ``train`` that the group ``optimizer`` stands for."""
    options = {key: value for key, value in optimizer.items() if key != "schedule"}
    if TARGET in optimizer:
        others = {key: value for key, value in options.items() if key not in OURS}
        options = {"weight_decay": 0.0} | {k: v for k, v in options.items() if k in OURS}
        options["optimizer"] = _function(others)
    if optimizer.get("schedule") is not None:
        options["schedule"] = _function(optimizer["schedule"])
    return options


def _function(node: Mapping[str, Any]) -> Callable[..., Any]:
    function: Callable[..., Any] = instantiate(dict(node), _partial_=True, _convert_="all")
    return function


def try_metrics(
    model: nn.Module, data: AnyDataset, metrics: Mapping[str, Callable[..., Any]]
) -> None:
    """Call every metric of the user once, so that a mistake ends no training.

    Raises:
        TypeError: A metric returns something else than one number; or whatever it raises.
    """
    for name, metric in metrics.items():
        value = metric(model, data)
        try:
            float(value)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"a metric must return one number. Got {type(value).__name__} from metrics.{name}."
            ) from error
