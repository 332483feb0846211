"""One picture of a report: an image, its caption, and the numbers behind it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

DPI = 110


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure of a report.

    Args:
        name: of its files, `NAME.png` and `NAME.csv`.
        title: a heading.
        caption: what is seen, with units.
        png: the image.
        csv: the numbers, with a header.
        html: the same to turn and to point at, or None.
    """

    name: str
    title: str
    caption: str
    png: bytes
    csv: str
    html: str | None = None


def png(figure: Figure) -> bytes:
    """The figure as a PNG."""
    buffer = io.BytesIO()
    # No software name inside: the same numbers make the same bytes.
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def table(columns: Mapping[str, Sequence[Any] | np.ndarray]) -> str:
    """Columns of equal length as CSV; floats with six digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in zip(*columns.values(), strict=True))
    return text.getvalue()


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else value
