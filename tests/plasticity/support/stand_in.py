"""Evidence of which a test says all that is known."""

from types import SimpleNamespace
from typing import Any


def edges(**known: Any) -> Any:
    """Edges of which only these properties are known."""
    return SimpleNamespace(are_edges=True, **known)


def candidates(**known: Any) -> Any:
    """Candidates of which only these properties are known."""
    return SimpleNamespace(are_edges=False, **known)
