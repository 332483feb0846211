"""What one sample of a data set looks like: names, shapes, types and units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.nn.batches import Inputs

# Names of an input and of targets that have none of their own.
INPUTS, TARGETS, IMAGE = "inputs", "targets", "image"


class TensorSpec(NamedTuple):
    """One tensor of a sample.

    Attributes:
        name: Key in the mapping of inputs; ``"inputs"`` for a single tensor, and ``"targets"``.
        shape: Shape of one sample.
        dtype: Type of the values.
        unit: Unit of the values, if it was given.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    unit: str | None = None


class Spec(NamedTuple):
    """The inputs and the targets of one sample.

    Attributes:
        inputs: Every input, in the order of the mapping.
        targets: The targets.
        is_mapping: Whether a model is called with a mapping of inputs, not with one tensor.
    """

    inputs: tuple[TensorSpec, ...]
    targets: TensorSpec
    is_mapping: bool

    @property
    def image(self) -> TensorSpec | None:
        """The input of shape ``[channels, Y, X]`` that is the only one or is named ``"image"``."""
        found = [i for i in self.inputs if not self.is_mapping or i.name == IMAGE]
        return found[0] if found and len(found[0].shape) == 3 else None


def spec_of(inputs: Inputs, targets: Tensor, units: Mapping[str, str] | None = None) -> Spec:
    """The spec of samples.

    Args:
        inputs: Tensor ``[n, ...]``, or a mapping of such tensors.
        targets: Targets, ``[n, ...]``.
        units: Unit of each tensor that has one, by name.

    Raises:
        ValueError: A unit of a tensor that there is not.
    """
    named = {INPUTS: inputs} if isinstance(inputs, Tensor) else dict(inputs)
    units = units or {}
    unknown = [name for name in units if name not in (*named, TARGETS)]
    if unknown:
        raise ValueError(
            f"units must be of {', '.join(map(repr, (*named, TARGETS)))}. Got {unknown[0]!r}."
        )

    def one(name: str, tensor: Tensor) -> TensorSpec:
        return TensorSpec(name, tuple(tensor.shape[1:]), tensor.dtype, units.get(name))

    parts = tuple(one(name, tensor) for name, tensor in named.items())
    return Spec(parts, one(TARGETS, targets), not isinstance(inputs, Tensor))


def image_of(spec: Spec) -> TensorSpec:
    """The image of a sample.

    Raises:
        ValueError: There is none.
    """
    if spec.image is None:
        got = ", ".join(f"{part.name} {list(part.shape)}" for part in spec.inputs)
        raise ValueError(
            "a data set has an image if its only input, or the one named 'image', is "
            f"[n, channels, Y, X]. Got {got} per sample."
        )
    return spec.image
