"""The numbers of a training run, as one value that checks itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from math import ceil, isfinite
from numbers import Real
from typing import Any

import torch
from torch.optim import Optimizer

from graphcolumns.learning.backprop import PRECISIONS


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """The numbers of a training run. A frozen value that checks itself.

    Args:
        steps: Number of optimizer steps; give either this or ``epochs``.
        epochs: Number of times that each training sample is seen.
        batch_size: Number of samples per optimizer step.
        lr: Highest learning rate.
        weight_decay: Weight decay of AdamW, see ``optim.adamw``.
        betas: Decay of the two moments of AdamW.
        warmup: Share of the steps spent warming up.
        min_lr: Lowest learning rate, as a share of ``lr``, see ``optim.learning_rate``.
        clip: Largest norm of the gradient, or None.
        optimizer: Maker of another optimizer than AdamW from groups of parameters: a class of
            ``torch.optim``, or a function of (groups, lr), see ``optim.custom_optimizer``.
            ``betas`` is then unused.
        schedule: Another learning rate than ``optim.learning_rate``: a function of (step, steps)
            that returns a share of ``lr``; ``warmup`` and ``min_lr`` are then unused.
        grad_accumulation: Number of parts that a batch is split into, to save memory; same
            gradient.
        amp: Precision of products: None (float32), ``"bfloat16"`` or ``"float16"`` (with loss
            scaling).
        compile: Whether to run the model through ``torch.compile``.
        checkpoint_every: Steps between checkpoints; the first and the last step have one anyway.
        evaluate_every: Steps between scores of the training half, and of a validation fold. The
            test half is never looked at before the end.
        evaluate_test: Whether to score the held-out half at the end.
        best: Score of a validation fold that decides, whenever ``evaluate_every`` is due, what is
            kept in ``run/best``: ``"loss"``, a metric of the task such as ``"accuracy"`` or
            ``"r2"``, ``"auto"`` (the main one of the task), or None. Nothing is kept without a
            validation fold.
        seed: Seed of the run.
        progress: Whether to show a progress bar.
        tensorboard: Whether to write TensorBoard events as well.
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        changes: Names of options that are meant to differ from the run that is resumed: ``steps``
            (not below those done), ``lr``, ``weight_decay``, ``betas``, ``warmup``, ``min_lr``,
            ``clip``, ``grad_accumulation``, ``amp``. Schedules are functions of (step, steps): from
            here on they are those of a run that had the new numbers from its start, so the learning
            rate may jump. Changes are written to ``run/changes.jsonl`` and the summary. How often
            is scored and saved, and the device, may differ anyway.

    Raises:
        ValueError: An option is out of its range; the message names the range.
        TypeError: A count is not a whole number, or another option is not a number.
    """

    steps: int | None = None
    epochs: float | None = None
    batch_size: int = 64
    lr: float = 6e-4
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.95)
    warmup: float = 0.1
    min_lr: float = 0.05
    clip: float | None = 1.0
    optimizer: Callable[..., Optimizer] | None = None
    schedule: Callable[[int, int], float] | None = None
    grad_accumulation: int = 1
    amp: str | None = None
    compile: bool = False
    checkpoint_every: int | None = None
    evaluate_every: int | None = None
    evaluate_test: bool = True
    best: str | None = "auto"
    seed: int = 0
    progress: bool = True
    tensorboard: bool = False
    device: str = "cpu"
    changes: Collection[str] = ()

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError(
                "give either steps or epochs, the other null. Got "
                f"steps={self.steps} and epochs={self.epochs}."
            )
        counts = ("steps", "batch_size", "grad_accumulation", "checkpoint_every", "evaluate_every")
        _check_counts(**{name: getattr(self, name) for name in counts})
        if self.grad_accumulation > self.batch_size:
            raise ValueError(
                "grad_accumulation splits a batch, so it cannot exceed batch_size. "
                f"Got {self.grad_accumulation} > {self.batch_size}."
            )
        positive = {"epochs": self.epochs, "lr": self.lr, "clip": self.clip}
        shares = {"warmup": self.warmup, "min_lr": self.min_lr}
        _check_numbers(weight_decay=self.weight_decay, **shares)
        _check_numbers(**{name: value for name, value in positive.items() if value is not None})
        for name, value in positive.items():
            if value is not None and not (value > 0 and isfinite(value)):
                raise ValueError(f"{name} must be above 0. Got {value}.")
        if not (self.weight_decay >= 0 and isfinite(self.weight_decay)):
            raise ValueError(f"weight_decay must be at least 0. Got {self.weight_decay}.")
        two = isinstance(self.betas, Sequence) and len(self.betas) == 2
        if not two or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be two numbers in [0, 1). Got {self.betas}.")
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is a share and must be in [0, 1]. Got {share}.")
        if self.amp is not None and self.amp not in PRECISIONS:
            raise ValueError(f"amp must be None (null), 'bfloat16' or 'float16'. Got {self.amp!r}.")
        _check_device(self.device)

    @classmethod
    def of(cls, options: TrainOptions | None, given: dict[str, Any]) -> TrainOptions:
        """These options with what is given beside them.

        Raises:
            TypeError: What is given is no option.
        """
        known = [field.name for field in fields(cls)]
        unknown = [name for name in given if name not in known]
        if unknown:
            raise TypeError(
                f"options of train must be fields of TrainOptions: {', '.join(known)}. Got "
                f"{', '.join(unknown)}.{_meant(unknown[0], known)}"
            )
        return cls(**given) if options is None else replace(options, **given)

    def count_steps(self, samples: int) -> int:
        """Optimizer steps of the run: ``steps``, or enough to see each sample ``epochs`` times."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None
        return ceil(self.epochs * samples / self.batch_size)


def _meant(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _check_counts(**counts: int | None) -> None:
    for name, value in counts.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} must be a whole number. Got {value!r}.")
        if value < 1:
            raise ValueError(f"{name} must be at least 1. Got {value}.")


def _check_numbers(**values: Any) -> None:
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(f"{name} must be a number. Got {value!r}.")


def _check_device(device: str) -> None:
    try:
        kind = torch.device(device).type
    except (RuntimeError, TypeError):
        kind = "unknown"
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"device must be 'cpu', 'cuda' or 'cuda:N'. Got {device!r}.")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device!r} is not there: torch finds no GPU. Use device='cpu'.")
