"""Checks of single numbers of a rule."""

from __future__ import annotations

import math


def require_whole(name: str, value: object, least: int) -> None:
    """Raise unless ``value`` is a whole number (TypeError) of at least ``least`` (ValueError)."""
    if not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number. Got {value!r}.")
    require_at_least(name, value, least)


def require_at_least(name: str, value: float, least: float) -> None:
    """Raise a ValueError unless ``value`` is finite and at least ``least``."""
    if not least <= value < math.inf:
        raise ValueError(f"{name} must be at least {least}. Got {value}.")


def require_share(name: str, value: float) -> None:
    """Raise a ValueError unless ``value`` is in [0, 1)."""
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be in [0, 1). Got {value}.")
