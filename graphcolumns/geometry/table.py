"""Tables of numbers from files: text with delimiters, ``.npy`` and ``.npz``."""

from __future__ import annotations

import csv
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = str | int
TEXT_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of a file, column by column.

    Args:
        path: The file.
        names: Name of each column; empty if the file has no header.
        columns: Values of each column, ``[R]``; text until they are read as numbers.
        lines: Position of each row in the file, ``[R]``: line of a text file, else row from 0.
    """

    path: Path
    names: tuple[str, ...]
    columns: tuple[NDArray[Any], ...]
    lines: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lines)

    def described(self) -> str:
        """The columns of the file, for error messages."""
        if self.names:
            return f"columns {', '.join(map(repr, self.names))}"
        return f"{len(self.columns)} columns without a header"

    def index(self, column: Column) -> int:
        """Position of a column that is given by name, or from 0.

        Raises:
            ValueError: There is no such column.
        """
        if isinstance(column, str):
            found = [i for i, name in enumerate(self.names) if name == column]
        else:
            found = [column] if 0 <= column < len(self.columns) else []
        if len(found) != 1:
            raise ValueError(
                f"{self.path} must hold one column {column!r}. Got {self.described()}; name a "
                "column of the header, or give its position from 0."
            )
        return found[0]

    def numbers(self, column: Column) -> NDArray[np.float64]:
        """A column as finite numbers, ``[R]`` float64.

        Raises:
            ValueError: A value is no finite number; the error names its line.
        """
        values = self.columns[self.index(column)]
        try:
            numbers = values.astype(np.float64)
        except ValueError:
            numbers = np.array([_number(value) for value in values])
        bad = np.flatnonzero(~np.isfinite(numbers))
        if len(bad):
            raise self._wrong(column, int(bad[0]), "finite numbers")
        return numbers

    def integers(self, column: Column) -> NDArray[np.int64]:
        """A column as whole numbers, ``[R]`` int64.

        Raises:
            ValueError: A value is no whole number; the error names its line.
        """
        values = self.columns[self.index(column)]
        if values.dtype.kind in "iu":
            return values.astype(np.int64)
        numbers = self.numbers(column)
        bad = np.flatnonzero((numbers != np.floor(numbers)) | (np.abs(numbers) > 2**53))
        if len(bad):
            raise self._wrong(column, int(bad[0]), "whole numbers")
        return numbers.astype(np.int64)

    def texts(self, column: Column) -> list[str]:
        """A column as text, without space around it."""
        return [str(value).strip() for value in self.columns[self.index(column)]]

    def _wrong(self, column: Column, row: int, expected: str) -> ValueError:
        value = self.columns[self.index(column)][row]
        got = repr(str(value)) if str(value).strip() else "an empty field"
        return ValueError(
            f"column {column!r} of {self.path} must hold {expected}. Got {got} in line "
            f"{self.lines[row]}; mend or remove that line."
        )


def read_table(
    path: str | os.PathLike[str], delimiter: str | None = None, header: bool | None = None
) -> Table:
    """Read a table from a file.

    Text: one row per line. The delimiter is tab, semicolon or comma, whichever the first row has
    (in this order), else white space. A first row with a field that is no number is the header
    (numbers as names need ``header=True``). Empty lines and lines that start with ``#`` are
    skipped. UTF-8 or UTF-16, with or without a mark.

    ``.npy``: an array ``[R, columns]`` or ``[R]``, or a structured array, whose fields are named
    columns. ``.npz``: named columns ``[R]``, or one array ``[R, columns]``. Objects are not loaded.

    Args:
        path: The file; ``~`` is the home folder.
        delimiter: Delimiter of a text file (default: found as above).
        header: Whether the first row of a text file holds names (default: found as above).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is empty, damaged or no table, or a row has too many or too few fields.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file {path}. It must be a table: text (.csv, .tsv, .txt), .npy or .npz."
        )
    if path.suffix.lower() in (".npy", ".npz"):
        return _arrays(path)
    return _text(path, delimiter, header)


