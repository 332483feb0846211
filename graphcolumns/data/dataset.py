"""What a model learns from: two halves of samples, in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from graphcolumns.data.checks import (
    check_choice,
    check_classes,
    check_inputs,
    check_labels,
    check_truth,
)

Task = Literal["classification", "denoising", "binary"]
HeldOut = Literal["test", "validation"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training samples and held-out samples. A frozen value that checks itself.

    Every choice is made on the training half, through `validation`; the test half is scored once.

    Args:
        train_inputs: `[n, channels, Y, X]` float32.
        train_labels: `[n]` int64 in `[0, num_classes)`; for denoising the clean inputs; for binary
            `[n, num_classes]` of 0 and 1.
        test_inputs: `[m, channels, Y, X]` float32.
        test_labels: as `train_labels`, for the held-out samples.
        num_classes: values that a model predicts per sample: classes, the values of one clean
            input (`channels * Y * X`), or the bits of one sample.
        task: `"classification"`, `"denoising"` or `"binary"` (several yes-or-no answers).
        held_out: what the second half is: `"test"`, or a `"validation"` fold of the training half.
        truth: the edges that the task asks for, if that is known: targets and sources `[2, P]`
            int64, ids of columns in the user's order.
        classes: name of each class, where classes have names.

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
    truth: Tensor | None = None
    classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_choice("task", self.task, get_args(Task))
        check_choice("held_out", self.held_out, get_args(HeldOut))
        for half in ("train", "test"):
            inputs, labels = getattr(self, f"{half}_inputs"), getattr(self, f"{half}_labels")
            check_inputs(f"{half}_inputs", inputs)
            check_labels(f"{half}_labels", labels, inputs, self.num_classes, self.task)
        check_truth(self.truth)
        check_classes(self.classes, self.num_classes, self.task)
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

        Stratified by class (plain k-fold for other tasks). The test half is not in the result.

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

    def truth_at(self, permutation: Tensor | None = None) -> Tensor:
        """The edges that the task asks for, in the column order of a reordered geometry.

        Args:
            permutation: of `geometry.reorder()`: column n there is column `permutation[n]` of the
                user (default: the user's order).

        Returns:
            Targets and sources, `[2, P]` int64, sorted by (target, source) as edges are.

        Raises:
            ValueError: the data set knows no truth.
        """
        if self.truth is None:
            raise ValueError(f"{self} knows no true edges: data.planted() does.")
        place = None if permutation is None else permutation.to(self.truth.device).argsort()
        target, source = self.truth if place is None else place[self.truth]
        order = torch.argsort(target * (int(source.max()) + 1) + source)
        return torch.stack([target[order], source[order]])

    def to(self, device: torch.device | str) -> Dataset:
        """The same samples on `device`."""
        names = ("train_inputs", "train_labels", "test_inputs", "test_labels")
        moved = {name: getattr(self, name).to(device) for name in names}
        return replace(self, **moved, truth=None if self.truth is None else self.truth.to(device))
