"""Features of images on disk."""

from __future__ import annotations

import os
from pathlib import Path

from graphcolumns.data.brain.array_file import ArrayFile
from graphcolumns.data.features.cache_files import num_done, read_manifest


class FeatureCache:
    """Features of images on disk that ``cached_features`` has finished.

    Args:
        folder: Folder of one cache, ``.../features-<key>``.

    Attributes:
        folder: The folder.
        manifest: Key, number of images, and file and shape of every layer.
        layers: Names of the layers.

    Raises:
        FileNotFoundError: There is no cache.
        ValueError: It is not finished, or damaged.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder).expanduser()
        self.manifest = read_manifest(self.folder)
        if not self.manifest["complete"]:
            raise ValueError(
                f"{self.folder} must be finished before it is read. Got "
                f"{num_done(self.folder)} of {self.manifest['count']} images; call "
                "cached_features again with the same backbone and images."
            )
        self.layers = tuple(self.manifest["layers"])
        self._rows = {layer: self._open(layer) for layer in self.layers}

    def __len__(self) -> int:
        return int(self.manifest["count"])

    def __repr__(self) -> str:
        shapes = ", ".join(f"{layer} {list(rows.shape)}" for layer, rows in self._rows.items())
        return f"FeatureCache({str(self.folder)!r}: {shapes})"

    def path(self, layer: str | None = None) -> Path:
        """The file ``.npy`` with the features ``[n, M, D]`` of a layer, for ``features=``.

        Args:
            layer: Name of the layer (default: the only one).

        Raises:
            ValueError: Another layer, or none where there are several.
        """
        return self.rows(layer).path

    def rows(self, layer: str | None = None) -> ArrayFile:
        """The features of a layer ``[n, M, D]``, read when they are needed.

        They are map-style, a row per image, and small when they are sent to another process.

        Args:
            layer: Name of the layer (default: the only one).

        Raises:
            ValueError: Another layer, or none where there are several.
        """
        if layer is None and len(self.layers) == 1:
            return self._rows[self.layers[0]]
        if layer not in self._rows:
            raise ValueError(
                f"layer must be one of {', '.join(map(repr, self.layers))}. Got {layer!r}."
            )
        return self._rows[layer]

    def _open(self, layer: str) -> ArrayFile:
        about = self.manifest["layers"][layer]
        rows = ArrayFile(self.folder / about["file"])
        if list(rows.shape) != about["shape"] or str(rows.dtype) != self.manifest["key"]["dtype"]:
            raise ValueError(
                f"{rows.path} is damaged (expected {about['shape']}, got {list(rows.shape)} "
                f"{rows.dtype}). Remove its folder, and compute the features again."
            )
        return rows
