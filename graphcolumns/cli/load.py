"""Reading a run folder back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from graphcolumns import checkpoint
from graphcolumns.cli.build import Parts, build


def load(run: str | Path) -> Parts:
    """Model (with its trained weights), graph, geometry and data of a run.

    Args:
        run: a run folder with a checkpoint.

    Returns:
        All that the run was made of; `Parts` lists it. The model is in evaluation mode.

    Raises:
        FileNotFoundError: no run folder, no config.yaml or no checkpoint in it.
        ValueError: a damaged file.
    """
    parts = build(read_config(Path(run)))
    checkpoint.load(Path(run), parts.model)
    return parts


def read_config(run: Path) -> dict[str, Any]:
    """The configuration of a run, as plain values.

    Raises:
        FileNotFoundError: there is none.
    """
    path = run / "config.yaml"
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: {run} is not a run folder.")
    config: dict[str, Any] = OmegaConf.to_container(OmegaConf.load(path), resolve=True)  # type: ignore[assignment]
    return config
