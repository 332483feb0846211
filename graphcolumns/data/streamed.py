"""What a model learns from: two halves of samples that are read when they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, get_args

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from graphcolumns.data.checks import (
    check_classes,
    check_num_outputs,
    check_same_spec,
    check_truth,
)
from graphcolumns.data.dataset import Batch, Dataset, HeldOut, check_half
from graphcolumns.data.folds import fold_of
from graphcolumns.data.halves import Halves
from graphcolumns.data.samples import MapStyle, check_repeatable, collate
from graphcolumns.data.spec import Spec, spec_of
from graphcolumns.data.task import Task
from graphcolumns.data.tasks import TASKS, task_named
from graphcolumns.geometry.checks import check_choice
from graphcolumns.nn.batches import map_tensors


@dataclass(frozen=True, eq=False, repr=False)
class StreamedDataset(Halves):
    """Training and held-out samples larger than memory, read through torch's ``DataLoader``.

    It stands wherever a ``Dataset`` does. Both halves are map-style data sets: ``len(half)``
    samples, of which ``half[i]`` is the i-th, ``(inputs, targets)`` or a mapping with an entry
    ``"targets"``; inputs are an array, a tensor or a mapping of them. A sample is a function of its
    number: random changes belong into ``train(..., augmentation=...)``. Which samples make a batch
    is decided outside, from seed and step, so runs are the same with any number of workers.

    Samples are checked as they are read. When a half is scored, its predictions and targets are in
    memory together, its inputs are not.

    Args:
        train: Training samples.
        test: Held-out samples.
        num_classes: Number of values that a model predicts per sample; 0 takes it from the
            targets, for tasks other than classification.
        task: Task, or the name of one in ``TASKS``.
        held_out: Meaning of the second half, ``"test"`` or ``"validation"``.
        truth: Edges that the task requires, as of ``Dataset``.
        classes: Name of each class, where classes have names.
        units: Units of tensors by name, as of ``Dataset``.
        num_workers: Processes that read ahead while training and scoring; with 0 batches are read
            when they are needed.
        score_train: Number of training samples that are scored, the first ones (default: all).
        device: Device that batches are moved to.

    Raises:
        ValueError: A value breaks a rule above, or the first sample is not the same twice.
        TypeError: A sample is no pair of inputs and targets, or has the wrong type.
    """

    train: MapStyle
    test: MapStyle
    num_classes: int = 0
    task: Task = TASKS["classification"]
    held_out: HeldOut = "test"
    truth: Tensor | None = None
    classes: tuple[str, ...] | None = None
    units: Mapping[str, str] | None = None
    num_workers: int = 0
    score_train: int | None = None
    device: torch.device | str = "cpu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", task_named(self.task))
        check_choice("held_out", self.held_out, get_args(HeldOut))
        if self.num_workers < 0 or (self.score_train is not None and self.score_train < 1):
            raise ValueError(
                "num_workers must be at least 0 and score_train at least 1, or None for all. "
                f"Got {self.num_workers} and {self.score_train}."
            )
        for half in ("train", "test"):
            check_repeatable(half, self._half(half))
        outputs = self.num_classes or self.task.num_outputs(self._first("train").targets)
        object.__setattr__(self, "num_classes", check_num_outputs(outputs, self.task))
        check_truth(self.truth)
        check_classes(self.classes, self.num_classes, self.task.answers == "classes")
        check_same_spec(self.spec, spec_of(*self._first("test"), self.units))
        for half in ("train", "test"):
            self._read(half, [0])

    @cached_property
    def spec(self) -> Spec:
        """Names, shapes, types and units of the inputs and targets of one sample."""
        return spec_of(*self._first("train"), self.units)

    def size(self, half: str) -> int:
        """The number of samples of a half, ``"train"`` or ``"test"``."""
        return len(self._half(half))

    def num_scored(self, half: str) -> int:
        """The number of samples of a half that scores are computed of."""
        limit = self.score_train if half == "train" else None
        return self.size(half) if limit is None else min(limit, self.size(half))

    def batch(self, half: str, indices: Tensor) -> Batch:
        """Some samples of a half, read here and now.

        Args:
            half: ``"train"`` or ``"test"``.
            indices: Positions in the half, ``[B]`` int64.
        """
        return self._moved(self._read(half, indices.tolist()))

    def batches(self, half: str, indices: Iterable[Tensor]) -> Iterator[Batch]:
        """One batch after the other, read ahead by the workers."""
        loader: DataLoader[Any] = DataLoader(
            self._half(half),  # type: ignore[arg-type]
            batch_sampler=(part.tolist() for part in indices),
            num_workers=self.num_workers,
            collate_fn=self._collate,
            pin_memory=torch.device(self.device).type == "cuda",
            # A generator of its own: the global one stays as it is.
            generator=torch.Generator(),
        )
        return (self._moved(batch) for batch in loader)

    def in_order(self, half: str, batch_size: int, samples: int | None = None) -> Iterator[Batch]:
        """The samples of a half in order: the first ``samples``, or all."""
        return self.batches(half, torch.arange(self.size(half))[:samples].split(batch_size))

    def subset(self, indices: Tensor) -> StreamedDataset:
        """The same with some of the training samples only."""
        return replace(self, train=_some(self.train, indices))

    def in_memory(self, samples: int) -> Dataset:
        """The first samples of both halves as a data set in memory."""
        train, test = (
            self._read(half, list(range(min(samples, self.size(half)))))
            for half in ("train", "test")
        )
        return Dataset(
            *train, *test, self.num_classes, self.task.to("cpu"), self.held_out, self.truth,
            self.classes, self.units,
        ).to(self.device)  # fmt: skip

    def validation(self, fold: int, folds: int = 5, seed: int = 0) -> StreamedDataset:
        """The training half split again: all folds but one to train on, one to score.

        Plain k-fold, whatever the task: classes of samples are not known before they are read.

        Args:
            fold: Fold to score, in ``[0, folds)``.
            folds: Number of folds, at least 2.
            seed: Seed of the order in which samples are dealt to folds.

        Raises:
            ValueError: ``fold`` out of range, or fewer samples than folds.
        """
        strata = torch.zeros(self.size("train"), dtype=torch.long)
        train, held = fold_of(strata, fold, folds, seed)
        halves = _some(self.train, train), _some(self.train, held)
        return replace(self, train=halves[0], test=halves[1], held_out="validation")

    def to(self, device: torch.device | str) -> StreamedDataset:
        """The same samples, whose batches are moved to ``device``."""
        truth = None if self.truth is None else self.truth.to(device)
        return replace(self, task=self.task.to(device), truth=truth, device=device)

    def described(self) -> dict[str, Any]:
        """What tells this data set from another one, without reading all of it."""
        about = {half: len(self._half(half)) for half in ("train", "test")}
        first = {f"first_{half}": self._first(half)._asdict() for half in ("train", "test")}
        return about | first | {"num_classes": self.num_classes, "task": self.task}

    def _half(self, half: str) -> MapStyle:
        check_half(half)
        return self.train if half == "train" else self.test

    @property
    def _collate(self) -> Any:
        # Workers cannot use another device.
        return partial(collate, task=self.task.to("cpu"), num_outputs=self.num_classes)

    def _first(self, half: str) -> Batch:
        return collate([self._half(half)[0]])

    def _read(self, half: str, places: list[int]) -> Batch:
        source = self._half(half)
        batch: Batch = self._collate([source[place] for place in places])
        return batch

    def _moved(self, batch: Batch) -> Batch:
        def move(tensor: Tensor) -> Tensor:
            return tensor.to(self.device, non_blocking=True)

        return Batch(map_tensors(move, batch.inputs), move(batch.targets))


def _some(source: MapStyle, indices: Tensor) -> MapStyle:
    some: MapStyle = Subset(source, indices.tolist())  # type: ignore[arg-type]
    return some
