"""Names of the regions of the Algonauts challenge 2023."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

# Families of regions, and their names. In masks 0 is a vertex in none ("Unknown"), and the ids of
# regions follow this order from 1: a fact of the challenge.
ROI_NAMES: Mapping[str, tuple[str, ...]] = {
    "prf-visualrois": ("V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4"),
    "floc-bodies": ("EBA", "FBA-1", "FBA-2", "mTL-bodies"),
    "floc-faces": ("OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"),
    "floc-places": ("OPA", "PPA", "RSC"),
    "floc-words": ("OWFA", "VWFA-1", "VWFA-2", "mfs-words", "mTL-words"),
    "streams": (
        *("early", "midventral", "midlateral", "midparietal", "ventral", "lateral", "parietal"),
    ),
}


def roi_names(family: str, path: Path | None = None, trusted: bool = False) -> dict[int, str]:
    """Names of the regions of a family by their ids.

    Args:
        family: Key of ``ROI_NAMES``.
        path: File of the challenge with the same names, ``mapping_<family>.npy``, a pickled
            mapping from id to name (default: the names of ``ROI_NAMES``).
        trusted: Whether the file may run code, as pickled files can.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A file without ``trusted``, or names that differ from ``ROI_NAMES``.
    """
    known = dict(enumerate(ROI_NAMES[family], 1))
    if path is None:
        return known
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; leave out trusted=True to do without.")
    if not trusted:
        raise ValueError(
            f"{path} is not read: it is a pickled mapping, and to load pickled arrays runs code "
            "that is in the file. Pass trusted=True if you trust it, or use the names in ROI_NAMES."
        )
    found = dict(np.load(path, allow_pickle=True).item())
    names = {int(key): str(name) for key, name in found.items() if int(key)}
    for key in sorted(names.keys() | known.keys()):
        if names.get(key) != known.get(key):
            raise ValueError(
                f"{path} must have the names of the challenge. Expected {known.get(key)!r} for "
                f"id {key}. Got {names.get(key)!r}; leave out trusted=True to use ROI_NAMES."
            )
    return names
