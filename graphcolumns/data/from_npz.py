"""A data set in one file of NumPy arrays, for any task."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from graphcolumns.data.dataset import Dataset
from graphcolumns.data.regression import Regression
from graphcolumns.data.task import Task
from graphcolumns.data.tasks import task_named

NEEDED = ("train_inputs", "train_targets", "test_inputs", "test_targets")
NUMBERS = ("mask", "noise_ceiling")  # of the targets of a regression


def from_npz(
    path: str | os.PathLike[str],
    task: str = "regression",
    missing: bool = False,
    num_classes: int = 0,
) -> Dataset:
    """Reads arrays that ``numpy.savez(path, train_inputs=..., train_targets=..., ...)`` wrote.

    Floating arrays become float32, whole numbers int64. Nothing is scaled.

    Args:
        path: File with the arrays ``train_inputs``, ``train_targets``, ``test_inputs`` and
            ``test_targets``, a sample per row; for a regression also ``mask`` (``[V]`` bool) and
            ``noise_ceiling`` (``[V]``), if targets are to be left out or have a ceiling.
        task: Name of the task, such as ``"regression"``, ``"reconstruction"``,
            ``"classification"``, ``"multi_label"``.
        missing: Whether NaN in the targets of a regression is a response that was not measured.
        num_classes: Number of values that are predicted per sample (default: that of the targets;
            of classes, one more than the largest of the training half).

    Returns:
        The data set. Inputs ``[n, channels, Y, X]`` are images to models and reports.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: An array is missing or not known, or what ``Dataset`` refuses.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    with np.load(path) as file:
        arrays = {name: _tensor(file[name]) for name in file.files}
    regression = task == "regression"
    known = (*NEEDED, *(NUMBERS if regression else ()))
    wrong = [n for n in NEEDED if n not in arrays] + [n for n in arrays if n not in known]
    if wrong:
        raise ValueError(
            f"{path} must hold the arrays {', '.join(known)}"
            f"{', the last two if they are needed' if regression else ''}. "
            f"Got {', '.join(arrays) or 'none'}."
        )
    named: Task = task_named(task)
    if regression:
        mask, ceiling = (arrays.pop(name, None) for name in NUMBERS)
        named = Regression(mask, ceiling, missing)
    if named.answers == "classes" and not num_classes:
        num_classes = int(arrays["train_targets"].max()) + 1
    train_inputs, train_targets, test_inputs, test_targets = (arrays[name] for name in NEEDED)
    return Dataset(
        train_inputs, train_targets, test_inputs, test_targets, num_classes=num_classes, task=named
    )


def _tensor(array: np.ndarray) -> Tensor:
    """A tensor of float32, int64 or bool."""
    if array.dtype.kind == "f":
        return torch.from_numpy(array.astype(np.float32))
    return torch.from_numpy(array if array.dtype.kind == "b" else array.astype(np.int64))
