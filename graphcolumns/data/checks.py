"""What the parts of a data set have to be."""

from __future__ import annotations

import torch
from torch import Tensor


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise unless `value` is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}. Got {value!r}.")


def check_inputs(name: str, inputs: Tensor) -> None:
    """Raise unless these are images `[n, channels, Y, X]`, float32 and finite."""
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


def check_labels(name: str, labels: Tensor, inputs: Tensor, num_classes: int, task: str) -> None:
    """Raise unless these are labels of the inputs, as the task wants them."""
    if not torch.is_tensor(labels):
        raise TypeError(f"{name} must be a tensor. Got {type(labels).__name__}.")
    if task == "denoising" and num_classes != inputs[0].numel():
        raise ValueError(
            f"denoising predicts every value: num_classes must be {inputs[0].numel()} for "
            f"inputs {tuple(inputs.shape[1:])}. Got {num_classes}."
        )
    if task == "classification" and labels.dtype != torch.int64:
        raise TypeError(f"{name} must be an int64 tensor. Got {labels.dtype}; call .long().")
    count = len(inputs)
    expected = {"denoising": inputs.shape, "binary": (count, num_classes)}.get(task, (count,))
    if labels.shape != expected:
        raise ValueError(
            f"{name} must have shape {tuple(expected)}, a label per input. "
            f"Got {tuple(labels.shape)}."
        )
    if task == "denoising":
        check_inputs(name, labels)
    else:
        _check_values(name, labels, num_classes, task)


def _check_values(name: str, labels: Tensor, num_classes: int, task: str) -> None:
    if task == "binary" and bool(((labels != 0) & (labels != 1)).any()):
        wrong = labels[(labels != 0) & (labels != 1)][0]
        raise ValueError(f"{name} must hold 0 and 1, no or yes. Got {wrong.item()}.")
    if task == "classification" and bool(((labels < 0) | (labels >= num_classes)).any()):
        raise ValueError(
            f"{name} must lie in [0, num_classes={num_classes}). "
            f"Got {int(labels.min())} to {int(labels.max())}."
        )


def check_truth(truth: Tensor | None) -> None:
    """Raise unless these are edges `[2, P]` int64, or None."""
    if truth is None:
        return
    if not torch.is_tensor(truth) or truth.dtype != torch.int64:
        got = truth.dtype if torch.is_tensor(truth) else type(truth).__name__
        raise TypeError(f"truth must be an int64 tensor. Got {got}.")
    if truth.ndim != 2 or len(truth) != 2 or bool((truth < 0).any()):
        raise ValueError(
            "truth must hold the targets and sources of edges, shape (2, P), ids of columns. "
            f"Got {tuple(truth.shape)}."
        )


def check_classes(classes: object, num_classes: int, task: str) -> None:
    """Raise unless these are the names of all classes, or None."""
    if classes is None:
        return
    if not isinstance(classes, tuple) or not all(isinstance(name, str) for name in classes):
        raise TypeError(f"classes must be a tuple of names. Got {classes!r}.")
    if task != "classification" or len(classes) != num_classes or len(set(classes)) != num_classes:
        raise ValueError(
            f"classes must be {num_classes} different names, one per class of a classification. "
            f"Got {len(classes)} for {task}: {', '.join(classes[:5])}."
        )
