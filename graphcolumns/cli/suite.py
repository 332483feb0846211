"""The experiments that there are, and the options of one."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from textwrap import wrap
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]

from graphcolumns.analysis import experiment
from graphcolumns.analysis.experiment import Experiment
from graphcolumns.cli.groups import near
from graphcolumns.cli.help import choices
from graphcolumns.cli.script import Script

SUITE = "suite"


class Options(NamedTuple):
    """Options of the harness itself: KEY=VALUE without a meaning for ``graphcolumns train``."""

    out: Path
    processes: int = 2
    keep_runs: bool = False
    tuning: bool = True


def separate(name: str, given: Sequence[str]) -> tuple[Options, tuple[str, ...]]:
    """The options of the harness, and what is left for every run."""
    options, extra = Options(Path("runs/experiments") / name), []
    for override in given:
        key, equals, text = override.partition("=")
        if not equals:
            raise ValueError(f"write KEY=VALUE, see `graphcolumns experiment --help`. {override!r}")
        if key in Options._fields:
            options = options._replace(**{key: _option(key, text)})
        else:
            extra.append(override)
    return options, tuple(extra)


def _option(key: str, text: str) -> Any:
    value = yaml.safe_load(text)
    if key == "out":
        return Path(text)
    if key == "processes" and not (type(value) is int and value >= 0):
        raise ValueError(f"processes must be a whole number, 0 or more. Got {text!r}.")
    if key == "keep_runs" and not isinstance(value, bool):
        raise ValueError(f"keep_runs must be true or false. Got {text!r}.")
    if key == "tuning":
        if value is not None:
            raise ValueError(
                f"tuning can only be switched off: tuning=null. Got {text!r}; edit a copy of the "
                "YAML file for another tuning."
            )
        return False
    return value


def read(name: str, extra: tuple[str, ...] = (), tune: bool = True) -> Experiment:
    """A shipped experiment by its name, or one of the user's by its file."""
    if name.endswith((".yaml", ".yml")):
        return experiment.read_experiment(name, extra, tune)
    known = choices(SUITE)
    if name not in known:
        raise ValueError(
            f"unknown experiment {name!r}.{near(name, known)} There are {', '.join(known)}, or "
            "give a YAML file."
        )
    with as_file(files("graphcolumns.configs") / SUITE / f"{name}.yaml") as path:
        return experiment.read_experiment(path, extra, tune)


def script(name: str) -> Script | None:
    """The shipped experiment of this name, if it is a command; None if it has arms, or is none."""
    if name not in choices(SUITE):
        return None
    text = (files("graphcolumns.configs") / SUITE / f"{name}.yaml").read_text(encoding="utf-8")
    return Script.of(name, yaml.safe_load(text))


def experiments_overview() -> str:
    """The shipped experiments, each with its claim."""
    lines = ["Experiments (`graphcolumns experiment NAME`, or a YAML file):"]
    for name in choices(SUITE):
        claim = " ".join((script(name) or read(name)).claim.split())
        lines += [
            "",
            f"  {name}",
            *wrap(claim, 96, initial_indent="    ", subsequent_indent="    "),
        ]
    return "\n".join(lines)
