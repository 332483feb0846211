from functools import partial

import numpy as np
import pytest
import torch
from himalaya.ridge import GroupRidgeCV

from graphcolumns.analysis.brain import BASELINES, banded_ridge, encoding_table, ridge_cv
from graphcolumns.analysis.brain.ridge_cv import ALPHAS
from graphcolumns.data.metrics import pearson_per_target

N, M, D, V = 150, 6, 8, 5


@pytest.fixture
def tokens():
    """Independent features of every token, and responses of one kind of weights each."""
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(N + 200, M, D, generator=draws, dtype=torch.float64) + 1
    weights = torch.randn(D, V, generator=draws, dtype=torch.float64)
    noise = 0.3 * torch.randn(N + 200, V, generator=draws, dtype=torch.float64)
    return x, weights, noise


def scores(x, y, names):
    """Median correlation of some baselines with held-out responses."""
    found = {name: BASELINES[name](x[:N], y[:N], x[N:]) for name in names}
    return {name: float(pearson_per_target(p, y[N:]).median()) for name, p in found.items()}


def test_all_have_the_same_call(tokens):
    x, weights, noise = tokens
    y = x.mean(1) @ weights + noise
    banded = partial(banded_ridge, bands=(5, 3), trials=3)
    methods = {**BASELINES, "banded_ridge": banded}
    predictions = {name: method(x[:N], y[:N], x[N:]) for name, method in methods.items()}
    assert {tuple(p.shape) for p in predictions.values()} == {(200, V)}
    table = encoding_table(predictions, y[N:])
    assert table.models == (
        "ridge",
        "mean_token_ridge",
        "cls_ridge",
        "factorised",
        "banded_ridge",
    )


def test_they_are_ridge_regressions_of_what_they_say(tokens):
    x, weights, noise = tokens
    y = x.mean(1) @ weights + noise
    parts = {"ridge": x.flatten(1), "mean_token_ridge": x.mean(1), "cls_ridge": x[:, 0]}
    for name, features in parts.items():
        expected = ridge_cv(features[:N], y[:N], features[N:]).prediction
        torch.testing.assert_close(BASELINES[name](x[:N], y[:N], x[N:]), expected)


def test_each_is_best_where_its_assumption_holds(tokens):
    x, weights, noise = tokens
    names = tuple(BASELINES)
    mean = scores(x, x.mean(1) @ weights + noise, names)
    assert max(mean, key=mean.get) == "mean_token_ridge"
    first = scores(x, x[:, 0] @ weights + noise, names)
    assert max(first, key=first.get) == "cls_ridge"
    # Weights of its own for every token and feature.
    draws = torch.Generator().manual_seed(1)
    full = torch.randn(M * D, V, generator=draws, dtype=torch.float64)
    any_weights = scores(x, x.flatten(1) @ full + noise, names)
    assert max(any_weights, key=any_weights.get) == "ridge"
    # A place of each vertex that is not the first one.
    at = torch.arange(V) + 1
    placed = torch.stack([x[:, m] @ weights[:, v] for v, m in enumerate(at)], 1)
    separable = scores(x, placed + noise, names)
    assert max(separable, key=separable.get) == "factorised"
    assert separable["cls_ridge"] < 0.2


def test_noise_is_not_predicted(tokens):
    x, _, noise = tokens
    found = scores(x, noise, tuple(BASELINES))
    assert all(abs(r) < 0.15 for r in found.values())


@pytest.mark.parametrize("kind", ["mean", "all"])
def test_banded_ridge_is_that_of_himalaya(tokens, kind):
    x, weights, noise = tokens
    y = x.mean(1) @ weights + noise
    values = x.mean(1, keepdim=True) if kind == "mean" else x
    bands = [part.flatten(1).numpy() for part in values.split([5, 3], dim=2)]
    options = {"n_iter": 6, "alphas": np.array(ALPHAS), "progress_bar": False, "warn": False}
    model = GroupRidgeCV(
        "input", solver_params=options, fit_intercept=True, cv=5, random_state=2
    ).fit([band[:N] for band in bands], y[:N].numpy())
    expected = model.predict([band[N:] for band in bands])
    fit = partial(banded_ridge, x[:N], y[:N], x[N:], bands=(5, 3), tokens=kind, trials=6, seed=2)
    np.testing.assert_allclose(fit(), expected, rtol=1e-9)
    np.testing.assert_allclose(fit(chunk=2, progress=False), expected, rtol=1e-9)


def test_one_band_is_ridge_regression(tokens):
    x, weights, noise = tokens
    y = x.mean(1) @ weights + noise
    got = banded_ridge(x[:N], y[:N], x[N:], bands=[D], trials=1)
    torch.testing.assert_close(got, BASELINES["mean_token_ridge"](x[:N], y[:N], x[N:]))


def test_bands_help_where_one_of_them_means_nothing():
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(360, 1, 160, generator=draws, dtype=torch.float64)
    weights = torch.randn(10, V, generator=draws, dtype=torch.float64)
    y = x[:, 0, :10] @ weights + 3 * torch.randn(360, V, generator=draws, dtype=torch.float64)
    plain = BASELINES["mean_token_ridge"](x[:160], y[:160], x[160:])
    banded = banded_ridge(x[:160], y[:160], x[160:], bands=(10, 150))
    gain = pearson_per_target(banded, y[160:]) - pearson_per_target(plain, y[160:])
    assert gain.mean() > 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bands": (5, 2)}, r"with sum D=8. Got \(5, 2\), sum 7"),
        ({"bands": (8, 0)}, r"Got \(8, 0\), sum 8"),
        ({"bands": (8,), "tokens": "first"}, r"tokens must be 'mean' or 'all'. Got 'first'"),
        ({"bands": (8,), "trials": 0}, r"trials must be 1 or above. Got 0"),
    ],
)
def test_wrong_bands(tokens, options, message):
    x, weights, _ = tokens
    with pytest.raises(ValueError, match=message):
        banded_ridge(x[:N], x[:N, 0] @ weights, x[N:], **options)


def test_features_without_tokens_are_refused(tokens):
    x, weights, _ = tokens
    for method in BASELINES.values():
        with pytest.raises(ValueError, match=r"must be \[n, M, D\]: samples, tokens, features"):
            method(x[:N, 0], x[:N, 0] @ weights, x[N:, 0])


@pytest.mark.parametrize("name", [*BASELINES, "banded"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_features_of_half_precision_are_computed_in_float32(name, dtype):
    """Cached features are float16: products of 300 of them with themselves would overflow."""
    draws = torch.Generator().manual_seed(0)
    fit = BASELINES.get(name, partial(banded_ridge, bands=[20, 10], tokens="all", trials=2))
    x, z = (60 * torch.randn(n, 10, 30, generator=draws).to(dtype) for n in (24, 5))
    y = torch.randn(24, 3, generator=draws)
    found = fit(x, y, z, progress=False)
    assert found.dtype == torch.float32
    assert torch.equal(found, fit(x.float(), y, z.float(), progress=False))
    # All of one type, whatever they are given as.
    assert fit(x, y.double(), z, progress=False).dtype == torch.float64
    assert fit(x.float(), y, z, progress=False).dtype == torch.float32
