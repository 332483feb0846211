"""The name of a run's folder in a sweep."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256

# File systems end at 255 bytes, encrypted ones at 143; files beside a folder add to its name.
LONGEST = 120
_DIGITS = 12
_PLAIN = re.compile(r"[a-z0-9_.,=+~-]*[a-z0-9_]")


def folder_name(overrides: Sequence[str]) -> str:
    """All overrides of a run, in alphabetical order; shortened, with a hash, where that is no name.

    A name of plain characters that is short enough stays as it is: ``degree=4,seed=0``. Otherwise
    keys without a dot come first, other characters become ``_``, the text is cut, and ``@`` and a
    hash of all overrides follow, so different overrides have different names, also where upper and
    lower case are the same. The name depends on the overrides of this run alone, not on the sweep
    that it is part of.
    """
    text = ",".join(sorted(overrides)) or "default"
    if len(text) <= LONGEST and _PLAIN.fullmatch(text):
        return text
    ordered = sorted(overrides, key=lambda item: ("." in item.partition("=")[0], item))
    readable = re.sub(r"[^A-Za-z0-9_.,=+~-]+", "_", ",".join(ordered))[: LONGEST - _DIGITS - 1]
    return f"{readable}@{sha256(text.encode()).hexdigest()[:_DIGITS]}"
