"""One run of a sweep: kept if it is done, continued if it was stopped, or started."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml  # type: ignore[import-untyped]
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from graphcolumns import checkpoint
from graphcolumns.cli.check import CheckedConfig
from graphcolumns.cli.members import differences
from graphcolumns.cli.paths import plain
from graphcolumns.cli.prepare import prepare
from graphcolumns.cli.resume import run_training
from graphcolumns.cli.run_folder import read_config, write_config

OVERRIDES, ERROR, SUMMARY = "overrides.yaml", "error.log", "summary.json"
STARTED = ("checkpoint", "checkpoint.old", SUMMARY)
# What does not change a result.
PRESENTATION = ("run", "progress", "report", "tensorboard")
State = Literal["done", "stopped", "new"]


def state(run: Path, config: Mapping[str, Any]) -> State:
    """What is in the folder of a run.

    Raises:
        FileExistsError: A run of another configuration, or files that are no run.
        ValueError: Its configuration is damaged.
    """
    if any((run / name).exists() for name in STARTED):
        found = differences(_decisive(read_config(run)), _decisive(config))
        if found:
            raise FileExistsError(
                f"nothing is overwritten, and {run} holds a run of another configuration: "
                f"{'; '.join(found)}. Choose another folder: hydra.sweep.dir=FOLDER."
            )
        return "done" if is_done(run) else "stopped"
    if not (run / "config.yaml").exists():
        checkpoint.check_free(run)
    return "new"


def is_done(run: Path) -> bool:
    """Whether a run has its summary, and nothing failed after that, such as its report."""
    return (run / SUMMARY).exists() and not (run / ERROR).exists()


def _decisive(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in PRESENTATION}


def run_member(config: DictConfig) -> float | None:
    """What hydra's launchers call, in this process or in another; the folder is there already.

    Args:
        config: Configuration of the run, checked before any run of the sweep began.

    Returns:
        The accuracy on the held-out half, for sweepers.

    Raises:
        Exception: Whatever stops the run; it is also written to ``error.log`` in its folder.
    """
    settings = HydraConfig.get()
    run = Path(settings.runtime.output_dir)
    values = CheckedConfig(plain(config, Path(settings.runtime.cwd)))
    if state(run, values) == "done":
        return _accuracy(run)
    (run / ERROR).unlink(missing_ok=True)
    try:
        checkpoint.write_text(run / OVERRIDES, yaml.safe_dump(list(settings.overrides.task)))
        write_config(run, values)
        return run_training(prepare(values), run, values["report"], resume=True)
    except Exception as error:
        checkpoint.write_text(run / ERROR, f"{_said(error)}\n\n{traceback.format_exc()}")
        raise


def reason(run: Path) -> str:
    """Why a run has no summary: the first paragraph of its ``error.log``."""
    if not (run / ERROR).exists():
        return "its process ended without a word; out of memory?"
    return (run / ERROR).read_text(encoding="utf-8").partition("\n\n")[0]


def _said(error: Exception) -> str:
    lines = [f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])]
    return "\n".join(line for text in lines for line in text.splitlines() if line.strip())


def _accuracy(run: Path) -> float | None:
    summary = json.loads((run / SUMMARY).read_text(encoding="utf-8"))
    scores = (summary.get(f"{half}_accuracy") for half in ("test", "validation"))
    return next((score for score in scores if score is not None), None)
