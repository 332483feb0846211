"""What decides how a run goes on, so that it is not resumed as another one by mistake."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from graphcolumns import checkpoint
from graphcolumns.checkpoint.about import Change
from graphcolumns.data import TASKS
from graphcolumns.plasticity.criteria.former import CRITERIA, OPTIONS, VALUES
from graphcolumns.plasticity.rules.former import RENAMED
from graphcolumns.training.describe import describe_all, differs, text_of
from graphcolumns.training.options import TrainOptions

# May be changed when a run is resumed, if the user names them.
CHANGEABLE = (
    *("steps", "lr", "weight_decay", "betas", "warmup", "min_lr", "clip"),
    *("grad_accumulation", "amp"),
)
# Decide what is written and where it is computed, not the weights: noted, never refused.
FREE = ("device", "compile", "checkpoint_every", "evaluate_every", "evaluate_test", "best")
REASONS = {
    "seed": "it decides all samples, dropout and edges to come",
    "batch_size": "batches are cut from one stream of samples, which would be seen in part twice",
    "data": "scores before and after would not be of the same samples",
    "augmentation": "it is a part of the data",
    "model": "the weights are those of another model",
    "geometry": "lengths before and after would not be of the same columns",
    "permutation": "the columns are those of another order",
    "plasticity": "the memory of the rule is of another rule",
    "optimizer": "its moments are those of another optimizer",
    "schedule": "the rate of the steps that are done followed another schedule",
    "learn": "the steps that are done followed another rule",
    "losses": "moments of the optimizer are of another loss",
}

# Fields of the options that say how a run is watched, not what it is.
WATCHING = ("epochs", "progress", "tensorboard", "changes")
# What is noted today under another name than in runs of earlier versions.
FORMER_NAMES = {"data.train_labels": "data.train_targets", "data.test_labels": "data.test_targets"}


def fingerprint_of(options: TrainOptions, steps: int, **parts: Any) -> dict[str, Any]:
    """All that decides a run, as flat values.

    Args:
        options: Numbers of the run.
        steps: Length of the run in optimizer steps.
        parts: Model, data and the other arguments of ``train`` by name.
    """
    numbers = {f.name: getattr(options, f.name) for f in fields(options) if f.name not in WATCHING}
    return describe_all(**numbers | {"steps": steps} | parts)


def fingerprint_changes(
    was: Mapping[str, Any], now: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """Names with different values, as (was, now); a name that one side lacks is not compared.

    So a checkpoint of an earlier version, which lacks what is noted today, can be resumed.
    """
    return {
        name: (was[name], now[name])
        for name in was
        if name in now and differs(was[name], now[name])
    }


def check_same_run(
    run: Path, fingerprint: Mapping[str, Any], done: int, changes: Collection[str] = ()
) -> Change:
    """Raise unless a run is resumed as it was begun, but for what may change and is named.

    Args:
        run: Run folder.
        fingerprint: Fingerprint of the run as it would be resumed.
        done: Optimizer steps done.
        changes: Names, of ``CHANGEABLE``, that are meant to differ.

    Returns:
        The change, to be recorded.

    Raises:
        ValueError: Something differs that is not named or cannot change, or ``steps`` are fewer
            than those done.
    """
    unknown = [name for name in changes if name not in (*CHANGEABLE, *FREE)]
    if unknown:
        raise ValueError(
            f"a resumed run can change {', '.join(CHANGEABLE)}. Got {', '.join(unknown)}."
        )
    found = fingerprint_changes(_was(run), fingerprint)
    open_to = {name: pair for name, pair in found.items() if name in CHANGEABLE}
    fixed = {n: pair for n, pair in found.items() if n not in open_to and n not in FREE}
    if fixed:
        raise ValueError(_refusal(run, fixed))
    silent = {name: pair for name, pair in open_to.items() if name not in changes}
    if silent:
        raise ValueError(
            f"the run in {run} is resumed otherwise than it was begun: {_listed(silent)}. If that "
            f"is meant, say so: `graphcolumns resume {run} "
            f"{' '.join(f'{_key(name)}={text_of(pair[1])}' for name, pair in silent.items())}`, in "
            f"Python train(..., resume=True, changes={list(silent)})."
        )
    if int(fingerprint["steps"]) < done:
        raise ValueError(
            f"a run can be made longer, not undone. {done} steps are done in {run}. Got "
            f"steps={fingerprint['steps']}; give at least {done}."
        )
    return Change(done, found)


def _was(run: Path) -> dict[str, Any]:
    """The fingerprint of a run, with what was changed since its last checkpoint."""
    was = _upgraded(checkpoint.read_about(run).fingerprint)
    for change in checkpoint.read_changes(run):
        was |= {name: now for name, (_, now) in change.changes.items() if name in was}
    return was


def _upgraded(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """The fingerprint of a run in the names of today."""
    upgraded = {}
    for name, value in fingerprint.items():
        if name.startswith("plasticity."):
            name, value = _renamed_option(name, value)
        for former, now in FORMER_NAMES.items():
            if name == former or name.startswith(f"{former}."):
                name = now + name.removeprefix(former)
        upgraded[name] = value
    task = upgraded.get("data.task")
    if isinstance(task, str) and task in TASKS:
        upgraded["data.task"] = TASKS[task].name
    return upgraded


def _renamed_option(name: str, value: Any) -> tuple[str, Any]:
    """An option of a rule, or the list of those that were given, in the names of today."""
    names = RENAMED | OPTIONS
    now = ".".join(names.get(part, part) for part in name.split("."))
    if name.endswith(".given"):
        return now, sorted(names.get(part, part) for part in value)
    if isinstance(value, str) and value.startswith("graphcolumns.plasticity."):
        *room, kind, criterion = value.split(".")
        value = ".".join([*room, kind, CRITERIA.get(kind, {}).get(criterion, criterion)])
    values = VALUES.get(now.rpartition(".")[2], {})
    return now, value if isinstance(value, list | dict) else values.get(value, value)


def describe_changes(changes: list[Change]) -> str:
    """Changes in words: ``after step 10: steps 10 -> 20, lr 0.003 -> 0.001``."""
    return "; ".join(
        f"after step {change.step}: "
        + ", ".join(
            f"{name} {text_of(was)} -> {text_of(now)}"
            for name, (was, now) in change.changes.items()
        )
        for change in changes
    )


def _refusal(run: Path, fixed: Mapping[str, tuple[Any, Any]]) -> str:
    kinds = dict.fromkeys(name.partition(".")[0] for name in fixed)
    reasons = "; ".join(f"{kind}: {REASONS[kind]}" for kind in kinds if kind in REASONS)
    return (
        f"the run in {run} cannot be resumed with something else: {_listed(fixed)} ({reasons}). "
        "Resume it as it was, or start a new run in another folder; in Python "
        f"checkpoint.load({str(run)!r}, model) gives that one the weights to start from."
    )


def _listed(pairs: Mapping[str, tuple[Any, Any]]) -> str:
    lines = [f"{name} was {text_of(was)}, now {text_of(now)}" for name, (was, now) in pairs.items()]
    more = len(lines) - 8
    return "; ".join(lines[:8]) + (f"; and {more} more" if more > 0 else "")


def _key(name: str) -> str:
    """The name of an option in a configuration."""
    own = ("steps", "grad_accumulation", "amp")
    return name if name in own else f"optimizer.{name}"
