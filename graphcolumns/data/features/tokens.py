"""The output of a layer as tokens: places of a map, or the tokens of a sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

PATCHES, ALL = "patches", "all"


def tensor_of(output: Any, layer: str) -> Tensor:
    """The tensor that a layer gave: the output itself, or the first entry of what holds several.

    Raises:
        TypeError: There is none.
    """
    found = output
    if isinstance(found, Mapping):
        found = next(iter(found.values()), None)
    elif isinstance(found, list | tuple) and found:
        found = found[0]
    if not torch.is_tensor(found) or not found.is_floating_point():
        got = found.dtype if torch.is_tensor(found) else type(output).__name__
        raise TypeError(
            f"the layer {layer!r} must give a floating tensor, alone or as the first of several. "
            f"Got {got}; name another layer."
        )
    return found


def as_tokens(output: Tensor, layer: str, samples: int, batch_dim: int = 0) -> Tensor:
    """Tokens ``[B, M, D]`` of the output of a layer.

    Args:
        output: Map ``[B, C, Y, X]``, whose places become ``Y * X`` tokens row by row; sequence
            ``[B, M, D]``, which stays; or vectors ``[B, D]``, one token each.
        layer: Name of the layer, for errors.
        samples: Number of images ``B``.
        batch_dim: Dimension of the images in a sequence: 1 for ``[M, B, D]``.

    Raises:
        ValueError: Another shape, or another number of samples.
    """
    if output.ndim == 3 and batch_dim == 1:
        output = output.transpose(0, 1)
    shape = tuple(output.shape)
    if output.ndim not in (2, 3, 4) or shape[0] != samples:
        hint = "; batch_dim=1 is for [M, B, D]" if samples in shape[1:2] and len(shape) == 3 else ""
        raise ValueError(
            f"the layer {layer!r} must give [B, C, Y, X], [B, M, D] or [B, D] with B = {samples} "
            f"images. Got {shape}{hint}."
        )
    if output.ndim == 4:
        return output.flatten(2).transpose(1, 2)
    return output if output.ndim == 3 else output[:, None]


def keep_tokens(tokens: Tensor, layer: str, prefix: Sequence[str], keep: str) -> Tensor:
    """Some of the tokens of a sequence.

    Args:
        tokens: ``[B, M, D]``.
        layer: Name of the layer, for errors.
        prefix: Names of the tokens that come before those of the patches, such as ``("cls",)``.
        keep: ``"patches"``, ``"all"``, or the name of a token of the prefix.

    Raises:
        ValueError: Fewer tokens than the prefix and one patch.
    """
    count = len(prefix)
    if tokens.shape[1] <= count:
        raise ValueError(
            f"the layer {layer!r} must give the tokens {', '.join(prefix)} and patches. Got "
            f"{tokens.shape[1]} tokens; pass prefix=() for a layer without them."
        )
    if keep == ALL:
        return tokens
    if keep == PATCHES:
        return tokens[:, count:]
    place = list(prefix).index(keep)
    return tokens[:, place : place + 1]


def check_prefix(prefix: Sequence[str], keep: str) -> tuple[str, ...]:
    """The names of the tokens before the patches, with ``keep`` being possible.

    Raises:
        ValueError: Names that are no names or not different, or a ``keep`` that is none of them.
    """
    names = tuple(prefix)
    if isinstance(prefix, str) or len({*names, PATCHES, ALL}) != len(names) + 2:
        raise ValueError(
            f"prefix must be a tuple of different names, none of them {PATCHES!r} or {ALL!r}, such "
            f"as ('cls',). Got {prefix!r}."
        )
    if keep not in (PATCHES, ALL, *names):
        expected = ", ".join(map(repr, (PATCHES, ALL, *names)))
        raise ValueError(f"keep must be one of {expected}. Got {keep!r}.")
    return names


def grid_of(count: int, image_size: tuple[int, int]) -> tuple[int, int] | None:
    """Rows and columns of patches that cover an image, or None if no grid has its proportions.

    Args:
        count: Number of patches.
        image_size: Height and width of the image in pixels.
    """
    height, width = image_size
    rows = round((count * height / width) ** 0.5)
    if rows < 1 or count % rows:
        return None
    columns = count // rows
    # The same side of a patch along both axes, up to the pixels that are left over.
    fits = height // rows >= 1 and abs(height / rows - width / columns) < max(1.0, width / count)
    return (rows, columns) if fits else None


def token_names(
    count: int, prefix: Sequence[str], keep: str, image_size: tuple[int, int]
) -> tuple[str, ...]:
    """A name for each token: those of the prefix, ``"y0x3"`` for patches on a grid, or a number.

    Args:
        count: Number of tokens that are kept.
        prefix: Names of the tokens before the patches.
        keep: ``"patches"``, ``"all"``, or the name of a token of the prefix.
        image_size: Height and width of the image in pixels.
    """
    if keep in prefix:
        return (keep,)
    first = tuple(prefix) if keep == ALL else ()
    patches = count - len(first)
    grid = grid_of(patches, image_size)
    if grid is None:
        return (*first, *(f"token{number}" for number in range(patches)))
    return (*first, *(f"y{y}x{x}" for y in range(grid[0]) for x in range(grid[1])))
