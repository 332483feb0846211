"""What a rule remembers from one update to the next is of certain edges."""

import pytest
import torch

from graphcolumns.plasticity import Plasticity, carry, presets
from graphcolumns.training.terms import per_sample
from tests.models.support.variants import GEOMETRY, make
from tests.models.test_rewired_state import change


def test_a_rule_does_not_use_what_it_remembers_on_other_edges():
    """Ages are values per edge too: of as many edges, each would be another edge's."""
    model, labels = make(), torch.arange(128) % 5
    rule = presets.set(steps=8)
    changing = Plasticity(rule, GEOMETRY)
    inputs, losses = torch.randn(128, 1, 4, 4), per_sample("classification")

    def update(model, changing):
        few = inputs[: rule.num_samples], labels[: rule.num_samples]
        return changing.update(model, None, 2, *few, losses)

    update(model, changing)
    saved, other = changing.state_dict(), make()
    again = Plasticity(rule, GEOMETRY)
    again.load_state_dict(saved)
    with pytest.raises(ValueError, match="the state of a rule must be of the edges"):
        update(other, again)
    other.load_state_dict(model.state_dict())
    update(other, again)
    carry(change(model.graph, 9), model)
    with pytest.raises(ValueError, match="the state of a rule must be of the edges"):
        changing.start(model)
    del saved["edges_of"]
    again.load_state_dict(saved)
    with pytest.raises(ValueError, match="a state of 224, not named"):
        again.start(model)
