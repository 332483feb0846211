"""What tells cached features apart: weights, architecture, what is read, and the images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

# Entries of configurations of transformers that do not change what a model computes.
NOT_COMPUTED = (
    "transformers_version", "_name_or_path", "_commit_hash", "_attn_implementation_autoset",
    "architectures", "dtype", "torch_dtype",
)  # fmt: skip

# Attributes of layers that do not change features: the last is the folder that weights came from.
NOT_OPTIONS = ("training", "frozen", "name_or_path")


def digest_of(value: Any) -> str:
    """A 128-bit fingerprint of values that JSON has, hexadecimal."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def weights_digest(module: nn.Module) -> str:
    """A fingerprint of all parameters and buffers by name, type, shape and bits.

    Args:
        module: Module; its device does not matter.
    """
    entries = dict(module.state_dict()) | dict(module.named_buffers())
    state = hashlib.blake2b(digest_size=16)
    for name, value in sorted(entries.items()):
        state.update(f"{name}:".encode())
        if torch.is_tensor(value):
            _add(state, value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy(),
                 f"{value.dtype}{tuple(value.shape)}")  # fmt: skip
        else:
            state.update(repr(value).encode())
    return state.hexdigest()


def architecture_digest(module: nn.Module) -> str:
    """A fingerprint of what weights do not say: layers, strides, steps, options.

    Args:
        module: Module; of every layer the plain attributes count, and the configuration of models
            of ``transformers``.
    """
    layers = []
    for name, layer in module.named_modules():
        config: Any = getattr(layer, "config", None)
        options = config.to_dict() if hasattr(config, "to_dict") else {}
        layers.append([
            name,
            f"{type(layer).__module__}.{type(layer).__qualname__}",
            {key: value for key, value in vars(layer).items() if _counts(key, value)},
            {key: value for key, value in options.items() if key not in NOT_COMPUTED},
        ])  # fmt: skip
    return digest_of(layers)


def images_digest(images: Sequence[Any] | Tensor | np.ndarray, progress: bool = False) -> str:
    """A fingerprint of images by number, type, shape and bits, read one by one.

    Args:
        images: Tensor or array ``[n, channels, Y, X]``, or a map-style data set of images.
        progress: Whether to show a bar.
    """
    state = hashlib.blake2b(f"{len(images)}".encode(), digest_size=16)
    for place in tqdm(range(len(images)), desc="hash", unit="image", disable=not progress):
        image = images[place]
        array = np.ascontiguousarray(image.cpu() if torch.is_tensor(image) else image)
        _add(state, array.reshape(-1).view(np.uint8), f"{array.dtype}{array.shape}")
    return state.hexdigest()


def features_key(backbone: Any, images: str, dtype: str) -> dict[str, Any]:
    """Everything that the features of images depend on, by name.

    Args:
        backbone: Backbone, an ``nn.Module`` with ``described()``.
        images: Fingerprint or name of the images.
        dtype: Type of the features on disk.

    Raises:
        TypeError: A backbone that is no module, or does not say what it reads.
    """
    if not isinstance(backbone, nn.Module) or not hasattr(backbone, "described"):
        raise TypeError(
            "backbone must be an nn.Module with described() and layers, such as ModuleBackbone. "
            f"Got {type(backbone).__name__}; write ModuleBackbone(module, layers)."
        )
    reads: Any = backbone.described  # of a module, mypy takes every attribute for a tensor
    return {
        "reads": json.loads(json.dumps(reads())),
        "architecture": architecture_digest(backbone),
        "weights": weights_digest(backbone),
        "images": images,
        "dtype": dtype,
    }


def key_differences(expected: Mapping[str, Any], got: Mapping[str, Any]) -> Iterator[str]:
    """The entries in which two keys differ, in words."""
    for name in (*expected, *(name for name in got if name not in expected)):
        if expected.get(name) != got.get(name):
            yield f"{name}: {expected.get(name)!r} is not {got.get(name)!r}"


def _counts(key: str, value: Any) -> bool:
    """Whether an attribute of a layer is an option of it, not its state."""
    return not key.startswith("_") and key not in NOT_OPTIONS and _plain(value)


def _plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _add(state: Any, data: np.ndarray, about: str) -> None:
    state.update(about.encode())
    state.update(data.tobytes())
