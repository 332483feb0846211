import math

import pytest
import torch

from graphcolumns.analysis.brain import ensemble, ensemble_weights


def test_weights_by_hand():
    """exp(40 * 0.1) = 54.6 times the weight for a correlation that is 0.1 larger."""
    weights = ensemble_weights(torch.tensor([[0.3, 0.2], [0.2, 0.2]]))
    assert (weights[0, 0] / weights[1, 0]).item() == pytest.approx(math.exp(4))
    assert weights[:, 1].tolist() == [0.5, 0.5]


def test_weights_sum_to_one_over_layers_and_runs():
    """Six layers of three runs: a softmax for each run would sum to three."""
    correlations = torch.rand(6, 3, 50, generator=torch.Generator().manual_seed(0))
    weights = ensemble_weights(correlations.flatten(0, 1))
    torch.testing.assert_close(weights.sum(0), torch.ones(50, dtype=torch.float64))
    assert correlations.softmax(0).sum((0, 1)).allclose(torch.tensor(3.0))


def test_predictions_are_not_scaled_up_by_the_number_of_runs():
    predicted = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    members = torch.stack([predicted] * 12)
    weights = ensemble_weights(torch.rand(12, 5))
    torch.testing.assert_close(ensemble(members, weights), predicted)
    with pytest.raises(ValueError, match=r"must sum to 1 over members .* Got a sum of 3"):
        ensemble(members, 3 * weights)


def test_every_vertex_has_its_own_weights():
    members = torch.stack([torch.zeros(4, 2), torch.ones(4, 2)])
    weights = torch.tensor([[1.0, 0.25], [0.0, 0.75]])
    torch.testing.assert_close(ensemble(members, weights), torch.tensor([[0.0, 0.75]] * 4))
    torch.testing.assert_close(ensemble(list(members), weights), ensemble(members, weights))


def test_temperatures():
    correlations = torch.tensor([[0.5, 0.1], [0.4, 0.3]])
    assert ensemble_weights(correlations, 0).tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert ensemble_weights(correlations, 1e6).tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_members_without_a_correlation():
    nan = math.nan
    weights = ensemble_weights(torch.tensor([[nan, nan, 0.1], [0.2, nan, 0.1]]))
    assert weights.tolist() == [[0.0, 0.5, 0.5], [1.0, 0.5, 0.5]]


def test_an_ensemble_of_independent_errors_is_better_than_its_members():
    draws = torch.Generator().manual_seed(0)
    truth = torch.randn(400, 20, generator=draws)
    members = truth + torch.randn(6, 400, 20, generator=draws)

    def correlation(x):
        return torch.corrcoef(torch.cat([x, truth], 1).T)[:20, 20:].diag()

    r = torch.stack([correlation(member[:200].repeat(2, 1)) for member in members])
    combined = ensemble(members, ensemble_weights(r.clamp(0, 1), 5))
    assert correlation(combined).mean() > correlation(members[0]).mean() + 0.1


def test_members_of_several_types_are_summed_in_the_widest():
    members = [torch.full((2, 3), 1.0).half(), torch.full((2, 3), 1.0001)]
    found = ensemble(members, torch.full((2, 3), 0.5))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.full((2, 3), 1.00005), rtol=0, atol=1e-6)


def test_wrong_input():
    with pytest.raises(TypeError, match=r"floating tensors. Got torch.int64; call .float\(\)"):
        ensemble([torch.ones(4, 3, dtype=torch.int64)] * 2, torch.full((2, 3), 0.5))
    with pytest.raises(ValueError, match=r"must be \[members, vertices\]. Got \[2, 3, 4\]; stack"):
        ensemble_weights(torch.rand(2, 3, 4))
    with pytest.raises(ValueError, match=r"temperature must be 0 or above and finite. Got -1"):
        ensemble_weights(torch.rand(2, 3), -1)
    with pytest.raises(ValueError, match=r"one per member and vertex, \[2, 3\]. Got \[3, 2\]"):
        ensemble(torch.rand(2, 4, 3), torch.rand(3, 2))
    with pytest.raises(ValueError, match=r"every member. Got \[4, 3\], \[4, 2\]"):
        ensemble([torch.rand(4, 3), torch.rand(4, 2)], torch.rand(2, 3))
