"""Names of populations of separate networks."""

from __future__ import annotations

import re


def prefix_of(name: str) -> str:
    """``"task0/"`` of the population ``"task0/hidden1"``; empty for one that tasks share."""
    found = re.match(r"task\d+/", name)
    return found.group() if found else ""
