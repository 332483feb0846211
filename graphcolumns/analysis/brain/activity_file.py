"""Activity by region in a file that other programs read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch

from graphcolumns.analysis.brain.region_activity import RegionActivity
from graphcolumns.checkpoint.disk import place_for

AXES = ("step", "sample", "region")
ENTRIES = ("values", "axes", "steps", "names", "families", "channels")


def activity_file(
    path: str | os.PathLike[str], activity: RegionActivity, overwrite: bool = False
) -> Path:
    """Writes activity by region with named axes, as ``.npz`` without pickled objects.

    The entries are ``values`` ``[T, S, R]`` float32; ``axes``, the names of these axes, ``step``,
    ``sample`` and ``region``; ``steps`` ``[T]`` int64; ``names`` and ``families`` ``[R]``; and
    ``channels``, what the activity of a column is. The file is whole or absent: it is written under
    another name first.

    Args:
        path: File that ends in ``.npz``; its folder must exist, ``~`` is the home folder.
        activity: Activity from ``region_activity``.
        overwrite: Whether a file of that name is replaced.

    Returns:
        The path.

    Raises:
        ValueError: Another ending.
        FileExistsError: There is such a file, and it is not to be replaced.
    """
    path = Path(path).expanduser()
    if path.suffix != ".npz":
        raise ValueError(f"path must end in .npz. Got {path}.")
    path = place_for(path, overwrite)
    new = path.with_name(path.name + ".tmp")
    with new.open("wb") as file:
        np.savez(
            file,
            values=activity.values.numpy(),
            axes=np.array(AXES),
            steps=np.array(activity.steps, dtype=np.int64),
            names=np.array(activity.names),
            families=np.array(activity.families),
            channels=np.array(activity.channels),
        )
    new.replace(path)
    return path


def read_activity_file(path: str | os.PathLike[str]) -> RegionActivity:
    """The activity in a file of ``activity_file``.

    Args:
        path: File; ``~`` is the home folder.

    Raises:
        ValueError: A file without these entries.
    """
    path = Path(path).expanduser()
    with np.load(path, allow_pickle=False) as file:
        missing = [name for name in ENTRIES if name not in file]
        if missing:
            raise ValueError(
                f"{path} must be a file of activity_file. Expected {', '.join(ENTRIES)}. Got none "
                f"of {', '.join(missing)}."
            )
        names, families = (tuple(map(str, file[entry])) for entry in ("names", "families"))
        values = torch.from_numpy(file["values"])
        steps = tuple(file["steps"].tolist())
        return RegionActivity(values, names, steps, families, str(file["channels"]))
