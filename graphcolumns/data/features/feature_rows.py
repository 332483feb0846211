"""The features of one layer in a file: rows that are read when they are needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch


class FeatureRows:
    """The features of one layer ``[n, M, D]``, memory-mapped; a row is read when it is taken.

    It is map-style, so it stands for the inputs of a data set, and is small when it is sent to
    another process.

    Args:
        path: File in NumPy's format ``.npy``.

    Attributes:
        path: The file.
        shape: Numbers of images, tokens and values per token.
        dtype: Type of the values.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no array ``[n, M, D]``, or shorter than its header says.

    Example:
        >>> import numpy as np, tempfile
        >>> file = tempfile.mkdtemp() + "/layer.npy"
        >>> np.save(file, np.zeros((5, 4, 3), np.float16))
        >>> rows = FeatureRows(file)
        >>> len(rows), rows[2].shape, rows[1:3].dtype
        (5, (4, 3), dtype('float16'))
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        self._map = self._open()
        self.shape: tuple[int, ...] = self._map.shape
        self.dtype: np.dtype[Any] = self._map.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        """Some rows: an image by number ``[M, D]``, or a slice or ids ``[k, M, D]``."""
        if torch.is_tensor(index):
            index = index.cpu().numpy()
        return np.asarray(self._map[index])

    def __repr__(self) -> str:
        return f"FeatureRows({str(self.path)!r}, shape={self.shape}, dtype={self.dtype})"

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    def _open(self) -> np.ndarray:
        if not self.path.is_file():
            raise FileNotFoundError(f"there is no file {self.path}.")
        try:
            found = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise ValueError(
                f"{self.path} is damaged ({error}). Remove its folder, and compute the features "
                "again."
            ) from error
        if found.ndim != 3:
            raise ValueError(f"{self.path} must hold [n, M, D]. Got shape {found.shape}.")
        return found
