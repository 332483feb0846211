"""Notes on errors: what was being done when they were raised."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def noting(context: str) -> Iterator[None]:
    """Adds ``(context)`` as a note to whatever is raised inside."""
    try:
        yield
    except Exception as error:
        error.add_note(f"({context})")
        raise
