"""Where things are in a run folder, and whether a folder may become one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

# Format of a checkpoint. From 2 on edges have the ids of the user; in 1, those of the model.
FORMAT, READABLE = 2, (1, 2)
WEIGHTS, TOPOLOGY, STATE = "model.safetensors", "topology.safetensors", "state.pt"
ABOUT = "about.json"  # which checkpoints of earlier versions lack
# What a start leaves that failed before the first checkpoint: nothing that is worth keeping.
BEGUN = (
    *("config.yaml", "config.yaml.tmp", "checkpoint.tmp", "changes.jsonl.tmp"),
    *("overrides.yaml", "overrides.yaml.tmp", "error.log", "error.log.tmp"),  # of a sweep
)
WHICH = ("last", "best")


def check_free(run: str | os.PathLike[str]) -> None:
    """Raise unless ``run`` can become a run folder: absent, empty, or left by a failed start.

    A start that failed before its first checkpoint leaves nothing but a configuration and
    temporary files.

    Raises:
        FileExistsError: It holds files, perhaps of an earlier run.
        NotADirectoryError: It is a file, or is below one.
    """
    run = Path(run).expanduser()
    nearest = next(path for path in (run, *run.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise NotADirectoryError(
            f"run folder {run} cannot be made: {nearest} is a file. Choose another: run=FOLDER."
        )
    if run.exists() and {path.name for path in run.iterdir()} - set(BEGUN):
        # `train` in Python writes no configuration, which the command needs.
        in_python = has_checkpoint(run) and not (run / "config.yaml").exists()
        way = "train(..., resume=True)" if in_python else f"`graphcolumns resume {run}`"
        raise FileExistsError(
            f"run folder {run} is not empty, and nothing is overwritten. Continue it with {way}, "
            "or choose another: run=OTHER."
        )


def has_checkpoint(run: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a checkpoint that can be read or is damaged."""
    run = Path(run).expanduser()
    return any((run / name).exists() for name in ("checkpoint", "checkpoint.old"))


def forget_start(run: str | os.PathLike[str]) -> None:
    """Remove what a start left that failed before its first checkpoint; a run stays as it is."""
    run = Path(run).expanduser()
    if not run.is_dir() or {path.name for path in run.iterdir()} - set(BEGUN):
        return
    for name in BEGUN:
        path = run / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    run.rmdir()


def find_checkpoint(run: str | os.PathLike[str], which: str = "last") -> Path:
    """The folder of a whole checkpoint.

    Args:
        run: Run folder.
        which: ``"last"``, the newest, or ``"best"``, the one with the best validation score.

    Raises:
        FileNotFoundError: There is none, or a file of it is missing.
        ValueError: An unknown ``which``.
    """
    if which not in WHICH:
        raise ValueError(f"which must be one of {', '.join(map(repr, WHICH))}. Got {which!r}.")
    run = Path(run).expanduser()
    if not run.is_dir():
        raise FileNotFoundError(f"there is no run folder {run}.")
    # Killed between two renames, a run has no `checkpoint`; `checkpoint.old` is then the newest.
    name = "checkpoint" if which == "last" else which
    folder = next((f for f in (run / name, run / f"{name}.old") if f.is_dir()), None)
    if folder is None and which == "best":
        raise FileNotFoundError(
            f"there is no best checkpoint in {run}. A run keeps one if it is scored on a "
            "validation fold while it trains: fold=0 evaluate_every=100."
        )
    if folder is None:
        raise FileNotFoundError(
            f"there is no checkpoint in {run}: the run was stopped before its first one, or this "
            "is not a run folder."
        )
    missing = [name for name in (WEIGHTS, TOPOLOGY, STATE) if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"the checkpoint {folder} lacks {', '.join(missing)}. Restore the folder from a copy, "
            "or train again in another run folder."
        )
    return folder
