import pytest
import torch
from torch import nn

from graphcolumns.training import TERMS, losses
from tests.models.support.variants import make_staged
from tests.training.support.tiny import Output, tiny


def test_each_term_is_its_loss():
    model = tiny().eval()
    output = model(torch.rand(2, 1, 3, 3))
    mixture = [model.mixture.weight, model.mixture.log_sharpness[:, None]]
    expected = {
        "weight_smoothness": losses.weight_difference(torch.cat(mixture, 1), model.graph),
        "wiring": losses.wiring(output.cost),
        "activity": losses.activity_sparsity(output.state),
        "smoothness": losses.feature_smoothness(output.state, model.graph),
        "variation": losses.total_variation(model.mixture(), model.graph),
    }
    values = {name: term(model, output, torch.zeros(2)) for name, term in TERMS.items()}
    assert values == expected


def test_variation_of_stages_is_along_their_own_edges():
    model = make_staged()
    pairs = zip(model.mixture_maps(), model.mixture_graphs(), strict=True)
    expected = torch.stack([losses.total_variation(c, graph) for c, graph in pairs]).mean()
    assert torch.equal(TERMS["variation"](model, None, torch.zeros(1)), expected)


def test_a_term_that_a_model_cannot_give_says_what_to_do():
    output = Output(torch.zeros(1, 2), torch.zeros(1, 1, 1), cost=None)
    with pytest.raises(
        ValueError, match=r"'wiring' cannot be computed: Linear has no cost: .*wiring=distance"
    ):
        TERMS["wiring"](nn.Linear(1, 1), output, torch.zeros(1))
    with pytest.raises(
        ValueError,
        match=r"'variation' cannot be computed: .*no learned mixture of weights.*mixture_maps",
    ):
        TERMS["variation"](nn.Linear(1, 1), output, torch.zeros(1))
