"""Features of many images, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor


def shapes_of(backbone: Any, images: Any) -> dict[str, tuple[int, ...]]:
    """The shape ``[M, D]`` of the features of one image, for every layer.

    Args:
        backbone: Backbone, an ``nn.Module``.
        images: Tensor, array or map-style data set of images.
    """
    _, features = next(compute(backbone, [images[0]], 0, 1))
    return {layer: tuple(tokens.shape[1:]) for layer, tokens in features.items()}


@torch.no_grad()
def compute(
    backbone: Any, images: Any, done: int, batch_size: int
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """The number of the first image and the features of every batch, in evaluation mode.

    Args:
        backbone: Backbone, an ``nn.Module``; it runs on the device where it is.
        images: Tensor, array or map-style data set of images.
        done: Number of images to leave out at the beginning.
        batch_size: Images at a time.

    Raises:
        ValueError: Images of several sizes.
    """
    modes = {module: module.training for module in backbone.modules()}
    tensors = (*backbone.parameters(), *backbone.buffers())
    device = tensors[0].device if tensors else torch.device("cpu")
    backbone.eval()
    try:
        for first in range(done, len(images), batch_size):
            batch = [images[i] for i in range(first, min(first + batch_size, len(images)))]
            yield first, backbone.features(_stacked(batch).to(device))
    finally:
        for module, mode in modes.items():
            module.training = mode


def _stacked(images: list[Any]) -> Tensor:
    # A copy of its own: a row of a memory-mapped file cannot be written to.
    tensors = [x if torch.is_tensor(x) else torch.from_numpy(np.array(x)) for x in images]
    shapes = {tuple(tensor.shape) for tensor in tensors}
    if len(shapes) > 1:
        raise ValueError(
            f"images must have one size. Got {' and '.join(map(str, sorted(shapes)[:2]))}; resize "
            "them before."
        )
    return torch.stack(tensors)
