"""Weights of tokens on the grid that the tokens have on the image."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from graphcolumns.models.brain_encoder.structure import token_grid


class TokenMaps(NamedTuple):
    """Weights of tokens for some queries, on the grid of tokens.

    Attributes:
        maps: Weights of the tokens of the grid, ``[R, n, Y, X]``; row 0 is the top of the image.
        before: Weights of the tokens before the grid, such as a class token, ``[R, n, P]``.
        names: Name of each of the ``R`` queries.
    """

    maps: Tensor
    before: Tensor
    names: tuple[str, ...]

    def mean(self) -> Tensor:
        """The mean map of each query over samples, ``[R, Y, X]``."""
        return self.maps.mean(1)

    def named(self, name: str) -> Tensor:
        """The maps of a query, ``[n, Y, X]``.

        Raises:
            ValueError: There is no such query.
        """
        if name not in self.names:
            raise ValueError(
                f"name must be one of {', '.join(map(repr, self.names[:20]))}. Got {name!r}."
            )
        return self.maps[self.names.index(name)]


def on_grid(
    weights: Tensor, names: tuple[str, ...], grid: tuple[int, int] | None = None
) -> TokenMaps:
    """Weights of tokens as maps.

    Args:
        weights: Weights of tokens, those of the grid last and row by row, ``[R, n, M]``.
        names: Name of each of the ``R`` queries.
        grid: Rows and columns of tokens (default: a square, perhaps with a token before it).

    Raises:
        ValueError: Tokens that are no square and no grid, or a grid of more tokens.
    """
    count = weights.shape[2]
    shape = token_grid(grid, count)
    if shape is None:
        raise ValueError(
            f"tokens must lie on a grid. Got {count} tokens, which are no square, with or without "
            "a class token; pass grid=(Y, X). Tokens before the grid are kept apart."
        )
    height, width = shape
    before = count - height * width
    if min(shape) < 1 or before < 0:
        raise ValueError(
            f"grid must have at most {count} tokens, one or more in each direction. Got "
            f"{height} x {width}."
        )
    return TokenMaps(weights[..., before:].unflatten(2, shape), weights[..., :before], names)
