"""Where things are in a run folder, and whether a folder may become one."""

from __future__ import annotations

from pathlib import Path

# Format of a checkpoint. From 2 on edges have the ids of the user; in 1, those of the model.
FORMAT, READABLE = 2, (1, 2)
WEIGHTS, TOPOLOGY, STATE = "model.safetensors", "topology.safetensors", "state.pt"


def check_free(run: Path) -> None:
    """Raise unless `run` can become a run folder: absent, empty, or with config.yaml only.

    Raises:
        FileExistsError: it holds files, perhaps of an earlier run.
        NotADirectoryError: it is a file, or lies below one.
    """
    nearest = next(path for path in (run, *run.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise NotADirectoryError(
            f"run folder {run} cannot be made: {nearest} is a file. Choose another: run=FOLDER."
        )
    if run.exists() and {path.name for path in run.iterdir()} - {"config.yaml"}:
        raise FileExistsError(
            f"run folder {run} is not empty, and nothing is overwritten. Continue it with "
            f"`graphcolumns resume {run}`, or choose another: run=OTHER."
        )


def has_checkpoint(run: Path) -> bool:
    """Whether a folder holds a checkpoint that can be read or is damaged."""
    return any((run / name).exists() for name in ("checkpoint", "checkpoint.old"))


def find(run: Path) -> Path:
    """The folder of the newest whole checkpoint.

    Raises:
        FileNotFoundError: there is none, or a file of it is missing.
    """
    if not run.is_dir():
        raise FileNotFoundError(f"there is no run folder {run}.")
    # Killed between two renames, a run has no `checkpoint`; `checkpoint.old` is then the newest.
    folder = next((f for f in (run / "checkpoint", run / "checkpoint.old") if f.is_dir()), None)
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
