"""What a model learns from: two halves of samples, in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

Task = Literal["classification", "denoising"]
HeldOut = Literal["test", "validation"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training samples and held-out samples. A frozen value that checks itself.

    Every choice is made on the training half, through `validation`; the test half is scored once.

    Args:
        train_inputs: `[n, channels, Y, X]` float32.
        train_labels: `[n]` int64 in `[0, num_classes)`; for denoising the clean inputs.
        test_inputs: `[m, channels, Y, X]` float32.
        test_labels: as `train_labels`, for the held-out samples.
        num_classes: values that a model predicts per sample: classes, or the values of one clean
            input (`channels * Y * X`).
        task: `"classification"` or `"denoising"`.
        held_out: what the second half is: `"test"`, or a `"validation"` fold of the training half.

    Raises:
        ValueError: a value breaks a rule above.
        TypeError: a tensor has the wrong type.
    """

    train_inputs: Tensor
    train_labels: Tensor
    test_inputs: Tensor
    test_labels: Tensor
    num_classes: int
    task: Task = "classification"
    held_out: HeldOut = "test"

    def __post_init__(self) -> None:
        _check_choice("task", self.task, get_args(Task))
        _check_choice("held_out", self.held_out, get_args(HeldOut))
        for half in ("train", "test"):
            inputs, labels = getattr(self, f"{half}_inputs"), getattr(self, f"{half}_labels")
            _check_inputs(f"{half}_inputs", inputs)
            _check_labels(f"{half}_labels", labels, inputs, self.num_classes, self.task)
        if self.train_inputs.shape[1:] != self.test_inputs.shape[1:]:
            raise ValueError(
                "train_inputs and test_inputs must have the same channels and size. Got "
                f"{tuple(self.train_inputs.shape)} and {tuple(self.test_inputs.shape)}."
            )

    def __repr__(self) -> str:
        return (
            f"Dataset(train={len(self.train_inputs)}, {self.held_out}={len(self.test_inputs)}, "
            f"inputs={tuple(self.train_inputs.shape[1:])}, num_classes={self.num_classes}, "
            f"task={self.task!r})"
        )

    @property
    def channels(self) -> int:
        """Channels of one input."""
        return self.train_inputs.shape[1]

    @property
    def image_size(self) -> tuple[int, int]:
        """Rows and columns of one input, in pixels."""
        return self.train_inputs.shape[2], self.train_inputs.shape[3]

    def validation(self, fold: int, folds: int = 5, seed: int = 0) -> Dataset:
        """The training half split again: all folds but one to train on, one to score.

        Stratified by class (plain k-fold for denoising). The test half is not in the result.

        Args:
            fold: which fold to score, in `[0, folds)`.
            folds: number of folds, at least 2.
            seed: order in which samples are dealt to folds.

        Raises:
            ValueError: `fold` out of range, or a class with fewer samples than folds.
        """
        if folds < 2 or not 0 <= fold < folds:
            raise ValueError(f"fold must be in [0, folds) with folds >= 2. Got {fold} of {folds}.")
        strata = torch.zeros(len(self.train_inputs), dtype=torch.long)
        if self.task == "classification":
            strata = self.train_labels.cpu()
        smallest = int(strata.bincount()[strata.unique()].min())
        if smallest < folds:
            raise ValueError(
                f"each class needs at least folds={folds} training samples. "
                f"The rarest has {smallest}; lower folds or raise train_size."
            )
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
        train, held = list(splitter.split(strata.numpy(), strata.numpy()))[fold]
        return replace(
            self,
            train_inputs=self.train_inputs[train],
            train_labels=self.train_labels[train],
            test_inputs=self.train_inputs[held],
            test_labels=self.train_labels[held],
            held_out="validation",
        )

    def to(self, device: torch.device | str) -> Dataset:
        """The same samples on `device`."""
        names = ("train_inputs", "train_labels", "test_inputs", "test_labels")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}. Got {value!r}.")


def _check_inputs(name: str, inputs: Tensor) -> None:
    if not torch.is_tensor(inputs) or inputs.dtype != torch.float32:
        got = inputs.dtype if torch.is_tensor(inputs) else type(inputs).__name__
        raise TypeError(f"{name} must be a float32 tensor. Got {got}.")
    if inputs.ndim != 4 or 0 in inputs.shape:
        raise ValueError(
            f"{name} must have shape (n, channels, Y, X), none of them 0. "
            f"Got {tuple(inputs.shape)}."
        )
    if not torch.isfinite(inputs).all():
        raise ValueError(f"{name} must be finite. Drop or fill samples with NaN or infinity.")


def _check_labels(name: str, labels: Tensor, inputs: Tensor, num_classes: int, task: Task) -> None:
    if not torch.is_tensor(labels):
        raise TypeError(f"{name} must be a tensor. Got {type(labels).__name__}.")
    if task == "denoising":
        expected = inputs.shape
        if num_classes != inputs[0].numel():
            raise ValueError(
                f"denoising predicts every value: num_classes must be {inputs[0].numel()} for "
                f"inputs {tuple(inputs.shape[1:])}. Got {num_classes}."
            )
    else:
        expected = inputs.shape[:1]
        if labels.dtype != torch.int64:
            raise TypeError(f"{name} must be an int64 tensor. Got {labels.dtype}; call .long().")
    if labels.shape != expected:
        raise ValueError(
            f"{name} must have shape {tuple(expected)}, a label per input. "
            f"Got {tuple(labels.shape)}."
        )
    if task == "denoising":
        _check_inputs(name, labels)
    elif bool(((labels < 0) | (labels >= num_classes)).any()):
        raise ValueError(
            f"{name} must lie in [0, num_classes={num_classes}). "
            f"Got {int(labels.min())} to {int(labels.max())}."
        )
