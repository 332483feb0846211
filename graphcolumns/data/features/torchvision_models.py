"""ResNets with weights from a file on this machine, through the library ``torchvision``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from graphcolumns.data.features.backbone import ModuleBackbone
from graphcolumns.data.features.layers import numbered
from graphcolumns.data.features.optional import require
from graphcolumns.data.features.preprocessing import Preprocessing
from graphcolumns.geometry.checks import check_choice

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
BLOCKS = ("layer1", "layer2", "layer3", "layer4")


def resnet(
    path: str | os.PathLike[str],
    arch: str = "resnet50",
    layers: int | str | Sequence[int | str] = -1,
    *,
    size: int | tuple[int, int] | None = None,
    frozen: bool = True,
) -> ModuleBackbone:
    """A ResNet with the weights of a file on this machine; nothing is downloaded.

    Tokens are the places of a map, row by row: after ``"layer4"`` one for 32 by 32 pixels.

    Args:
        path: File with the state dict of a ResNet of torchvision, such as
            ``resnet50-11ad3fa6.pth`` of ``ResNet50_Weights.IMAGENET1K_V2``.
        arch: ``"resnet18"``, ``"resnet34"``, ``"resnet50"``, ``"resnet101"`` or ``"resnet152"``.
        layers: Stages by number, 0 to 3 or -1 for the last, or layers by name.
        size: Size that images are resized to, in pixels (default: they keep theirs).
        frozen: Whether the model stays in evaluation mode and gets no gradient.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: No ``torchvision``, or one for another torch.
        ValueError: Another architecture, weights of another one, or what ``ModuleBackbone``
            refuses.

    Source: He et al., Deep residual learning for image recognition, CVPR 2016,
    https://arxiv.org/abs/1512.03385.
    """
    check_choice("arch", arch, RESNETS)
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(
            f"there is no file {file}. Expected the state dict of a {arch} of torchvision. Nothing "
            f"is downloaded here; get the file once from the address that torchvision.models."
            f"get_model_weights({arch!r}).DEFAULT.url has."
        )
    models = require("torchvision", f"{arch} is built by").models
    model = getattr(models, arch)(weights=None)
    state = torch.load(file, map_location="cpu", weights_only=True)
    _check_state(file, arch, state, model.state_dict())
    model.load_state_dict(state)
    return ModuleBackbone(
        model,
        numbered(layers, BLOCKS),
        preprocessing=Preprocessing(size=size),
        frozen=frozen,
    )


def _check_state(file: Path, arch: str, state: Any, expected: Mapping[str, torch.Tensor]) -> None:
    if not isinstance(state, Mapping):
        raise ValueError(
            f"{file} must hold a state dict. Got {type(state).__name__}; save model.state_dict()."
        )
    for name in (*expected, *state):
        shapes = [
            tuple(entries[name].shape) if name in entries else "nothing"
            for entries in (expected, state)
        ]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"{file} must hold the weights of {arch}. Expected {shapes[0]} for {name!r}. Got "
                f"{shapes[1]}; pass the arch that the weights are of."
            )
