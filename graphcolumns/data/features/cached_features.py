"""Features of many images, computed once and kept on disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from graphcolumns.data.features.cache_files import (
    PROGRESS,
    PartialFiles,
    file_names,
    num_done,
    read_manifest,
    write_manifest,
)
from graphcolumns.data.features.cache_key import (
    digest_of,
    features_key,
    images_digest,
    key_differences,
)
from graphcolumns.data.features.compute_features import compute, shapes_of
from graphcolumns.data.features.feature_cache import FeatureCache
from graphcolumns.data.features.lock import one_writer
from graphcolumns.geometry.checks import check_choice

DTYPES = ("float16", "float32")
DIGITS = 16  # of the fingerprint, in the name of a folder


def cached_features(
    backbone: Any,
    images: Tensor | np.ndarray | Sequence[Any],
    folder: str | os.PathLike[str],
    *,
    dtype: str = "float16",
    batch_size: int = 64,
    images_key: str | None = None,
    progress: bool = True,
) -> FeatureCache:
    """The features of images from disk, computed first where they are not there.

    Each key has a folder of its own in ``folder``: ``features-<key>``. The key is a fingerprint of
    the weights, the architecture, layers, part and tokens, preprocessing, images and ``dtype``, so
    features of something else are never taken. What a stopped process has written is kept, and the
    next call goes on from there. A second process that writes the same features is refused.

    Args:
        backbone: Backbone, such as ``ModuleBackbone``; it runs on the device where it is.
        images: Tensor or array ``[n, channels, Y, X]``, or a map-style data set of images
            ``[channels, Y, X]``, all of one size.
        folder: Folder that holds caches; it is made if needed.
        dtype: Type of the values on disk, ``"float16"`` or ``"float32"``.
        batch_size: Images at a time.
        images_key: Name of the images that stands for their content in the key (default: all
            images are read for a fingerprint first).
        progress: Whether to show bars.

    Raises:
        ValueError: No image, values that are not finite or beyond the range of the type, a key
            that is not that of its folder.
        TypeError: A backbone that does not say what it reads.
        RuntimeError: Another process writes the same features.

    Example:
        >>> import tempfile, torch
        >>> from graphcolumns.data.features import ModuleBackbone, cached_features
        >>> network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 4, stride=4))
        >>> images = torch.rand(10, 3, 16, 16)
        >>> backbone = ModuleBackbone(network, "0")
        >>> cache = cached_features(backbone, images, tempfile.mkdtemp(), progress=False)
        >>> cache.rows().shape
        (10, 16, 8)
    """
    check_choice("dtype", dtype, DTYPES)
    if batch_size < 1 or not len(images):
        raise ValueError(
            "images must be at least one, and batch_size at least 1. Got "
            f"{len(images)} images and {batch_size}."
        )
    content = images_digest(images, progress) if images_key is None else f"named {images_key}"
    key = features_key(backbone, content, dtype)
    place = Path(folder).expanduser() / f"features-{digest_of(key)[:DIGITS]}"
    place.mkdir(parents=True, exist_ok=True)
    if not _is_complete(place, key):
        with one_writer(place):
            if not _is_complete(place, key):
                _fill(place, key, backbone, images, batch_size, progress)
    cache = FeatureCache(place)
    if len(cache) != len(images):
        raise ValueError(
            f"images_key must name the same images. Expected {len(cache)} in {place}. Got "
            f"{len(images)}; pass another images_key."
        )
    return cache


def _is_complete(place: Path, key: dict[str, Any]) -> bool:
    """Whether a folder holds the features of this key; an error if it holds those of another."""
    try:
        manifest = read_manifest(place)
    except FileNotFoundError:
        return False
    if apart := list(key_differences(manifest["key"], key)):
        raise ValueError(
            f"{place} must hold the features that its name stands for. Got others, "
            f"{'; '.join(apart)}; move the folder away."
        )
    return bool(manifest["complete"])


def _fill(
    place: Path, key: dict[str, Any], backbone: Any, images: Any, batch_size: int, progress: bool
) -> None:
    done, count = num_done(place), len(images)
    about = {"key": key, "count": count, "torch": torch.__version__}
    if done:
        layers = read_manifest(place)["layers"]
        if read_manifest(place)["count"] != count:
            raise ValueError(
                f"images_key must name the same images. Expected {read_manifest(place)['count']} "
                f"in {place}. Got {count}; pass another images_key."
            )
    else:
        shapes = shapes_of(backbone, images)
        names = file_names(tuple(shapes))
        layers = {k: {"file": names[k], "shape": [count, *shapes[k]]} for k in shapes}
        write_manifest(place, {**about, "layers": layers, "complete": False})
    files = PartialFiles(place, layers, key["dtype"])
    with tqdm(
        total=count, initial=done, desc="features", unit="image", disable=not progress
    ) as bar:
        for first, features in compute(backbone, images, done, batch_size):
            files.write(first, features)
            bar.update(len(next(iter(features.values()))))
    files.finish()
    write_manifest(place, {**about, "layers": layers, "complete": True})
    (place / PROGRESS).unlink(missing_ok=True)
