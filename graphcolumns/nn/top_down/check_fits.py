"""Errors for values that do not fit a layer."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def check_fits(name: str, values: Tensor, letters: str, sizes: Sequence[int | None]) -> None:
    """Raises ValueError for values of another shape.

    Args:
        name: Name of the values.
        values: Values that a layer got.
        letters: The dimensions, as in ``"N, B, C"``.
        sizes: Size of every dimension, None where any fits.
    """
    got = tuple(values.shape)
    fits = len(got) == len(sizes) and all(
        want in (None, size) for want, size in zip(sizes, got, strict=True)
    )
    if not fits:
        shown = [
            letter if want is None else str(want)
            for letter, want in zip(letters.split(", "), sizes, strict=True)
        ]
        raise ValueError(
            f"{name} must be [{letters}]. Expected [{', '.join(shown)}]. Got {list(got)}; change "
            "the population or the layer."
        )
