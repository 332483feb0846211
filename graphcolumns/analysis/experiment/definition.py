"""What an experiment is: a claim, what would falsify it, and the trainings that decide."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

Overrides = tuple[str, ...]
KEYS = ("claim", "falsified_if", "base", "arms", "baseline", "variants", "seeds", "tuning")
OPTIONAL = ("measure", "analyse")


@dataclass(frozen=True)
class Arm:
    """One way to do it.

    Args:
        overrides: Overrides of ``graphcolumns train``.
        variants: Overrides by name of the variant, applied after those of the arm.
        grid: Values that are tried, by key; every combination is one trial. Empty: not tuned.
        tuned: Variant that is tuned for all of them; None: each on its own.
    """

    overrides: Overrides
    variants: Mapping[str, Overrides]
    grid: Mapping[str, tuple[Any, ...]]
    tuned: str | None = None

    def tuned_on(self, variant: str) -> str:
        """The variant whose trials choose the values for ``variant``."""
        return variant if self.tuned is None else self.tuned


@dataclass(frozen=True)
class Choose:
    """Which trial counts where arms are compared at matched accuracy.

    Of the trials whose validation accuracy is at most ``within`` below the best one of the
    baseline, that with the largest value of a key; if there is none, the most accurate.

    Args:
        largest: Key of the grids, such as the strength of a penalty. Arms without it, such as the
            baseline, take their most accurate trial.
        within: Largest loss of accuracy, as a share of the answers.
    """

    largest: str
    within: float


@dataclass(frozen=True)
class Tuning:
    """How every arm is tuned.

    Args:
        trials: Number of combinations that every arm tries.
        seed: Seed of these runs; never one of the seeds that are reported.
        fold: Part of the training half that scores them, 0 to 4.
        choose: Rule that chooses the trial; None: the most accurate one.
    """

    trials: int
    seed: int
    fold: int
    choose: Choose | None = None


@dataclass(frozen=True)
class Measure:
    """Columns of the rows: the axes of the figure (x may be ``"variant"``), and more to show."""

    y: str = "test_accuracy"
    x: str = "variant"
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """A frozen value; ``read`` makes one from a file and checks it.

    Args:
        name: Name of its folder of results.
        claim: Claim that it is to show.
        falsified_if: Result that would refute the claim, written down before any run.
        base: Overrides of ``graphcolumns train`` that all runs share.
        arms: Arms by name.
        baseline: Arm that the others are compared with, seed by seed.
        seeds: Seed of each final run.
        tuning: None: arms run as they are.
        measure: Results and axes that are drawn.
        analyse: Functions that measure every final run when it has ended, as ``_target_`` and
            their arguments.
    """

    name: str
    claim: str
    falsified_if: str
    base: Overrides
    arms: Mapping[str, Arm]
    baseline: str
    seeds: tuple[int, ...]
    tuning: Tuning | None
    measure: Measure
    analyse: tuple[Mapping[str, Any], ...] = ()


def read_experiment(
    path: str | os.PathLike[str], extra: Overrides = (), tune: bool = True
) -> Experiment:
    """An experiment from its YAML file.

    Args:
        path: YAML file; its name without ``.yaml`` is the name of the experiment.
        extra: Overrides that are added to ``base``.
        tune: False: as if the file said ``tuning: null``.

    Returns:
        The experiment, with lists of overrides as tuples, and variants and grids given to each
        arm that has none of its own.

    Raises:
        FileNotFoundError: No such file.
        ValueError: A key is missing or unknown, an arm has another number of trials than the
            others, or something is named that does not exist.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"there is no experiment {path}.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {error}") from error
    _check_keys(str(path), content, KEYS, OPTIONAL)
    tuning = content["tuning"] if tune else None
    if tuning is not None:
        _check_keys("tuning", tuning, ("trials", "seed", "fold", "grid"), ("tuned_on", "choose"))
    measure = _mapping("measure", content.get("measure", {}))
    _check_keys("measure", measure, (), ("x", "y", "also"))
    experiment = Experiment(
        name=path.stem,
        claim=str(content["claim"]).strip(),
        falsified_if=str(content["falsified_if"]).strip(),
        base=(*_overrides("base", content["base"]), *extra),
        arms={
            str(name): _arm(str(name), arm, content["variants"], tuning)
            for name, arm in _mapping("arms", content["arms"]).items()
        },
        baseline=str(content["baseline"]),
        seeds=tuple(content["seeds"]),
        tuning=tuning and _tuning(tuning),
        measure=Measure(**{**measure, "also": tuple(measure.get("also", ()))}),
        analyse=_functions(content.get("analyse", [])),
    )
    _check(experiment)
    return experiment


