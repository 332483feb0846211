"""Tokens of several layers as one sequence."""

from __future__ import annotations

import torch
from torch import Tensor


def join_layers(features: dict[str, Tensor]) -> Tensor:
    """The tokens of all layers, one layer after the other.

    Args:
        features: Tokens ``[B, M, D]`` of each layer by its name.

    Raises:
        ValueError: Layers of different widths.
    """
    widths = {name: tokens.shape[-1] for name, tokens in features.items()}
    if len(set(widths.values())) > 1:
        listed = ", ".join(f"{name}: {width}" for name, width in widths.items())
        raise ValueError(
            f"tokens of several layers are joined if these have the same width. Got {listed}; call "
            "features(images), which keeps them apart, or name one layer."
        )
    return torch.cat(list(features.values()), dim=1)
