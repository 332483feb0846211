"""No learning rule takes a batch without samples."""

import pytest
import torch
from torch.amp import GradScaler
from torch.nn import functional as F

from graphcolumns.learning import backprop, counter_hebb, predictive_coding
from graphcolumns.models.bottom_up_top_down import layered_top_down
from graphcolumns.models.neurodynamics import layered_predictive_coding

TERMS = {"task": (1.0, lambda model, output, y: F.cross_entropy(output.prediction, y))}


@pytest.mark.parametrize("rule", [backprop, counter_hebb, predictive_coding])
def test_an_empty_batch_is_refused(rule):
    models = {predictive_coding: layered_predictive_coding([6, 5, 4])}
    model = models.get(rule) or layered_top_down([6, 5, 4], instruction="none")
    batch = torch.ones(0, 6), torch.zeros(0, dtype=torch.int64)
    with pytest.raises(ValueError, match="at least one sample"):
        rule(model, batch, TERMS, scaler=GradScaler(enabled=False))