def _arm(name: str, given: Any, variants: Any, tuning: Mapping[str, Any] | None) -> Arm:
    """An arm is a list of overrides, or a mapping with its own variants and grid."""
    given = given if isinstance(given, Mapping) else {"overrides": given}
    _check_keys(f"arms.{name}", given, ("overrides",), ("variants", "grid", "tuned_on"))
    own = _mapping(f"arms.{name}.variants", given.get("variants", variants))
    grid = {} if tuning is None else given.get("grid", tuning["grid"])
    return Arm(
        overrides=_overrides(f"arms.{name}", given["overrides"]),
        variants={str(key): _overrides(f"variants.{key}", own[key]) for key in own},
        grid={key: tuple(values) for key, values in _mapping("grid", grid).items()},
        tuned=None if tuning is None else given.get("tuned_on", tuning.get("tuned_on")),
    )


def _tuning(given: Mapping[str, Any]) -> Tuning:
    choose = given.get("choose")
    if choose is not None:
        _check_keys("tuning.choose", choose, ("largest", "within"), ())
        choose = Choose(str(choose["largest"]), choose["within"])
    return Tuning(given["trials"], given["seed"], given["fold"], choose)


def _check(experiment: Experiment) -> None:
    arms, tuning = experiment.arms, experiment.tuning
    if experiment.baseline not in arms:
        raise ValueError(
            f"baseline must be one of the arms {', '.join(arms)}. Got {experiment.baseline!r}."
        )
    seeds = experiment.seeds
    if not seeds or len(set(seeds)) < len(seeds) or not all(isinstance(s, int) for s in seeds):
        raise ValueError(f"seeds must be different whole numbers. Got {list(seeds)}.")
    if tuning is None:
        return
    if tuning.seed in seeds:
        raise ValueError(f"tuning.seed must not be one of the seeds {seeds}. Got {tuning.seed}.")
    for name, arm in arms.items():
        trials = prod(len(values) for values in arm.grid.values())
        if trials != tuning.trials:
            raise ValueError(
                f"every arm gets the same tuning budget: the grid of {name} must have "
                f"tuning.trials={tuning.trials} combinations. Got {trials}: {dict(arm.grid)}."
            )
        if arm.tuned is not None and arm.tuned not in arm.variants:
            raise ValueError(
                f"arm {name} is to be tuned on {arm.tuned!r} and has no such variant. Say "
                f"`tuned_on: VARIANT` (or null) in the arm; variants: {', '.join(arm.variants)}."
            )

    if tuning.choose is not None:
        _check_choose(experiment, tuning.choose)


def _check_choose(experiment: Experiment, choose: Choose) -> None:
    arms, within = experiment.arms, choose.within
    if type(within) not in (int, float) or not 0 <= within < 1:
        raise ValueError(f"tuning.choose.within must be a share from 0 to 1. Got {within!r}.")
    chosen = {name: arm for name, arm in arms.items() if choose.largest in arm.grid}
    if not chosen:
        raise ValueError(f"tuning.choose.largest must be in a grid. Got {choose.largest!r}.")
    for name, arm in chosen.items():
        numbers = arm.grid[choose.largest]
        if not all(type(value) in (int, float) for value in numbers):
            raise ValueError(
                f"tuning.choose.largest needs numbers to compare. Got {choose.largest} = "
                f"{list(numbers)} in {name}."
            )
        if missing := sorted(set(arm.variants) - set(arms[experiment.baseline].variants)):
            raise ValueError(
                "tuning.choose compares with the baseline in the same variant. Got "
                f"{', '.join(missing)} of {name}, which {experiment.baseline} lacks."
            )


def _check_keys(where: str, given: Any, needed: tuple[str, ...], optional: tuple[str, ...]) -> None:
    given = _mapping(where, given)
    missing = [key for key in needed if key not in given]
    unknown = [str(key) for key in given if key not in (*needed, *optional)]
    if missing or unknown:
        wrong = [f"lacks {', '.join(missing)}"] * bool(missing)
        wrong += [f"has the unknown key {', '.join(unknown)}"] * bool(unknown)
        known = ", ".join((*needed, *optional))
        raise ValueError(f"{where} {' and '.join(wrong)}. Keys: {known}.")


def _mapping(where: str, value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} must be keys with values. Got {value!r}.")
    return value


def _functions(value: Any) -> tuple[Mapping[str, Any], ...]:
    known = isinstance(value, list) and all(
        isinstance(v, Mapping) and "_target_" in v for v in value
    )
    if not known:
        raise ValueError(
            "analyse must be a list of functions, each with _target_ and its arguments. Got "
            f"{value!r}."
        )
    return tuple(value)


def _overrides(where: str, value: Any) -> Overrides:
    if not isinstance(value, list) or not all(isinstance(v, str) and "=" in v for v in value):
        raise ValueError(f"{where} must be a list of KEY=VALUE of `graphcolumns train`. {value!r}.")
    return tuple(value)