def _text(path: Path, delimiter: str | None, header: bool | None) -> Table:
    content = path.read_bytes()
    try:
        text = content.decode(TEXT_MARKS.get(content[:2], "utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not text in UTF-8 or UTF-16 ({error}). Save it as UTF-8 with delimiters."
        ) from error
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise ValueError(f"{path} must hold at least one row. It is empty.")
    rows = _fields(lines, delimiter)
    width = len(rows[0])
    for (number, _), row in zip(lines, rows, strict=True):
        if len(row) != width:
            raise ValueError(
                f"rows of {path} must have as many fields as its first, {width}. Got {len(row)} in "
                f"line {number}; mend that line, or pass delimiter=."
            )
    if header is None:
        header = any(np.isnan(_number(field)) and not _is_missing(field) for field in rows[0])
    names = tuple(rows[0]) if header else ()
    places = np.array([number for number, _ in lines[header:]], dtype=np.int64)
    columns = tuple(np.array([row[i] for row in rows[header:]], dtype=str) for i in range(width))
    return Table(path, names, columns, places)


def _fields(lines: list[tuple[int, str]], delimiter: str | None) -> list[list[str]]:
    """The fields of each line, without space around them."""
    if delimiter is None:
        delimiter = next((mark for mark in "\t;," if mark in lines[0][1]), " ")
    if delimiter == " ":
        return [line.split() for _, line in lines]
    return [[field.strip() for field in _split(line, delimiter)] for _, line in lines]


def _split(line: str, delimiter: str) -> list[str]:
    # Line by line, so that a quote without its end does not swallow the rest of the file.
    if '"' not in line:
        return line.split(delimiter)
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))


def _arrays(path: Path) -> Table:
    try:
        loaded, arrays = _load(path)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{path} is damaged, holds objects, or is no NumPy file ({error}). Save arrays of "
            "numbers with numpy.save or numpy.savez."
        ) from error
    if len(arrays) == 1 and next(iter(arrays.values())).ndim == 2:
        loaded, arrays = next(iter(arrays.values())), {}
    if loaded is not None and loaded.dtype.names and loaded.ndim == 1:
        arrays = {name: loaded[name] for name in loaded.dtype.names}
    if not arrays and loaded is None:
        raise ValueError(f"{path} must hold at least one array. It is empty.")
    if not arrays:
        loaded = loaded[:, None] if loaded.ndim == 1 else loaded
        if loaded.ndim != 2 or loaded.dtype.kind not in "biuf" or not loaded.shape[1]:
            raise ValueError(
                f"{path} must hold an array of numbers with a row per entry, shape (rows, columns)."
                f" Got {loaded.dtype} of shape {loaded.shape}."
            )
        return Table(path, (), tuple(loaded.T), np.arange(len(loaded)))
    if {"format", "shape", "data"} <= set(arrays):
        raise ValueError(
            f"{path} must hold columns of one length. Got a sparse matrix of SciPy; call "
            "ColumnGraph.from_scipy(scipy.sparse.load_npz(path), values=...)."
        )
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) != 1 or len(next(iter(shapes.values()))) != 1:
        raise ValueError(
            f"{path} must hold columns of one length, shape (rows,). Got "
            f"{', '.join(f'{name!r} {shape}' for name, shape in shapes.items())}."
        )
    columns = tuple(arrays.values())
    return Table(path, tuple(arrays), columns, np.arange(len(columns[0])))


def _load(path: Path) -> tuple[Any, dict[str, Any]]:
    """The one array of a ``.npy``, or the arrays of a ``.npz`` by name."""
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded, {}
    with loaded:
        return None, {name: loaded[name] for name in loaded.files}


def _number(field: Any) -> float:
    """The number in a field; NaN if there is none."""
    try:
        return float(field)
    except ValueError:
        return float("nan")


def _is_missing(field: str) -> bool:
    return field.lower().lstrip("+-") in ("", "nan", "na", "null")
