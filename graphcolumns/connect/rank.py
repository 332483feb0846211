"""Which of several columns are nearest, ties included, in blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

BLOCK = 2**19  # values per temporary array: 4 MB of float64


def row_blocks(num_rows: int, width: int) -> Iterator[Ids]:
    """Ids ``0 .. num_rows`` in blocks of which ``width`` values per row fit in memory."""
    step = max(1, BLOCK // max(width, 1))
    for first in range(0, num_rows, step):
        yield np.arange(first, min(first + step, num_rows))


def first_ids(lengths: Floats, ids: Ids, count: int, tie: Floats) -> tuple[Ids, NDArray[np.bool_]]:
    """The first ``count`` columns of each row; among equally near ones the lowest ids.

    Args:
        lengths: Ascending in each row, ``[R, K]``; ``inf`` where there is no column.
        ids: The columns, ``[R, K]``.
        count: 1 to ``K``.
        tie: Columns are as near as the one before while their lengths rise by no more than this,
            ``[R, K]``.

    Returns:
        ``(first, open)``: ids ``[R, count]``, nearest first, and the rows ``[R]`` where a column
        that is not in ``ids`` could still be among them: too few are there, or the last is in the
        last tie.
    """
    level = np.zeros(ids.shape, dtype=np.int64)
    with np.errstate(invalid="ignore"):  # inf - inf
        level[:, 1:] = np.cumsum(~(np.diff(lengths, axis=1) <= tie[:, 1:]), axis=1)
    order = np.lexsort((ids, level), axis=1)[:, :count]
    num_found = np.isfinite(lengths).sum(1)
    last = np.maximum(num_found - 1, 0)
    tied = level[np.arange(len(ids)), last] == level[:, count - 1]
    return np.take_along_axis(ids, order, 1), tied | (num_found < count)
