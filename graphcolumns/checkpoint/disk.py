"""Files that are whole or absent, whenever the process or the machine stops."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a small file, whole or not at all."""
    path = Path(path).expanduser()
    new = path.with_name(path.name + ".tmp")
    new.write_text(text, encoding="utf-8")
    sync(new)
    new.replace(path)
    sync(path.parent)


def place_for(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """The place of a file that is about to be written; ``~`` is the home folder.

    Args:
        path: File to be written.
        overwrite: Whether a file of that name may be replaced.

    Raises:
        FileExistsError: There is such a file, and it is not to be replaced.
    """
    path = Path(path).expanduser()
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} must not exist. Pass overwrite=True to replace it.")
    return path


def sync(path: Path) -> None:
    """Bring a file, or the list of names of a folder, to disk."""
    if path.is_dir() and os.name == "nt":  # Windows opens no folder
        return
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def digest(path: Path) -> str:
    """A 128-bit fingerprint of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def damaged(path: Path, reason: object) -> ValueError:
    """The error for a file that is not what was written."""
    return ValueError(
        f"{path} is damaged ({reason}). Restore the checkpoint folder from a copy, or train again "
        "in another run folder."
    )
