"""Receptive fields of columns at the step at which each responds first."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphcolumns.analysis.function.checks import order_of_user
from graphcolumns.analysis.function.column_states import states_of_batch
from graphcolumns.analysis.receptive_fields import receptive_fields
from graphcolumns.data.spec import TensorSpec
from graphcolumns.nn.batches import Inputs
from graphcolumns.nn.protocols import ModelOutput
from graphcolumns.nn.recording import evaluating


class _StateAfter(nn.Module):
    """A model whose state is that after one step."""

    def __init__(self, model: nn.Module, step: int) -> None:
        super().__init__()
        self.model, self.step = model, step

    def forward(self, inputs: Inputs) -> ModelOutput:
        states = states_of_batch(self.model, inputs)
        if self.step > len(states):
            raise ValueError(
                f"latency must be of steps of the model, 1 to {len(states)}. Got {self.step}."
            )
        state = states[self.step - 1]
        return ModelOutput(state, state)


def fields_at_response(
    model: nn.Module,
    inputs: Inputs,
    image: TensorSpec,
    latency: Tensor,
    *,
    permutation: Tensor | None = None,
) -> Tensor:
    """The field of every column at its own latency, not after the last step.

    After the last step of a recurrent sheet most columns have received from all others. At first
    response a field is as large as the paths that lead there by then. That bounds it by the graph
    and the latency: hold the growth against the same model before training, too.

    Args:
        model: Model of images that returns its states, see :func:`model_states`.
        inputs: Inputs of a few samples, on the device of the model.
        image: Which of the inputs is the image, such as ``data.spec.image``.
        latency: First step at which each column responds, ``[N]`` floating, in the user's order;
            NaN for none.
        permutation: User's id of each column of the model, ``[N]`` int64 (default: the model is in
            the user's order).

    Returns:
        Mean absolute gradient by pixel, ``[N, Y, X]``, in the user's order; 0 for columns without a
        latency.

    Raises:
        ValueError: A latency that is no step of the model, or no gradient from image to state.
        TypeError: A model that returns no state.
    """
    whole = latency[~latency.isnan()]
    if latency.ndim != 1 or bool((whole < 1).any() | (whole != whole.round()).any()):
        raise ValueError("latency must be steps from 1, [N], or NaN. Got others.")
    places = torch.arange(len(latency))
    if permutation is not None:
        places = order_of_user(permutation, len(latency)).argsort()
    found = torch.zeros(len(latency), *image.shape[1:])
    with evaluating(model):
        for step in whole.unique().tolist():
            here = latency == step
            given = _StateAfter(model, int(step)).eval()
            fields = receptive_fields(given, inputs, image, places[here.cpu()])
            if fields is None:
                raise ValueError(
                    "there must be a gradient from the image to the state. Got none; are the "
                    "columns of the model in front of an image, and the pixels floating?"
                )
            found[here.cpu()] = fields
    return found
