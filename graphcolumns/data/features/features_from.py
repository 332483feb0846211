"""Tokens of some layers of a module, in memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from graphcolumns.data.features.backbone import ModuleBackbone
from graphcolumns.data.features.parts import OUTPUT
from graphcolumns.data.features.tokens import PATCHES


def features_from(
    module: nn.Module,
    images: Tensor,
    layers: str | Sequence[str],
    *,
    part: str = OUTPUT,
    prefix: Sequence[str] = (),
    keep: str = PATCHES,
    batch_size: int = 64,
) -> dict[str, Tensor]:
    """The tokens of some layers of a module, in memory.

    Args:
        module: Network that takes images.
        images: ``[n, channels, Y, X]``, on the device of the module.
        layers: Name of a layer, or several.
        part: Part of each layer, as of ``ModuleBackbone``.
        prefix: Names of the tokens before the patches, as of ``ModuleBackbone``.
        keep: Tokens to keep, as of ``ModuleBackbone``.
        batch_size: Images at a time.

    Returns:
        Tokens ``[n, M, D]`` of each layer by its name. The module is in its former mode again.

    Raises:
        ValueError: What ``ModuleBackbone`` refuses, no image, or a batch size below 1.
    """
    if batch_size < 1 or not len(images):
        raise ValueError(
            "images must be at least one, and batch_size at least 1. Got "
            f"{len(images)} images and {batch_size}."
        )
    modes = {sub: sub.training for sub in module.modules()}
    try:
        backbone = ModuleBackbone(module, layers, part=part, prefix=prefix, keep=keep)
        batches = [backbone.features(batch) for batch in images.split(batch_size)]
    finally:
        for sub, mode in modes.items():
            sub.training = mode
    return {layer: torch.cat([batch[layer] for batch in batches]) for layer in backbone.layers}
