"""What a model learns from: two halves of samples, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from graphcolumns.data.checks import (
    check_classes,
    check_inputs,
    check_num_outputs,
    check_same_spec,
    check_truth,
)
from graphcolumns.data.folds import fold_of, strata_of
from graphcolumns.data.halves import Halves
from graphcolumns.data.spec import Spec, spec_of
from graphcolumns.data.task import Task
from graphcolumns.data.tasks import TASKS, task_named
from graphcolumns.geometry.checks import check_choice
from graphcolumns.nn.batches import (
    Inputs,
    device_of,
    map_tensors,
    num_samples,
    select_samples,
    split_samples,
)

HeldOut = Literal["test", "validation"]
HALVES = ("train", "test")


class Batch(NamedTuple):
    """Samples that are seen together.

    Attributes:
        inputs: Tensor ``[B, ...]``, or a mapping of such tensors.
        targets: Targets, ``[B, ...]``.
    """

    inputs: Inputs
    targets: Tensor


@dataclass(frozen=True, eq=False, repr=False)
class Dataset(Halves):
    """Training samples and held-out samples. A frozen value that checks itself.

    Every choice is made on the training half, through ``validation``; the test half is scored once.

    Args:
        train_inputs: Inputs, ``[n, ...]`` float32, such as images ``[n, channels, Y, X]``; or a
            mapping of tensors float32, int64 or bool, such as ``{"image": ..., "instruction":
            ...}``, with which the model is then called.
        train_targets: Targets of the training samples, see the task: ``[n]`` int64 in
            ``[0, num_classes)`` for classification, the clean inputs for reconstruction,
            ``[n, num_classes]`` of 0 and 1 for several answers, responses ``[n, V]`` for
            regression.
        test_inputs: Inputs of the held-out samples, as ``train_inputs``.
        test_targets: Targets of the held-out samples, as ``train_targets``.
        num_classes: Number of values that a model predicts per sample: classes, answers, targets
            of a regression or values of a reconstruction. 0 takes it from the targets, for tasks
            other than classification.
        task: Task, or the name of one in ``TASKS``.
        held_out: Meaning of the second half: ``"test"``, or a ``"validation"`` fold of the
            training half.
        truth: Edges that the task requires, if they are known: targets and sources ``[2, P]``
            int64, ids of columns in the user's order.
        classes: Name of each class, where classes have names.
        units: Units of tensors by name: a key of the inputs, ``"inputs"`` for a single tensor,
            ``"targets"``.

    Raises:
        ValueError: A value breaks a rule above.
        TypeError: A tensor has the wrong type.
    """

    train_inputs: Inputs
    train_targets: Tensor
    test_inputs: Inputs
    test_targets: Tensor
    num_classes: int = 0
    task: Task = TASKS["classification"]
    held_out: HeldOut = "test"
    truth: Tensor | None = None
    classes: tuple[str, ...] | None = None
    units: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", task_named(self.task))
        check_choice("held_out", self.held_out, get_args(HeldOut))
        for half in HALVES:
            check_inputs(f"{half}_inputs", getattr(self, f"{half}_inputs"))
            targets = getattr(self, f"{half}_targets")
            if not torch.is_tensor(targets):
                got = type(targets).__name__
                raise TypeError(f"{half}_targets must be a tensor. Got {got}.")
        outputs = self.num_classes or self.task.num_outputs(self.train_targets)
        object.__setattr__(self, "num_classes", check_num_outputs(outputs, self.task))
        for half in HALVES:
            inputs, targets = self._half(half)
            self.task.check(f"{half}_targets", targets, inputs, self.num_classes)
        check_truth(self.truth)
        check_classes(self.classes, self.num_classes, self.task.answers == "classes")
        check_same_spec(self.spec, spec_of(*self._half("test"), self.units))

    @cached_property
    def spec(self) -> Spec:
        """Names, shapes, types and units of the inputs and targets of one sample."""
        return spec_of(*self._half("train"), self.units)

    def size(self, half: str) -> int:
        """The number of samples of a half, ``"train"`` or ``"test"``."""
        return num_samples(self._half(half).inputs)

    def num_scored(self, half: str) -> int:
        """The number of samples of a half that scores are computed of: all."""
        return self.size(half)

    def batch(self, half: str, indices: Tensor) -> Batch:
        """Some samples of a half.

        Args:
            half: ``"train"`` or ``"test"``.
            indices: Positions in the half, ``[B]`` int64.
        """
        inputs, targets = self._half(half)
        indices = indices.to(device_of(inputs))
        return Batch(select_samples(inputs, indices), targets[indices])

    def batches(self, half: str, indices: Iterable[Tensor]) -> Iterator[Batch]:
        """One batch after the other, each made when it is needed."""
        return (self.batch(half, part) for part in indices)

    def in_order(self, half: str, batch_size: int, samples: int | None = None) -> Iterator[Batch]:
        """The samples of a half in order, without a copy: the first ``samples``, or all."""
        inputs, targets = self._half(half)
        if samples is not None:
            inputs, targets = select_samples(inputs, slice(samples)), targets[:samples]
        parts = zip(split_samples(inputs, batch_size), targets.split(batch_size), strict=True)
        return (Batch(x, y) for x, y in parts)

    def subset(self, indices: Tensor) -> Dataset:
        """The same with some of the training samples only."""
        inputs, targets = self.batch("train", indices)
        return replace(self, train_inputs=inputs, train_targets=targets)

    def validation(self, fold: int, folds: int = 5, seed: int = 0) -> Dataset:
        """The training half split again: all folds but one to train on, one to score.

        Stratified by class (plain k-fold for other tasks). The test half is not in the result.

        Args:
            fold: Fold to score, in ``[0, folds)``.
            folds: Number of folds, at least 2.
            seed: Seed of the order in which samples are dealt to folds.

        Raises:
            ValueError: ``fold`` out of range, or a class with fewer samples than folds.
        """
        train, held = fold_of(strata_of(self.task, self.train_targets), fold, folds, seed)
        kept, scored = self.batch("train", train), self.batch("train", held)
        return replace(
            self,
            train_inputs=kept.inputs,
            train_targets=kept.targets,
            test_inputs=scored.inputs,
            test_targets=scored.targets,
            held_out="validation",
        )

    def to(self, device: torch.device | str) -> Dataset:
        """The same samples on ``device``."""
        return replace(
            self,
            train_inputs=map_tensors(lambda x: x.to(device), self.train_inputs),
            train_targets=self.train_targets.to(device),
            test_inputs=map_tensors(lambda x: x.to(device), self.test_inputs),
            test_targets=self.test_targets.to(device),
            task=self.task.to(device),
            truth=None if self.truth is None else self.truth.to(device),
        )

    def _half(self, half: str) -> Batch:
        check_half(half)
        if half == "train":
            return Batch(self.train_inputs, self.train_targets)
        return Batch(self.test_inputs, self.test_targets)


def check_half(half: str) -> None:
    """Raise unless this names a half of a data set."""
    if half not in HALVES:
        raise ValueError(f"half must be 'train' or 'test'. Got {half!r}.")
