"""Every rule for top-down weights learns the same when closed columns are skipped."""

import pytest
import torch
from torch.amp import GradScaler
from torch.nn import functional as F

from graphcolumns.learning import counter_hebb
from graphcolumns.models.bottom_up_top_down import layered_top_down
from graphcolumns.nn.top_down.sub_network_neurons import SubNetworkNeurons

TERMS = {"task": (1.0, lambda model, output, y: F.cross_entropy(output.prediction, y))}
RULES = [
    ("tied", {}),
    ("copied", {"noise": 0.1, "decay": 0.1}),
    ("independent", {"top_down": "fixed"}),
    ("independent", {"top_down": "weight_mirror"}),
    ("sign_fixed", {}),
    ("sign_redrawn", {}),
    ("direct", {"top_down": "direct"}),
]


@pytest.mark.parametrize(("feedback", "options"), RULES, ids=str)
def test_skipping_changes_nothing(feedback, options):
    torch.manual_seed(0)
    model = layered_top_down([12, 20, 16, 5], num_instructions=3, feedback=feedback).double()
    image = torch.randn(9, 12, dtype=torch.float64)
    inputs, targets = {"image": image, "instruction": torch.arange(9) % 3}, torch.arange(9) % 5
    found = []
    for skip in (False, True):
        model.skip_closed = skip
        assert isinstance(model.neurons(inputs), SubNetworkNeurons) == skip
        model.zero_grad()
        torch.manual_seed(1)
        counter_hebb(model, (inputs, targets), TERMS, scaler=GradScaler(enabled=False), **options)
        found.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    whole, skipped = found
    assert whole.keys() == skipped.keys()
    assert any(gradient.any() for gradient in whole.values())
    for name, gradient in whole.items():
        torch.testing.assert_close(skipped[name], gradient, rtol=1e-12, atol=1e-14)
