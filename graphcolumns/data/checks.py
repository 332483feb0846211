"""What the parts of a data set have to be."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from graphcolumns.data.check_targets import check_finite
from graphcolumns.data.spec import TARGETS, Spec
from graphcolumns.data.task import Task
from graphcolumns.nn.batches import Inputs


def check_inputs(name: str, inputs: Inputs) -> None:
    """Raise unless these are samples: float32 and finite, or a mapping of tensors."""
    if not isinstance(inputs, Mapping):
        check_input(name, inputs, whole=False)
        return
    if not inputs or not all(isinstance(key, str) for key in inputs) or TARGETS in inputs:
        raise ValueError(
            f"{name} must map names to tensors, at least one and none named {TARGETS!r}. "
            f"Got {list(inputs)}."
        )
    for key, tensor in inputs.items():
        check_input(f"{name}[{key!r}]", tensor, whole=True)
    counts = {key: len(tensor) for key, tensor in inputs.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{key}: {count}" for key, count in counts.items())
        raise ValueError(f"{name} must hold the same samples in every tensor. Got {listed}.")


def check_input(name: str, tensor: Tensor, whole: bool) -> None:
    """Raise unless this is a tensor of samples: float32 and finite, or ids if those may be."""
    is_tensor = torch.is_tensor(tensor)
    if not is_tensor or not (tensor.dtype == torch.float32 or (whole and _is_ids(tensor))):
        got = tensor.dtype if is_tensor else type(tensor).__name__
        hint = "; call .float(), models in float64 take it too" * is_tensor
        raise TypeError(f"{name} must be a float32 {'or int64 ' * whole}tensor. Got {got}{hint}.")
    least = 1 if whole else 2
    if tensor.ndim < least or 0 in tensor.shape:
        shape = "(n, ...)" if whole else "(n, ...), such as (n, channels, Y, X)"
        raise ValueError(f"{name} must have shape {shape}, none of them 0. "
                         f"Got {tuple(tensor.shape)}.")  # fmt: skip
    if tensor.dtype == torch.float32:
        check_finite(name, tensor)


def _is_ids(tensor: Tensor) -> bool:
    return tensor.dtype in (torch.int64, torch.bool)


def check_same_spec(train: Spec, test: Spec) -> None:
    """Raise unless the samples of both halves look the same."""
    if train == test:
        return

    def shown(spec: Spec) -> str:
        parts = (*spec.inputs, spec.targets)
        return ", ".join(f"{p.name} {list(p.shape)} {str(p.dtype)[6:]}" for p in parts)

    raise ValueError(
        "training and test samples must have the same names, shapes and types. "
        f"Got {shown(train)} and {shown(test)}."
    )


def check_num_outputs(outputs: int | None, task: Task) -> int:
    """The number of values that are predicted per sample, which must be known and positive."""
    if outputs is None or outputs < 1:
        raise ValueError(
            f"num_classes must be at least 1, the number of values that are predicted per sample. "
            f"Got {outputs or 0} for the task {task!r}."
        )
    return outputs


def check_truth(truth: Tensor | None) -> None:
    """Raise unless these are edges ``[2, P]`` int64, or None."""
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


def check_classes(classes: object, num_classes: int, has_classes: bool) -> None:
    """Raise unless these are the names of all classes, or None."""
    if classes is None:
        return
    if not isinstance(classes, tuple) or not all(isinstance(name, str) for name in classes):
        raise TypeError(f"classes must be a tuple of names. Got {classes!r}.")
    if not has_classes or len(classes) != num_classes or len(set(classes)) != num_classes:
        raise ValueError(
            f"classes must be {num_classes} different names, one per class of a classification. "
            f"Got {len(classes)}: {', '.join(classes[:5])}."
        )
