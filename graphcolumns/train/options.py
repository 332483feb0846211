"""The rules for the numbers of a training run, checked before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite
from numbers import Real
from typing import Any

import torch

PRECISIONS = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def check_options(
    *,
    steps: int | None,
    epochs: float | None,
    batch_size: int,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float],
    warmup: float,
    min_lr: float,
    clip: float | None,
    grad_accumulation: int,
    amp: str | None,
    checkpoint_every: int | None,
    evaluate_every: int | None,
    device: str,
) -> None:
    """Check options of `train`, which says what they mean.

    Raises:
        ValueError: an option out of its range; the message names the range.
        TypeError: a count that is not a whole number, another option that is not a number.
    """
    if (steps is None) == (epochs is None):
        raise ValueError(
            f"give either steps or epochs, the other null. Got steps={steps} and epochs={epochs}."
        )
    _check_counts(
        steps=steps,
        batch_size=batch_size,
        grad_accumulation=grad_accumulation,
        checkpoint_every=checkpoint_every,
        evaluate_every=evaluate_every,
    )
    if grad_accumulation > batch_size:
        raise ValueError(
            "grad_accumulation splits a batch, so it cannot exceed batch_size. "
            f"Got {grad_accumulation} > {batch_size}."
        )
    given = {name: value for name, value in {"epochs": epochs, "clip": clip}.items() if value}
    _check_numbers(lr=lr, weight_decay=weight_decay, warmup=warmup, min_lr=min_lr, **given)
    for name, value in {"epochs": epochs, "lr": lr, "clip": clip}.items():
        if value is not None and not (value > 0 and isfinite(value)):
            raise ValueError(f"{name} must be above 0. Got {value}.")
    if not (weight_decay >= 0 and isfinite(weight_decay)):
        raise ValueError(f"weight_decay must be at least 0. Got {weight_decay}.")
    two = isinstance(betas, Sequence) and len(betas) == 2
    if not two or not all(0 <= beta < 1 for beta in betas):
        raise ValueError(f"betas must be two numbers in [0, 1). Got {betas}.")
    for name, share in {"warmup": warmup, "min_lr": min_lr}.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name} is a share and must be in [0, 1]. Got {share}.")
    if amp is not None and amp not in PRECISIONS:
        raise ValueError(f"amp must be None (null), 'bfloat16' or 'float16'. Got {amp!r}.")
    _check_device(device)


def count_steps(steps: int | None, epochs: float | None, batch_size: int, samples: int) -> int:
    """Optimizer steps of a run: `steps`, or enough to see each of `samples` `epochs` times."""
    if steps is not None:
        return steps
    assert epochs is not None
    return ceil(epochs * samples / batch_size)


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
