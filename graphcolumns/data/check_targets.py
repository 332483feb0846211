"""What targets have to be, for each kind of task."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from graphcolumns.geometry import Regions
from graphcolumns.nn.batches import Inputs, num_samples


def check_class_ids(name: str, targets: Tensor, inputs: Inputs, num_outputs: int) -> None:
    """Raise unless these are classes of the inputs, ``[n]`` int64."""
    if targets.dtype != torch.int64:
        raise TypeError(f"{name} must be an int64 tensor. Got {targets.dtype}; call .long().")
    check_shape(name, targets, (num_samples(inputs),))
    if bool(((targets < 0) | (targets >= num_outputs)).any()):
        raise ValueError(
            f"{name} must lie in [0, num_classes={num_outputs}). "
            f"Got {int(targets.min())} to {int(targets.max())}."
        )


def check_bits(name: str, targets: Tensor, inputs: Inputs, num_outputs: int) -> None:
    """Raise unless these are yes-or-no answers about the inputs, ``[n, K]`` of 0 and 1."""
    check_shape(name, targets, (num_samples(inputs), num_outputs))
    wrong = (targets != 0) & (targets != 1)
    if bool(wrong.any()):
        raise ValueError(f"{name} must hold 0 and 1, no or yes. Got {targets[wrong][0].item()}.")


def check_values(name: str, targets: Tensor, inputs: Inputs, num_outputs: int) -> None:
    """Raise unless these are values to be reconstructed, ``[n, ...]`` float32 and finite.

    Where the input is one tensor, they have its shape.
    """
    shape = tuple(inputs.shape if isinstance(inputs, Tensor) else targets.shape)
    size = prod(shape[1:])
    if num_outputs != size:
        raise ValueError(
            f"a reconstruction predicts every value: num_classes must be {size} for "
            f"values {shape[1:]}, or be left out. Got {num_outputs}."
        )
    check_shape(name, targets, (num_samples(inputs), *shape[1:]))
    check_float(name, targets)
    check_finite(name, targets)


def check_responses(
    name: str,
    targets: Tensor,
    inputs: Inputs,
    num_outputs: int,
    mask: Tensor | None,
    ceiling: Tensor | None,
    missing: bool,
) -> None:
    """Raise unless these are responses to the inputs, ``[n, V]``, without NaN that counts."""
    if not targets.is_floating_point():
        raise TypeError(f"{name} must be a floating tensor. Got {targets.dtype}; call .float().")
    check_shape(name, targets, (num_samples(inputs), num_outputs))
    for key, value in (("mask", mask), ("noise_ceiling", ceiling)):
        if value is not None and len(value) != num_outputs:
            raise ValueError(
                f"{key} must hold one value per target, [{num_outputs}]. Got [{len(value)}]."
            )
    counted = targets if mask is None else targets[:, mask.to(targets.device)]
    if bool(counted.isinf().any()):
        raise ValueError(f"{name} must be finite. Mask targets that are infinite.")
    if not missing and bool(counted.isnan().any()):
        raise ValueError(
            f"{name} must be finite where targets count. Got NaN in {_with_nan(counted)} targets: "
            "mask these targets with Regression(mask=...), or say that NaN is a response which was "
            "not measured with Regression(missing=True)."
        )


def check_mask(mask: Tensor | None) -> None:
    """Raise unless this says which targets count, ``[V]`` bool, or is None."""
    if mask is None:
        return
    if not torch.is_tensor(mask) or mask.dtype != torch.bool:
        got = mask.dtype if torch.is_tensor(mask) else type(mask).__name__
        raise TypeError(f"mask must be a bool tensor. Got {got}.")
    if mask.ndim != 1 or not bool(mask.any()):
        raise ValueError(
            "mask must hold one value per target, [V], and leave at least one. For responses that "
            "are missing in some samples give masked(targets, mask) and Regression(missing=True). "
            f"Got {tuple(mask.shape)} with {int(mask.sum())} left."
        )


def check_ceiling(ceiling: Tensor | None, mask: Tensor | None) -> None:
    """Raise unless these are shares of variance, ``[V]`` in [0, 1], or None."""
    if ceiling is None:
        return
    if not torch.is_tensor(ceiling) or not ceiling.is_floating_point():
        got = ceiling.dtype if torch.is_tensor(ceiling) else type(ceiling).__name__
        raise TypeError(f"noise_ceiling must be a floating tensor. Got {got}.")
    if ceiling.ndim != 1 or (mask is not None and mask.shape != ceiling.shape):
        expected = "[V]" if mask is None else f"[V] = {list(mask.shape)} as the mask"
        raise ValueError(
            f"noise_ceiling must hold one value per target, {expected}. Got {list(ceiling.shape)}."
        )
    counted = ceiling if mask is None else ceiling[mask]
    if not bool(((counted >= 0) & (counted <= 1)).all()):
        raise ValueError(
            "noise_ceiling must be a share of variance in [0, 1]: divide percent by 100, set "
            f"NaN to 0. Got {float(counted.min()):g} to {float(counted.max()):g}."
        )
    if not bool((counted > 0).any()):
        raise ValueError("noise_ceiling must be above 0 for at least one target. Got none.")


def check_regions(
    regions: Regions | None, *others: Tensor | None, num_outputs: int | None = None
) -> None:
    """Raise unless regions are of these targets, or None.

    Args:
        regions: Named sets of targets.
        others: Further values per target, ``[V]``, or None.
        num_outputs: Number of targets, where it is known.
    """
    if regions is None:
        return
    if not isinstance(regions, Regions):
        raise TypeError(
            f"regions must be graphcolumns.geometry.Regions. Got {type(regions).__name__}; call "
            "Regions.from_masks(...)."
        )
    counts = [len(other) for other in others if other is not None]
    counts += [] if num_outputs is None else [num_outputs]
    wrong = [count for count in counts if count != regions.num_vertices]
    if wrong:
        raise ValueError(
            f"regions must be of the targets, V = {wrong[0]:,}. Got {regions}; a mask of another "
            "mesh has another number of vertices."
        )


def check_names(name: str, names: tuple[str, ...]) -> None:
    """Raise unless these are different names, at least one."""
    given = names if isinstance(names, tuple | list) else ()
    if not given or not all(isinstance(n, str) for n in given) or len(set(given)) < len(given):
        raise ValueError(f"{name} must be different names, at least one. Got {names!r}.")


def check_instruction(key: str, given: Tensor, count: int, arguments: int = 0) -> None:
    """Raise unless these are instructions: ids ``[n]``, or ``[n, count + arguments]``."""
    if given.ndim == 2 and given.shape[1] == count + arguments:
        return
    if given.ndim != 1 or given.dtype != torch.int64 or arguments:
        values = f"[n, {count + arguments}] values, one per instruction"
        expected = f"{values} and argument" if arguments else f"ids [n] int64, or {values}"
        raise ValueError(
            f"input {key!r} must hold {expected}. Got {given.dtype}, {tuple(given.shape)}."
        )
    if bool(((given < 0) | (given >= count)).any()):
        raise ValueError(
            f"input {key!r} must hold ids in [0, {count}), one per instruction. "
            f"Got {int(given.min())} to {int(given.max())}."
        )


def input_named(key: str, inputs: Inputs) -> Tensor:
    """One input of a mapping."""
    if isinstance(inputs, Tensor) or key not in inputs:
        got = "a tensor" if isinstance(inputs, Tensor) else ", ".join(map(repr, inputs))
        raise ValueError(f"inputs must be a mapping with an entry {key!r}. Got {got}.")
    return inputs[key]


def check_shape(name: str, targets: Tensor, expected: tuple[int, ...]) -> None:
    """Raise unless targets have this shape."""
    if targets.shape != expected:
        raise ValueError(
            f"{name} must have shape {tuple(expected)}, a target per input. "
            f"Got {tuple(targets.shape)}."
        )


def check_float(name: str, tensor: Tensor) -> None:
    """Raise unless this is float32."""
    if tensor.dtype != torch.float32:
        raise TypeError(f"{name} must be a float32 tensor. Got {tensor.dtype}.")


def check_finite(name: str, tensor: Tensor) -> None:
    """Raise unless all values are finite."""
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name} must be finite. Drop or fill samples with NaN or infinity.")


def _with_nan(targets: Tensor) -> str:
    return f"{int(targets.isnan().any(0).sum()):,} of {targets.shape[1]:,}"
