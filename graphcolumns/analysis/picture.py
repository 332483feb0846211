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
        name: Name of its files, ``NAME.png`` and ``NAME.csv``.
        title: Heading.
        caption: Description of what is seen, with units.
        png: Image.
        csv: Numbers, with a header.
        html: Interactive version of the image, or None.
        frames: Images, PNG, of a film that ``html`` plays.
        milliseconds: Time between two frames.
    """

    name: str
    title: str
    caption: str
    png: bytes
    csv: str
    html: str | None = None
    frames: tuple[bytes, ...] = ()
    milliseconds: int = 120


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


def padded_cells(values: np.ndarray, rows: np.ndarray) -> list[Any]:
    """Values with empty cells below them, one cell for each of ``rows``."""
    return [*values.tolist(), *[""] * (len(rows) - len(values))]


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else value
