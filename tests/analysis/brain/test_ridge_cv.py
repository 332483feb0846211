import math
import sys

import numpy as np
import pytest
import torch
from himalaya.backend import set_backend
from himalaya.kernel_ridge import KernelRidgeCV
from himalaya.ridge import RidgeCV
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from graphcolumns.analysis.brain import ridge_cv
from graphcolumns.analysis.brain.ridge_cv import ALPHAS


def linear(samples, features, vertices=6, noise=1.0, seed=0):
    """Features with a mean, and responses of linear weights with noise that grows by vertex."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((samples + 20, features)) + 2
    w = rng.standard_normal((features, vertices)) / math.sqrt(features)
    y = x @ w + noise * np.arange(vertices) * rng.standard_normal((samples + 20, vertices)) + 5
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    return x[:samples], y[:samples], x[samples:]


def test_one_feature_by_hand():
    """x = -1, 0, 1 and y = 2x + 5: the weight is 2 * 2 / (2 + alpha)."""
    x = torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64)
    found = ridge_cv(x, 2 * x + 5, torch.tensor([[10.0]], dtype=torch.float64), [2.0], folds=3)
    assert found.alpha.item() == pytest.approx(2)
    assert found.prediction.item() == pytest.approx(5 + 10)


@pytest.mark.parametrize(("samples", "features"), [(60, 10), (40, 90)])
def test_it_is_that_of_himalaya(samples, features):
    x, y, z = linear(samples, features)
    options = {"warn": False}
    model = RidgeCV(np.array(ALPHAS), fit_intercept=True, cv=5, solver_params=options)
    model.fit(x.numpy(), y.numpy())
    found = ridge_cv(x, y, z)
    np.testing.assert_allclose(found.alpha, model.best_alphas_)
    np.testing.assert_allclose(found.score, model.cv_scores_, rtol=1e-9)
    np.testing.assert_allclose(found.prediction, model.predict(z.numpy()), rtol=1e-9)


def test_more_features_than_samples_are_those_of_the_kernel_of_himalaya():
    x, y, z = linear(40, 90)
    model = KernelRidgeCV(np.array(ALPHAS), fit_intercept=True, cv=5, warn=False)
    model.fit(x.numpy(), y.numpy())
    found = ridge_cv(x, y, z)
    np.testing.assert_allclose(found.alpha, model.best_alphas_)
    np.testing.assert_allclose(found.prediction, model.predict(z.numpy()), rtol=1e-9)


@pytest.mark.parametrize(("samples", "features"), [(60, 10), (40, 90)])
def test_at_the_chosen_penalties_it_is_scikit_learn_and_the_closed_form(samples, features):
    x, y, z = linear(samples, features)
    found = ridge_cv(x, y, z)
    assert len(found.alpha.unique()) > 1
    expected = Ridge(alpha=found.alpha.numpy()).fit(x.numpy(), y.numpy()).predict(z.numpy())
    np.testing.assert_allclose(found.prediction, expected, rtol=1e-8)
    centred, answers = x - x.mean(0), y - y.mean(0)
    for vertex, alpha in enumerate(found.alpha):
        gram = centred.T @ centred + alpha * torch.eye(features, dtype=torch.float64)
        w = torch.linalg.solve(gram, centred.T @ answers[:, vertex])
        closed = (z - x.mean(0)) @ w + y[:, vertex].mean()
        torch.testing.assert_close(found.prediction[:, vertex], closed, rtol=1e-8, atol=0)


@pytest.mark.parametrize(("samples", "features"), [(60, 10), (40, 90)])
def test_vertices_are_independent_of_chunks(samples, features):
    x, y, z = linear(samples, features)
    whole, chunked = ridge_cv(x, y, z), ridge_cv(x, y, z, chunk=4, progress=False)
    for got, expected in zip(chunked, whole, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


def test_bounds_on_memory_change_nothing(monkeypatch):
    x, y, z = linear(60, 10)
    whole = ridge_cv(x, y, z)
    monkeypatch.setattr("graphcolumns.analysis.brain.design.ELEMENTS", 7300)
    torch.testing.assert_close(ridge_cv(x, y, z).prediction, whole.prediction)


def test_the_penalty_is_larger_where_there_is_more_noise():
    x, y, z = linear(60, 10, noise=3.0)
    alpha = ridge_cv(x, y, z).alpha
    assert alpha[0] < alpha[5]


def test_folds_may_be_a_splitter():
    x, y, z = linear(60, 10)
    shuffled = ridge_cv(x, y, z, folds=KFold(5, shuffle=True, random_state=1))
    assert not shuffled.score.equal(ridge_cv(x, y, z).score)


def test_predictions_are_of_the_type_of_the_features():
    x, y, z = (value.float() for value in linear(60, 10))
    found = ridge_cv(x, y, z)
    assert found.prediction.dtype == torch.float32
    reference = ridge_cv(x.double(), y.double(), z.double()).prediction.float()
    torch.testing.assert_close(found.prediction, reference, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("samples", "features"), [(60, 10), (40, 90)])
def test_another_backend_of_himalaya_gives_the_same(samples, features):
    x, y, z = linear(samples, features)
    expected = ridge_cv(x, y, z)
    set_backend("torch")
    try:
        got = ridge_cv(x, y, z)
    finally:
        set_backend("numpy")
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-7)


def test_a_bar_shows_several_chunks(capsys):
    x, y, z = linear(60, 10)
    ridge_cv(x, y, z)
    assert not capsys.readouterr().err
    ridge_cv(x, y, z, chunk=4)
    assert "2/2" in capsys.readouterr().err


def test_without_himalaya_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "himalaya.ridge", None)
    with pytest.raises(ImportError, match=r"need himalaya: pip install 'graphcolumns\[brain\]'"):
        ridge_cv(*linear(60, 10))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y, z: (x, y.T, z), r"must be \[60, V\].*Got \[6, 60\]; this is transposed"),
        (lambda x, y, z: (x, y[:9], z), r"as many samples as train_features. Got \[9, 6\]\."),
        (lambda x, y, z: (x, y, z[:, :3]), r"after the first. Got \[60, 10\] and \[20, 3\]"),
        (lambda x, y, z: (x[None], y, z), r"train_features must be \[n, P\]. Got \[1, 60, 10\]"),
        (lambda x, y, z: (x, y * math.nan, z), r"train_responses must be finite. Got NaN"),
        (lambda x, y, z: (x, y, z, [0.0]), r"penalties above 0, at least one. Got \[0.0\]"),
        (lambda x, y, z: (x, y, z, []), r"penalties above 0, at least one. Got \[\]"),
        (lambda x, y, z: (x, y, z, ALPHAS, 5, 0), r"chunk must be 1 or above. Got 0"),
    ],
)
def test_wrong_input(change, message):
    with pytest.raises(ValueError, match=message):
        ridge_cv(*change(*linear(60, 10)))


def test_integers_are_refused():
    x, y, z = linear(60, 10)
    with pytest.raises(TypeError, match=r"train_features must be a floating tensor. Got"):
        ridge_cv(x.long(), y, z)
