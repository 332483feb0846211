"""Scores of a model on samples it is not learning from at that moment."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphcolumns.data import Dataset
from graphcolumns.train.terms import TASKS


def evaluate(model: nn.Module, data: Dataset, half: str, batch_size: int = 256) -> dict[str, float]:
    """Loss, and for all tasks but denoising accuracy, on one half of the data.

    The model is put in evaluation mode (no dropout) and back; no gradients, no randomness.

    Args:
        model: returns an output with a `prediction` `[B, K]`.
        data: on the model's device.
        half: `"train"` or `"test"`, the held-out half.
        batch_size: samples at a time.

    Returns:
        A dictionary with `loss`, the mean, and (not for denoising) `accuracy`, the fraction of
        samples that are right, or of the answers of a binary task.
    """
    if half not in ("train", "test"):
        raise ValueError(f"half must be 'train' or 'test'. Got {half!r}.")
    inputs, labels = getattr(data, f"{half}_inputs"), getattr(data, f"{half}_labels")
    was_training = model.training
    model.eval()
    try:
        logits = _logits(model, inputs, batch_size)
    finally:
        model.train(was_training)
    scores = {"loss": float(TASKS[data.task](logits, labels))}
    right = correct(data.task, logits, labels)
    if right is not None:
        scores["accuracy"] = float(right.double().mean())
    return scores


def correct(task: str, logits: Tensor, labels: Tensor) -> Tensor | None:
    """Which answers are right: `[B]` classes or `[B, K]` bits, bool; None for denoising."""
    if task == "classification":
        return logits.argmax(1) == labels
    return (logits > 0) == labels.bool() if task == "binary" else None


@torch.no_grad()
def _logits(model: nn.Module, inputs: Tensor, batch_size: int) -> Tensor:
    return torch.cat([model(batch).prediction.float() for batch in inputs.split(batch_size)])
