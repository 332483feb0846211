"""Reading a run folder back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError  # type: ignore[import-untyped]

from graphcolumns import checkpoint
from graphcolumns.cli.build import Parts, build
from graphcolumns.cli.changes import with_changes
from graphcolumns.cli.check import check_config
from graphcolumns.cli.former import upgrade
from graphcolumns.cli.former_wall import with_former_wall
from graphcolumns.cli.metrics import read_metrics
from graphcolumns.cli.user_order import in_user_order


def load(run: str | os.PathLike[str], which: str = "last") -> Parts:
    """Model (with its trained weights), graph, geometry and data of a run, in the user's order.

    Column ``n`` of the geometry, of the graph, of ``model(inputs).state`` and of every parameter
    per column is column ``n`` of the geometry function or file that the configuration names,
    whatever order the run was trained in (``parts_of`` gives that one). Sums over edges and columns
    are taken in another order then, so outputs differ from those while training by rounding.

    Args:
        run: Run folder with a checkpoint.
        which: Checkpoint to read: ``"last"``, or ``"best"``, the one of the best validation score.

    Returns:
        All that the run was made of; ``Parts`` lists it. The model is in evaluation mode. Where
        positions were learned, geometry and graph have the positions and lengths at the end.
        ``metrics`` maps names to arrays with a row per step: ``plt.plot(m["step"], m["loss"])``.

    Raises:
        FileNotFoundError: There is no run folder, or no config.yaml or no checkpoint in it.
        ValueError: A file is damaged, or the columns of the model cannot be put in another order.

    Example:
        >>> import graphcolumns
        >>> run = graphcolumns.load("runs/train-seed0")  # doctest: +SKIP
        >>> run.model(run.data.test_inputs).prediction.argmax(1)  # doctest: +SKIP
    """
    config = read_config(Path(run).expanduser())
    return in_user_order(_trained(config, Path(run).expanduser(), which), config).current()


def parts_of(run: str | os.PathLike[str], which: str = "last") -> Parts:
    """The same as ``load``, in the order in which the run was trained.

    Column ``n`` is column ``permutation[n]`` of the user.
    """
    return _trained(read_config(Path(run).expanduser()), Path(run).expanduser(), which).current()


def _trained(config: Mapping[str, Any], run: Path, which: str) -> Parts:
    checkpoint.find_checkpoint(run, which)
    parts = build(check_config(config))
    checkpoint.load(run, parts.model.eval(), which=which)
    return parts._replace(metrics=read_metrics(run))


def write_config(run: Path, config: Mapping[str, Any]) -> None:
    """Write the configuration with which a run begins, and its folder if that is missing."""
    run.mkdir(parents=True, exist_ok=True)
    text = OmegaConf.to_yaml(OmegaConf.create(dict(config)))
    checkpoint.write_text(run / "config.yaml", text)


def read_config(run: Path) -> dict[str, Any]:
    """The configuration of a run, as plain values: config.yaml, and what was changed since.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is damaged.
    """
    path = run / "config.yaml"
    if not path.is_file() and checkpoint.has_checkpoint(run):
        raise FileNotFoundError(
            f"there is no {path}: {run} was trained by `train` in Python, which writes no "
            "configuration. Continue it with train(..., resume=True); to read it, build its model "
            "and call checkpoint.load(run, model)."
        )
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: {run} is not a run folder.")
    try:
        loaded = OmegaConf.load(path)
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}). Restore it from a copy.") from error
    if not isinstance(loaded, DictConfig) or not loaded:
        raise ValueError(f"{path} holds no configuration. Restore it from a copy.")
    config: dict[str, Any] = OmegaConf.to_container(loaded, resolve=True)  # type: ignore[assignment]
    upgraded = with_former_wall(upgrade(config), run)
    return with_changes(upgraded, checkpoint.read_changes(run))
