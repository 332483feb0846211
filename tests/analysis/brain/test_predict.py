"""Predicted responses, batch by batch."""

import pytest
import torch
from torch import nn

from graphcolumns.analysis.brain import predict_responses
from graphcolumns.data import Dataset
from graphcolumns.nn.protocols import ModelOutput


class Double(nn.Module):
    """Twice the input, or noise where dropout is on."""

    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, inputs):
        x = inputs if torch.is_tensor(inputs) else inputs["features"]
        return ModelOutput(2 * self.dropout(x))


def test_batches_of_a_data_set_bring_their_targets():
    x, y = torch.randn(7, 3), torch.randn(7, 3)
    model = Double().train()
    found = predict_responses(model, Dataset(x, y, x, y, task="regression").in_order("test", 3))
    assert torch.equal(found.prediction, 2 * x)
    assert torch.equal(found.targets, y)
    assert model.dropout.training


def test_inputs_alone_have_none():
    x = torch.randn(7, 3)
    found = predict_responses(Double(), ({"features": part} for part in x.split(2)))
    assert torch.equal(found.prediction, 2 * x)
    assert found.targets is None


def test_nothing_is_refused():
    with pytest.raises(ValueError, match=r"at least one batch\. Got none\."):
        predict_responses(Double(), [])
