"""Reading a run folder back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError  # type: ignore[import-untyped]

from graphcolumns import checkpoint
from graphcolumns.cli.build import Parts, build


def load(run: str | Path) -> Parts:
    """Model (with its trained weights), graph, geometry and data of a run.

    Args:
        run: a run folder with a checkpoint.

    Returns:
        All that the run was made of; `Parts` lists it. The model is in evaluation mode. Where
        positions were learned, geometry and graph have the positions and lengths at the end.

    Raises:
        FileNotFoundError: no run folder, no config.yaml or no checkpoint in it.
        ValueError: a damaged file.
    """
    parts = build(read_config(Path(run)))
    checkpoint.load(Path(run), parts.model)
    return parts.current()


def read_config(run: Path) -> dict[str, Any]:
    """The configuration of a run, as plain values.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged.
    """
    path = run / "config.yaml"
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: {run} is not a run folder.")
    try:
        loaded = OmegaConf.load(path)
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}). Restore it from a copy.") from error
    if not isinstance(loaded, DictConfig) or not loaded:
        raise ValueError(f"{path} holds no configuration. Restore it from a copy.")
    return OmegaConf.to_container(loaded, resolve=True)  # type: ignore[return-value]
