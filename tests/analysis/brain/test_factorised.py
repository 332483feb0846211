from importlib import import_module
from itertools import pairwise

import pytest
import torch
from sklearn.linear_model import Ridge

from graphcolumns.analysis.brain import alternating_ridge, factorised
from graphcolumns.data.metrics import pearson_per_target


def separable(samples=200, tokens=5, width=7, vertices=4, noise=0.0, seed=0):
    """Features, planted weights and responses of separable weights."""
    draws = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=draws, dtype=torch.float64)

    x, space, feature = (
        normal(samples, tokens, width),
        normal(vertices, tokens),
        normal(vertices, width),
    )
    x = x - x.mean(0)
    y = torch.einsum("nmd,vm,vd->nv", x, space, feature) + noise * normal(samples, vertices)
    return x, space, feature, y - y.mean(0)


def objective(x, y, alpha, weights):
    error = (y - weights.predict(x)).square().mean(0)
    return error + alpha * (weights.space.square().sum(1) + weights.feature.square().sum(1))


def test_one_token_of_one_feature_by_hand():
    """The penalty 2 alpha |w| takes alpha off the covariance 2: w = (2 - 0.5) / 1."""
    x = torch.tensor([-1.0, 1.0], dtype=torch.float64)[:, None, None]
    y = torch.tensor([[-2.0], [2.0]], dtype=torch.float64)
    weights = alternating_ridge(x, y, torch.tensor([0.5]), iterations=100)
    assert (weights.space * weights.feature).item() == pytest.approx(1.5)
    assert weights.space.abs().item() == pytest.approx(weights.feature.abs().item())
    # And more than all of it for a penalty above the covariance.
    none = alternating_ridge(x, y, torch.tensor([2.5]), iterations=200)
    assert (none.space * none.feature).item() == pytest.approx(0, abs=1e-9)


def test_planted_weights_are_found():
    x, space, feature, y = separable()
    weights = alternating_ridge(x, y, torch.full((4,), 1e-9), iterations=30)
    planted = torch.einsum("vm,vd->vmd", space, feature)
    found = torch.einsum("vm,vd->vmd", weights.space, weights.feature)
    torch.testing.assert_close(found, planted, rtol=0, atol=1e-5)


def test_no_turn_raises_the_objective():
    x, _, _, y = separable(noise=2.0)
    alpha = torch.tensor([0.001, 0.01, 0.1, 1.0], dtype=torch.float64)
    values = [objective(x, y, alpha, alternating_ridge(x, y, alpha, k)) for k in range(1, 12)]
    for before, after in pairwise(values):
        assert (after <= before + 1e-12).all()


def test_the_result_is_stationary():
    x, _, _, y = separable(noise=1.0)
    alpha = torch.full((4,), 0.05, dtype=torch.float64)
    weights = alternating_ridge(x, y, alpha, iterations=500)
    space, feature = (w.clone().requires_grad_() for w in weights)
    error = (y - type(weights)(space, feature).predict(x)).square().mean(0)
    total = error + alpha * (space.square().sum(1) + feature.square().sum(1))
    for gradient in torch.autograd.grad(total.sum(), (space, feature)):
        assert gradient.abs().max() < 1e-6


@pytest.mark.parametrize(("samples", "width"), [(30, 6), (6, 30)])
def test_a_turn_is_the_ridge_regression_of_scikit_learn(samples, width):
    """Of every vertex on features of its own, by the smaller of both products."""
    draws = torch.Generator().manual_seed(0)
    seen = torch.randn(3, samples, width, generator=draws, dtype=torch.float64)
    y = torch.randn(samples, 3, generator=draws, dtype=torch.float64)
    alpha = torch.tensor([0.01, 0.1, 1.0])
    # The package has a function of that name.
    got = import_module("graphcolumns.analysis.brain.alternating_ridge")._ridge(seen, y, alpha)
    for vertex in range(3):
        model = Ridge(alpha=samples * float(alpha[vertex]), fit_intercept=False)
        expected = model.fit(seen[vertex].numpy(), y[:, vertex].numpy()).coef_
        torch.testing.assert_close(got[vertex], torch.from_numpy(expected))


def test_predictions_follow_scale_and_offset_of_the_responses():
    x, _, _, y = separable(samples=300, noise=0.5)
    got = factorised(x[:200], y[:200], x[200:])
    scaled = factorised(10 * x[:200] + 3, 100 * y[:200] + 7, 10 * x[200:] + 3)
    torch.testing.assert_close(scaled, 100 * got + 7)


def test_held_out_responses_are_predicted():
    x, _, _, y = separable(samples=500, noise=0.5)
    r = pearson_per_target(factorised(x[:300], y[:300], x[300:]), y[300:])
    assert (r > 0.95).all()


def test_vertices_are_independent_of_chunks():
    x, _, _, y = separable(samples=100, noise=1.0)
    whole = factorised(x[:80], y[:80], x[80:])
    torch.testing.assert_close(factorised(x[:80], y[:80], x[80:], chunk=3, progress=False), whole)


def test_a_constant_vertex_is_predicted_as_it_is():
    x, _, _, y = separable(samples=100)
    y[:, 1] = 2.5
    got = factorised(x[:80], y[:80], x[80:])
    assert got.isfinite().all()
    assert (got[:, 1] == 2.5).all()


@pytest.mark.parametrize("options", [{"folds": 1}, {"folds": 101}, {"iterations": 0}, {"chunk": 0}])
def test_wrong_options(options):
    x, _, _, y = separable(samples=100)
    with pytest.raises(ValueError, match=r"folds must be 2 to 100, iterations and chunk 1"):
        factorised(x, y, x, **options)
