"""Checks of the values that layers are clamped to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.predictive_coding.layer import Layer


def clamped_values(
    inputs: Any, clamped: Sequence[str], layers: Mapping[str, Layer], batch_dim: int
) -> tuple[Tensor, ...]:
    """Values of the clamped layers, in their order.

    Args:
        inputs: A mapping from their names to values; for one clamped layer, a tensor.
        clamped: Names.
        layers: All layers.
        batch_dim: Dimension of samples.

    Raises:
        ValueError: A clamped layer without values, values of other layers, shapes or numbers of
            samples that do not fit, values that are not finite.
        TypeError: Values that are no floating tensors.
    """
    if isinstance(inputs, Tensor) and len(clamped) == 1:
        inputs = {clamped[0]: inputs}
    if not isinstance(inputs, Mapping):
        raise TypeError(
            "inputs must be a mapping from clamped layers to their values. Expected "
            f"{', '.join(map(repr, clamped))}. Got {type(inputs).__name__}."
        )
    _check_names(set(inputs), clamped, layers)
    values = tuple(inputs[name] for name in clamped)
    for name, value in zip(clamped, values, strict=True):
        _check_value(name, value, layers[name], batch_dim)
    counts = {name: v.shape[batch_dim] for name, v in zip(clamped, values, strict=True)}
    if len(set(counts.values())) > 1:
        raise ValueError(f"all layers must be clamped for the same samples. Got {counts}.")
    # One transfer from the device for all of them.
    if not bool(torch.stack([value.isfinite().all() for value in values]).all()):
        raise ValueError("values of clamped layers must be finite. Got NaN or infinity.")
    return values


def _check_names(given: set[str], clamped: Sequence[str], layers: Mapping[str, Layer]) -> None:
    if missing := [name for name in clamped if name not in given]:
        raise ValueError(
            f"every clamped layer must have values. Got none for {', '.join(map(repr, missing))}; "
            "pass them, or leave the layer free with circuit.clamping(...)."
        )
    if unknown := [name for name in given if name not in clamped]:
        known = "free" if unknown[0] in layers else "unknown"
        raise ValueError(
            "values must be those of clamped layers. Expected "
            f"{', '.join(map(repr, clamped))}. Got the {known} layer {unknown[0]!r}; a layer is "
            "clamped by circuit.clamping(...)."
        )


def _check_value(name: str, value: Any, layer: Layer, batch_dim: int) -> None:
    if not isinstance(value, Tensor) or not value.is_floating_point():
        got = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"values of layer {name!r} must be a floating tensor. Got {got}.")
    expected: list[Any] = list(layer.sizes)
    expected.insert(batch_dim, "B")
    shape = tuple(value.shape)
    if len(shape) != len(expected) or shape[:batch_dim] + shape[batch_dim + 1 :] != layer.sizes:
        wanted = ", ".join(map(str, expected))
        raise ValueError(
            f"values of layer {name!r} must have its shape. Expected [{wanted}]. Got {shape}."
        )
