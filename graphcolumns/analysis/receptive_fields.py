"""Which part of an image a column responds to."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphcolumns.analysis.watch import run_with_states, state_of
from graphcolumns.data.spec import TensorSpec
from graphcolumns.nn.batches import Inputs


def receptive_fields(
    model: nn.Module, inputs: Inputs, image: TensorSpec | None, columns: Tensor
) -> Tensor | None:
    """The mean over samples of ``|d sum(state) / d pixel|``, one backward pass per column.

    Args:
        model: Model, in evaluation mode.
        inputs: Inputs of a few samples.
        image: Which of the inputs is an image, if one is.
        columns: Columns ``[K]``, in the order of the model.

    Returns:
        ``[K, Y, X]``, summed over image channels; None without an image, without a state, or if no
        gradient leads from one to the other.
    """
    if image is None or not len(columns):
        return None
    pixels = inputs if isinstance(inputs, Tensor) else inputs[image.name]
    images = pixels.detach().clone().requires_grad_(pixels.is_floating_point())
    given = images if isinstance(inputs, Tensor) else {**inputs, image.name: images}
    with torch.enable_grad():
        state = state_of(run_with_states(model, given))
        if state is None or not state.requires_grad or not images.requires_grad:
            return None
        fields = [_field(state[column], images) for column in columns.tolist()]
    return None if any(field is None for field in fields) else torch.stack(fields)  # type: ignore[arg-type]


def _field(state: Tensor, images: Tensor) -> Tensor | None:
    (gradient,) = torch.autograd.grad(state.sum(), images, retain_graph=True, allow_unused=True)
    return None if gradient is None else gradient.abs().mean(0).sum(0).cpu()
