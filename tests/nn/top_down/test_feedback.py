"""Where top-down weights come from."""

import pytest
import torch

from graphcolumns import ColumnGraph
from graphcolumns.nn.top_down import TopDownEdges, TopDownLinear
from graphcolumns.plasticity import Rewiring, carry


def test_weak_symmetry_is_a_factor_on_every_copied_weight():
    torch.manual_seed(0)
    layer = TopDownLinear(60, 50, feedback="copied", feedback_noise=0.05)
    factor = (layer.top_down_weight / layer.weight).detach()
    assert float(factor.std()) == pytest.approx(0.05, rel=0.1)
    assert float(factor.mean()) == pytest.approx(1, abs=0.01)
    exact = TopDownLinear(60, 50, feedback="copied")
    assert torch.equal(exact.top_down_weight, exact.weight)


@pytest.mark.parametrize("feedback", ["tied", "independent", "sign"])
def test_noise_is_for_copied_weights(feedback):
    with pytest.raises(ValueError, match="noise on copied weights"):
        TopDownLinear(3, 2, feedback=feedback, feedback_noise=0.1)
    with pytest.raises(ValueError, match="feedback_noise must be 0 or more"):
        TopDownLinear(3, 2, feedback="copied", feedback_noise=-0.1)


def test_signs_follow_the_weights_and_fixed_magnitudes_stay():
    layer = TopDownLinear(5, 4, feedback="sign_fixed")
    before = layer.feedback_weight.detach().clone()
    with torch.no_grad():
        layer.weight.neg_()
    assert torch.equal(layer.feedback_weight, -before)
    assert not layer.top_down_magnitude.requires_grad
    assert len(list(layer.parameters())) == 2


def test_magnitudes_move_with_their_edges():
    pairs = torch.tensor([[0, 1, 2], [1, 2, 0]])
    graph = ColumnGraph.from_edge_index(pairs, 3)
    layer = TopDownEdges(graph, feedback="sign_fixed")
    before = layer.top_down_magnitude.clone()
    new = ColumnGraph.from_edge_index(torch.tensor([[0, 1, 0], [1, 2, 2]]), 3)
    rewiring = Rewiring.between(graph, new)
    carry(rewiring, layer)
    origin = rewiring.origin
    kept = origin >= 0
    assert torch.equal(layer.top_down_magnitude[kept], before[origin[kept]])
    assert (layer.top_down_magnitude > 0).all()


@pytest.mark.parametrize(
    "feedback", ["tied", "copied", "independent", "sign_fixed", "sign_redrawn"]
)
def test_scaled_draws_hold_for_all_weights(feedback):
    torch.manual_seed(0)
    layer = TopDownLinear(60, 50, feedback=feedback)
    before = [layer.weight.detach().clone(), layer.feedback_weight.detach().clone()]
    layer.scale_draws(0.1)
    torch.testing.assert_close(layer.weight.detach(), 0.1 * before[0])
    torch.testing.assert_close(layer.feedback_weight.detach(), 0.1 * before[1])
    for redraw in (layer.redraw_magnitudes, layer.reset_parameters):
        redraw()
        for weight, old in zip((layer.weight, layer.feedback_weight), before, strict=True):
            assert float(weight.detach().std() / old.std()) == pytest.approx(0.1, rel=0.1)
