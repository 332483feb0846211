"""A table of encoding scores: rows by region, a block of columns per model."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from graphcolumns.checkpoint import write_text
from graphcolumns.checkpoint.disk import place_for

# Every number of a row and a model.
COLUMNS = (
    "median_r",
    "mean_r",
    "median_ceiling_fraction",
    "mean_ceiling_fraction",
    "median_clipped_ceiling_fraction",
    "mean_clipped_ceiling_fraction",
)
# What `to_markdown` shows by default.
SHOWN = ("median_r", "median_ceiling_fraction", "median_clipped_ceiling_fraction")
HEADINGS = {
    "median_r": "median r",
    "mean_r": "mean r",
    "median_ceiling_fraction": "median r²/NC",
    "mean_ceiling_fraction": "mean r²/NC",
    "median_clipped_ceiling_fraction": "median r²/NC clipped",
    "mean_clipped_ceiling_fraction": "mean r²/NC clipped",
}


class TableRow(NamedTuple):
    """What a row of an encoding table is about.

    Attributes:
        kind: Kind of the set of vertices: ``"all"``, ``"hemisphere"``, ``"family"`` or
            ``"region"``.
        name: Name of the set.
        vertices: Number of its vertices that count.
        zero_ceiling: Number of these whose noise ceiling is 0; they have an r and no r²/NC.
        undefined: Number of these whose measured responses are constant; they have neither.
    """

    kind: str
    name: str
    vertices: int
    zero_ceiling: int
    undefined: int


@dataclass(frozen=True, eq=False, repr=False)
class EncodingTable:
    """Scores of models by region. ``encoding_table`` makes it.

    Args:
        rows: What each of the ``P`` rows is about.
        models: Names of the ``A`` models.
        values: Scores, ``[P, A, 6]`` float64 in the order of ``COLUMNS``; NaN where no vertex of a
            row has the score.
    """

    rows: tuple[TableRow, ...]
    models: tuple[str, ...]
    values: Tensor

    def __repr__(self) -> str:
        return f"EncodingTable({len(self.rows)} rows, models: {', '.join(self.models)})"

    def value(self, name: str, model: str, column: str, kind: str | None = None) -> float:
        """One score.

        Args:
            name: Name of a row, such as ``"all"``.
            model: Name of a model.
            column: One of ``COLUMNS``.
            kind: Kind of the row, where a family and a region have the same name.

        Raises:
            ValueError: There is no such row, model or column.
        """
        fitting = [p for p, row in enumerate(self.rows) if row.name == name]
        fitting = [p for p in fitting if kind is None or self.rows[p].kind == kind]
        _check("name", name, [row.name for row in self.rows] if not fitting else [name])
        _check("model", model, self.models)
        _check("column", column, COLUMNS)
        place = (fitting[0], self.models.index(model), COLUMNS.index(column))
        return float(self.values[place])

    def to_markdown(self, columns: Sequence[str] = SHOWN) -> str:
        """The table as markdown, with a block of columns for each model.

        Args:
            columns: Some of ``COLUMNS``, shown for each model.
        """
        for column in columns:
            _check("column", column, COLUMNS)
        head = ["region", "kind", "vertices", "ceiling 0", "constant"]
        head += [f"{model}: {HEADINGS[column]}" for model in self.models for column in columns]
        lines = [head, ["---", "---", *["---:"] * (len(head) - 2)]]
        for place, row in enumerate(self.rows):
            about = [row.name, row.kind, f"{row.vertices:,}"]
            about += [f"{row.zero_ceiling:,}", f"{row.undefined:,}"]
            numbers = [
                _shown(float(self.values[place, model, COLUMNS.index(column)]))
                for model in range(len(self.models))
                for column in columns
            ]
            lines.append(about + numbers)
        escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
        return "\n".join(f"| {' | '.join(line)} |" for line in escaped) + "\n"

    def csv(self) -> str:
        """The table as CSV: a line per row and model, every column at full precision."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*TableRow._fields, "model", *COLUMNS])
        for place, row in enumerate(self.rows):
            for number, model in enumerate(self.models):
                scores = [
                    "" if x != x else repr(float(x)) for x in self.values[place, number].tolist()
                ]
                writer.writerow([*row, model, *scores])
        return text.getvalue()

    def to_csv(self, path: str | os.PathLike[str], overwrite: bool = False) -> Path:
        """Write ``csv()``, to a temporary name first: the file is whole or absent.

        Args:
            path: File; its folder must exist.
            overwrite: Whether a file of that name is replaced.

        Returns:
            The path.

        Raises:
            FileExistsError: There is such a file, and it is not to be replaced.
        """
        place = place_for(path, overwrite)
        write_text(place, self.csv())
        return place


def _check(what: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(
            f"{what} must be one of {', '.join(map(repr, dict.fromkeys(known)))}. Got {value!r}."
        )


def _shown(value: float) -> str:
    return "-" if value != value else f"{value:z.3f}"
