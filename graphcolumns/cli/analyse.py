"""What the ``analyse`` of an experiment measures on a run that has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from hydra.utils import instantiate

from graphcolumns.cli.build import Parts, build, make_model
from graphcolumns.cli.check import CheckedConfig
from graphcolumns.cli.run_folder import load
from graphcolumns.cli.signature import check_function
from graphcolumns.cli.user_order import in_user_order
from graphcolumns.graph import ColumnGraph
from graphcolumns.studies import Retrained, StudyRun
from graphcolumns.training import derive
from graphcolumns.training.loop import run_steps
from graphcolumns.training.training import Training


def check_analyse(functions: Sequence[Mapping[str, Any]]) -> None:
    """Check that every one names a function of a run.

    Raises:
        ValueError, TypeError: No function, an unknown or missing argument, or a wrong value.
    """
    for place, node in enumerate(functions):
        check_function(f"analyse[{place}]", node, ("run",))


def analyse(
    run: Path, config: CheckedConfig, functions: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    """The numbers that all of these functions return, by name.

    Args:
        run: Folder of a run that has ended.
        config: Its configuration.
        functions: Function of a ``StudyRun`` and its other arguments, each.

    Raises:
        ValueError: Two functions return the same name.
        TypeError: A function returns something else than numbers by name.
    """
    if not functions:
        return {}
    studied, found = study_run(run, config), dict[str, float]()
    for node in functions:
        values = instantiate(dict(node), _partial_=True, _convert_="all")(studied)
        _check_values(node["_target_"], values, found)
        found |= {name: float(value) for name, value in values.items()}
    return found


def study_run(run: Path, config: CheckedConfig) -> StudyRun:
    """A run that has ended, in the user's order, with what it was before it began."""
    trained, before = load(run), in_user_order(build(config), config)

    def retrain(graph: ColumnGraph, seed: int | None = None) -> Retrained:
        return _retrain(before, config, graph, config["seed"] if seed is None else seed)

    return StudyRun(
        run, trained.geometry, trained.graph, trained.data, trained.model,
        before.model.eval(), before.graph, before.options, retrain,
    )  # fmt: skip


def _retrain(before: Parts, config: CheckedConfig, graph: ColumnGraph, seed: int) -> Retrained:
    with torch.random.fork_rng():
        torch.manual_seed(derive(seed, "weights"))
        model = make_model(config, before.geometry, graph, before.permutation, before.data)
    options = replace(before.options, seed=seed, checkpoint_every=None, progress=False)
    functions = {k: v for k, v in before.functions.items() if k != "plasticity"}
    training = Training(
        model, before.data, options, losses=before.losses, geometry=before.geometry, **functions
    )
    with TemporaryDirectory() as folder:
        summary = run_steps(training, Path(folder) / "run", False)
    return Retrained(training.model.eval(), summary)


def _check_values(name: str, values: Any, others: Mapping[str, float]) -> None:
    """Raise unless these are numbers by name, none of which another function returned."""
    if not isinstance(values, Mapping) or not all(isinstance(v, Real) for v in values.values()):
        raise TypeError(f"{name} must return numbers by name. Got {values!r}.")
    if twice := sorted(set(values) & set(others)):
        raise ValueError(
            f"every number of a run needs a name of its own. {name} returns {', '.join(twice)}, "
            "which another function of analyse returned."
        )
