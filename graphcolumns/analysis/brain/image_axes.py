"""Images and maps of tokens in one frame, so that a map lies where its tokens are."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from torch import Tensor

from graphcolumns.analysis.layout import Floats

MAP = "inferno"


def show_image(axes: Axes, image: Tensor, extent: tuple[float, ...] | None = None) -> None:
    """An image ``[C, Y, X]`` with one or three channels, its values from black to white.

    Args:
        axes: Axes to draw on.
        image: Values from 0 to 1; others are scaled to that range.
        extent: Left, right, bottom and top of the image on the axes.
    """
    bare(axes)
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(
            f"an image must be [1, Y, X] or [3, Y, X]. Got {list(image.shape)}; choose channels "
            "to show."
        )
    values = image.detach().cpu().double()
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        # Normalised for a backbone: any scale will do to look at them.
        values = (values - low) / (high - low)
    shown = values.movedim(0, 2).numpy()
    options: dict[str, Any] = {} if extent is None else {"extent": extent}
    axes.imshow(shown.repeat(3, 2) if shown.shape[2] == 1 else shown, **options)


def show_map(axes: Axes, weights: Floats, norm: Normalize, over_image: bool) -> None:
    """A map ``[Y, X]``; over an image, weak tokens are transparent.

    The axes are in tokens, the middle of the first one at (0, 0).
    """
    bare(axes)
    height, width = weights.shape
    extent = token_extent(height, width)
    alpha = 0.15 + 0.75 * np.clip(np.asarray(norm(weights)), 0, 1) if over_image else None
    axes.imshow(weights, cmap=MAP, norm=norm, extent=extent, alpha=alpha, interpolation="nearest")


def token_extent(height: int, width: int) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a grid of tokens: half a token beyond the outer ones."""
    return -0.5, width - 0.5, height - 0.5, -0.5


def bare(axes: Axes) -> None:
    """No ticks."""
    axes.set_xticks([])
    axes.set_yticks([])
