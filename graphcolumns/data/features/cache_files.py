"""Files of cached features: a manifest, a file per layer, and how far an unfinished one is."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from graphcolumns.checkpoint.disk import sync, write_text

MANIFEST, PROGRESS, PARTIAL = "manifest.json", "progress.json", ".partial"
# Seconds of work that a process that is stopped may lose: bringing files to disk takes time too.
NOTE_EVERY = 5.0


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a cache.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It cannot be read.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no file {path}. Expected a folder that cached_features wrote."
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: found[name] for name in ("key", "count", "layers", "complete")} | found
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}). Remove its folder, and compute the features again."
        ) from error


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Writes the manifest, whole or not at all."""
    write_text(folder / MANIFEST, json.dumps(manifest, indent=1))


def file_names(layers: tuple[str, ...]) -> dict[str, str]:
    """A file for each layer: its name, or its number where the name is no file name."""
    plain = all(re.fullmatch(r"\w[\w.-]*", layer) for layer in layers)
    lower = {layer.lower() for layer in layers}
    if plain and len(lower) == len(layers):
        return {layer: f"{layer}.npy" for layer in layers}
    return {layer: f"layer{number}.npy" for number, layer in enumerate(layers)}


def num_done(folder: Path) -> int:
    """The number of images whose features are on disk for certain."""
    path = folder / PROGRESS
    return int(json.loads(path.read_text(encoding="utf-8"))["done"]) if path.is_file() else 0


class PartialFiles:
    """The files of all layers while they are filled, one batch of images after the other.

    Args:
        folder: Folder of the cache.
        layers: File and shape of each layer, ``[n, M, D]``.
        dtype: Type of the values on disk.
    """

    def __init__(self, folder: Path, layers: Mapping[str, Mapping[str, Any]], dtype: str) -> None:
        self.folder, self.dtype, self.noted = folder, dtype, time.monotonic()
        self.paths = {name: folder / str(about["file"]) for name, about in layers.items()}
        self.maps = {name: self._map(name, about["shape"]) for name, about in layers.items()}

    def write(self, first: int, features: Mapping[str, Tensor]) -> None:
        """Writes the features of some images, and notes now and then how many are on disk.

        Args:
            first: Number of the first image.
            features: ``[B, M, D]`` of each layer.

        Raises:
            ValueError: Features of another shape, not finite, or beyond the range of the type.
        """
        end = first
        for name, array in self.maps.items():
            rows = _converted(name, features[name], self.dtype, tuple(array.shape[1:]))
            end = first + len(rows)
            array[first:end] = rows
        if time.monotonic() - self.noted >= NOTE_EVERY:
            self._note(end)

    def finish(self) -> None:
        """Gives all files their final names."""
        self._note(max(len(array) for array in self.maps.values()))
        self.maps.clear()
        for path in self.paths.values():
            partial = path.with_name(path.name + PARTIAL)
            if partial.is_file():
                sync(partial)
                partial.replace(path)
        sync(self.folder)

    def _note(self, done: int) -> None:
        # In this order: what the note counts is on disk, even if the machine stops in between.
        for array in self.maps.values():
            array.flush()
        write_text(self.folder / PROGRESS, json.dumps({"done": done}))
        self.noted = time.monotonic()

    def _map(self, name: str, shape: list[int]) -> np.memmap:
        path = self.paths[name]
        partial = path.with_name(path.name + PARTIAL)
        if path.is_file():  # stopped while names were given
            return np.lib.format.open_memmap(path, mode="r+")
        if partial.is_file() and num_done(self.folder):
            return np.lib.format.open_memmap(partial, mode="r+")
        return np.lib.format.open_memmap(partial, "w+", np.dtype(self.dtype), tuple(shape))


def _converted(name: str, features: Tensor, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    if tuple(features.shape[1:]) != shape:
        raise ValueError(
            f"the layer {name!r} must give the same shape for every image. Expected "
            f"{list(shape)}. Got {list(features.shape[1:])}; resize the images to one size."
        )
    values = features.detach().float().cpu().numpy()
    if not np.isfinite(values).all():
        raise ValueError(f"features must be finite. Got NaN or infinity in the layer {name!r}.")
    limit = np.finfo(dtype).max
    if np.abs(values).max(initial=0) > limit:
        raise ValueError(
            f"{dtype} holds values up to {limit:.0f}. Got {np.abs(values).max():.0f} in the layer "
            f"{name!r}; pass dtype='float32'."
        )
    return values.astype(dtype)
