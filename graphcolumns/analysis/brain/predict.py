"""The responses that a model predicts, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm

from graphcolumns.data.dataset import Batch
from graphcolumns.nn.batches import Inputs, map_tensors, num_samples
from graphcolumns.nn.protocols import prediction_of
from graphcolumns.nn.recording import evaluating


class Predicted(NamedTuple):
    """What a model predicts, beside what was measured.

    Attributes:
        prediction: Predicted responses, ``[n, V]``.
        targets: Measured responses, ``[n, V]``; None where there are none.
    """

    prediction: Tensor
    targets: Tensor | None


@torch.no_grad()
def predict_responses(
    model: nn.Module, batches: Iterable[Batch | Inputs], progress: bool = False
) -> Predicted:
    """Predicted responses to all samples of some batches, without dropout.

    Args:
        model: Model that returns an output with a ``prediction``, ``[B, V]``.
        batches: Batches of a data set, such as ``data.in_order("test", 32)``, or of inputs alone,
            such as ``algonauts2023_test(...).batches()``; they are moved to the device of the
            model.
        progress: Whether to show a progress bar.

    Returns:
        Responses on the CPU, in the order of the batches.

    Raises:
        ValueError: There is no batch.
    """
    device = next((value.device for value in model.parameters()), torch.device("cpu"))
    found: list[Tensor] = []
    measured: list[Tensor] = []
    with evaluating(model):
        for batch in tqdm(batches, desc="predict", unit="batch", disable=not progress):
            inputs = batch.inputs if isinstance(batch, Batch) else batch
            inputs = map_tensors(lambda tensor: tensor.to(device), inputs)
            found.append(prediction_of(model(inputs), num_samples(inputs)).float().cpu())
            if isinstance(batch, Batch):
                measured.append(batch.targets.cpu())
    if not found:
        raise ValueError("batches must hold at least one batch. Got none.")
    return Predicted(torch.cat(found), torch.cat(measured) if measured else None)
