"""Which input every column sees, and what it copies from below."""

import torch
from torch import Tensor

from graphcolumns.geometry import Geometry
from graphcolumns.geometry.view import view
from graphcolumns.models.options import InterfaceOptions
from graphcolumns.nn import checks


def receptive_tokens(receptive: Tensor | None, columns: int, tokens: int) -> Tensor:
    """The token that each column sees, checked; by default token n for the first ``P`` columns.

    Args:
        receptive: ``[N]`` int64, -1 for none.
        columns: ``N``.
        tokens: ``P``.

    Returns:
        ``[N]`` int64.

    Raises:
        ValueError: More tokens than columns, or ids that name no token.
        TypeError: Ids that are not int64.
    """
    if receptive is None:
        if tokens > columns:
            raise ValueError(
                f"{tokens} input tokens do not fit {columns} columns: use larger patches "
                "or pass receptive=[token of each column]"
            )
        ids = torch.arange(columns)
        return torch.where(ids < tokens, ids, -1)
    check_ids("receptive", receptive, columns)
    if receptive.max() >= tokens or receptive.min() < -1:
        raise ValueError(
            f"receptive must hold token ids below {tokens}, or -1 for none, "
            f"got ids in [{int(receptive.min())}, {int(receptive.max())}]"
        )
    return receptive


def seen_tokens(
    interface: InterfaceOptions, geometry: Geometry, grid: tuple[int, ...], user: Tensor
) -> Tensor:
    """The token that each column of a sheet sees, -1 for none.

    Args:
        interface: How tokens are given to columns.
        geometry: Where the ``N`` columns are.
        grid: Rows of tokens, and tokens per row.
        user: The user's id of each column, ``[N]``.

    Returns:
        ``[N]`` int64.

    Raises:
        ValueError: Another number of ids than of columns.
        TypeError: Ids that are not whole numbers.
    """
    if interface.receptive is not None:
        receptive = torch.as_tensor(interface.receptive)
        check_ids("receptive", receptive, len(user))
        return receptive[user]
    rows, columns = grid
    if interface.inputs == "topographic":
        return topographic_tokens(geometry, rows, columns)
    return torch.where(user < rows * columns, user, -1)


def topographic_tokens(geometry: Geometry, rows: int, columns: int) -> Tensor:
    """The token nearest to the place where each column looks, see :func:`view`.

    Every sheet of a stack sees the whole image; so does a sphere, and each hemisphere of a cortex.
    Columns along one line (a ring) take the tokens in their order. A token may be seen by no
    column where a curved surface is thinly covered.

    Args:
        geometry: The columns.
        rows: Rows of tokens.
        columns: Tokens per row.

    Returns:
        ``[N]`` int64, row-major token ids.
    """
    places = view(geometry)
    spread = places.amax(0) - places.amin(0)
    if int((spread == 0).sum()) == 1:  # along one line
        along = places[:, int(spread.argmax())]
        return (along * rows * columns).long().clamp(max=rows * columns - 1)
    row, column = (places * torch.tensor([rows - 1, columns - 1])).round().long().T
    return row * columns + column


def check_direct_edges(direct_edges: Tensor | None, columns: int) -> None:
    """Raises unless every column copies an input or a column: ids ``[N]`` below ``2 N``."""
    if direct_edges is None:
        return
    check_ids("direct_edges", direct_edges, columns)
    if direct_edges.min() < 0 or direct_edges.max() >= 2 * columns:
        raise ValueError(
            f"direct_edges are ids into [input; x], in [0, {2 * columns}), "
            f"got ids in [{int(direct_edges.min())}, {int(direct_edges.max())}]"
        )


def check_ids(name: str, ids: Tensor, columns: int) -> None:
    """Raises unless there is one int64 id per column."""
    checks.check_int64_ids(name, ids)
    if ids.shape != (columns,):
        raise ValueError(
            f"{name} must hold one id per column, [N] = [{columns}], got {list(ids.shape)}"
        )
