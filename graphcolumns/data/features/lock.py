"""A folder that one process at a time writes to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = "lock"


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Keeps other processes from writing to a folder until the end of the ``with``.

    The system releases the lock when a process ends, however it ends.

    Args:
        folder: Folder that exists.

    Raises:
        RuntimeError: Another process writes to it.
    """
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT)
    try:
        try:
            _take(handle)
        except OSError as error:
            raise RuntimeError(
                f"one process at a time may write {folder}. Another one does; wait for it, then "
                "call again to read what it wrote."
            ) from error
        yield
    finally:
        os.close(handle)


def _take(handle: int) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
