"""Where tokens are on the image, as a code that is added to their keys."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from graphcolumns.nn.checks import check_choice, check_counts

PositionCode = Literal["sine", "learned", "none"]
LONGEST = 10000.0  # wavelength of the slowest sine, in units of 2 pi


def sine_positions(height: int, width: int, channels: int) -> Tensor:
    r"""Sines and cosines of the place of every token on a grid.

    Half of the channels code the row, half the column. With :math:`p \in (0, 2\pi]` the place along
    an axis of :math:`n` tokens, :math:`p = 2\pi (i + 1) / n`, channels :math:`2c` and
    :math:`2c + 1` of a half of width :math:`C/2` are

    .. math::
        \sin(p / 10000^{4c / C}), \qquad \cos(p / 10000^{4c / C}).

    Args:
        height: Rows of tokens.
        width: Tokens in a row.
        channels: Channels ``C``, a multiple of 4.

    Returns:
        ``[height * width, C]`` float32, row by row.

    Raises:
        ValueError: A size below 1, or channels that are no multiple of 4.

    Source: Carion et al., End-to-end object detection with transformers, ECCV 2020,
    https://arxiv.org/abs/2005.12872.
    """
    check_counts(height=height, width=width, channels=channels)
    if channels % 4:
        raise ValueError(
            "channels must be a multiple of 4, a sine and a cosine for each of two axes. Got "
            f"{channels}; choose another width or position='learned'."
        )
    half = channels // 2
    rate = LONGEST ** (-2 * torch.arange(half // 2, dtype=torch.float64) / half)

    def along(count: int) -> Tensor:
        place = 2 * math.pi * torch.arange(1, count + 1, dtype=torch.float64) / count
        angle = place[:, None] * rate
        return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)

    rows = along(height)[:, None].expand(height, width, half)
    columns = along(width)[None].expand(height, width, half)
    return torch.cat([rows, columns], dim=2).flatten(0, 1).float()


class TokenPosition(nn.Module):
    """A code of the place of every token, added to what queries compare, not to what they get.

    Args:
        code: ``"sine"``, see :func:`sine_positions`; ``"learned"``: a parameter per token;
            ``"none"``: 0.
        num_tokens: Number of tokens ``M``.
        channels: Channels ``C``.
        grid: Rows and columns of tokens, for ``"sine"``; tokens before the grid, such as a class
            token, have the code 0.

    Shapes:
        - output: ``[M, 1, C]``

    Raises:
        ValueError: An unknown code, or sines without a grid or with one of more than ``M`` tokens.
    """

    no_weight_decay = ("place",)

    place: Tensor

    def __init__(
        self,
        code: PositionCode,
        num_tokens: int,
        channels: int,
        grid: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        check_choice("position", code, get_args(PositionCode))
        self.code = code
        if code == "learned":
            self.place = nn.Parameter(torch.empty(num_tokens, channels))
            self.reset_parameters()
            return
        place = torch.zeros(num_tokens, channels)
        if code == "sine":
            if grid is None or not 0 < grid[0] * grid[1] <= num_tokens:
                raise ValueError(
                    f"position='sine' needs the grid of {num_tokens} tokens. Expected rows and "
                    f"columns, grid=(Y, X) with Y * X at most {num_tokens}. Got {grid}; pass it, "
                    "or position='learned'."
                )
            height, width = grid
            place[num_tokens - height * width :] = sine_positions(height, width, channels)
        self.register_buffer("place", place, persistent=False)

    def reset_parameters(self) -> None:
        """Draws a learned code; sines stay."""
        if isinstance(self.place, nn.Parameter):
            nn.init.trunc_normal_(self.place, std=0.02)

    def forward(self) -> Tensor:
        """The code of every token."""
        return self.place[:, None]

    def extra_repr(self) -> str:
        """The code and the sizes."""
        return f"{self.code!r}, tokens={len(self.place)}, channels={self.place.shape[1]}"
