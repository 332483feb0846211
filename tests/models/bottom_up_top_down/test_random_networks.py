"""Counter-Hebbian learning is backpropagation, whatever the network is made of."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.bottom_up_top_down.support.gradients import LOSSES, both, relative_error
from tests.models.bottom_up_top_down.support.random_networks import (
    CLASSES,
    instructed_networks,
)


# Random gates may close a population; both rules must agree on that, too.
@pytest.mark.filterwarnings("ignore:the sub-network of the instruction:RuntimeWarning")
@settings(max_examples=50)
@given(
    instructed_networks(),
    st.lists(st.sampled_from(sorted(LOSSES)), min_size=1, max_size=2, unique=True),
    st.integers(1, 3),
)
def test_any_network_learns_as_by_backpropagation(model, losses, parts):
    populations = model.network.populations
    image = torch.randn(5, *populations["input"].sizes, dtype=torch.float64)
    classes = torch.Size(populations["prediction"].sizes).numel()
    assert classes % CLASSES == 0
    inputs = {"image": image}
    if model.task is not None:
        tasks = torch.Size(populations["task"].sizes).numel()
        inputs["instruction"] = torch.arange(5) % tasks
    expected, found = both(model, (inputs, torch.arange(5) % classes), losses, parts=parts)
    assert relative_error(expected, found) < 1e-12
