"""Estimators against the checks of scikit-learn, and against its own estimators."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import SparseCoder, sparse_encode
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from graphcolumns.models.neurodynamics import LCACoder, LCADictionaryLearning

ATOMS = normalize(np.random.default_rng(0).normal(size=(5, 3)))
X = np.random.default_rng(1).laplace(size=(60, 3))


@parametrize_with_checks([LCADictionaryLearning(max_iter=3)])
def test_every_check_of_scikit_learn_on_learning(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([LCADictionaryLearning()])
def test_every_check_of_scikit_learn_on_learning_to_the_end(estimator, check):
    check(estimator)


class Coder(SparseCoder):
    """SparseCoder under another name: scikit-learn gives its own dictionaries that fit."""


def failed(estimator):
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert len(results) > 30
    return {result["check_name"] for result in results if result["status"] == "failed"}


@pytest.mark.parametrize("size", [(5, 3), (2, 2)])
def test_a_coder_fails_no_check_that_scikit_learns_coder_passes(size):
    atoms = normalize(np.random.default_rng(2).normal(size=size))
    assert failed(LCACoder(atoms)) <= failed(Coder(atoms))


def test_with_dictionaries_that_fit_a_coder_passes_every_check(monkeypatch):
    tables = pytest.importorskip("sklearn.utils._test_common.instance_generator")
    table = tables.PER_ESTIMATOR_CHECK_PARAMS
    fitting = {
        name: {"dictionary": normalize(parameters["dictionary"])}
        for name, parameters in table[SparseCoder].items()
    }
    monkeypatch.setitem(table, LCACoder, fitting)
    assert failed(LCACoder(ATOMS)) <= failed(SparseCoder(ATOMS)) == set()


@pytest.mark.parametrize("positive", [False, True])
def test_codes_are_those_of_scikit_learn(positive):
    coder = LCACoder(ATOMS, transform_alpha=0.3, positive_code=positive, transform_tol=1e-7)
    expected = sparse_encode(
        X, ATOMS, algorithm="lasso_cd", alpha=0.3, positive=positive, max_iter=10_000
    )
    np.testing.assert_allclose(_objective(coder.fit_transform(X)), _objective(expected), rtol=1e-4)


def _objective(codes):
    return 0.5 * ((X - codes @ ATOMS) ** 2).sum(1) + 0.3 * np.abs(codes).sum(1)


def test_signals_come_back_from_codes():
    coder = LCACoder(np.eye(3), transform_alpha=1e-6, transform_tol=1e-8).fit(X)
    np.testing.assert_allclose(coder.inverse_transform(coder.transform(X)), X, atol=1e-4)
    with pytest.raises(ValueError, match=r"Expected 3 columns. Got 2"):
        coder.inverse_transform(X[:, :2])


def test_hard_threshold_keeps_the_size_of_codes():
    coder = LCACoder(np.eye(2), transform_alpha=1.0, hard_threshold=True, transform_tol=1e-6)
    codes = coder.fit_transform(np.array([[3.0, 0.5], [-2.0, 0.9]]))
    np.testing.assert_allclose(codes, [[3, 0], [-2, 0]], atol=1e-4)


def test_learning_lowers_the_objective_and_is_repeatable():
    data = np.random.default_rng(0).laplace(size=(300, 6))
    start = normalize(data[:8])
    model = LCADictionaryLearning(
        8, alpha=0.3, max_iter=10, batch_size=50, dict_init=start, random_state=0
    )

    def objective(components):
        codes = LCACoder(components, transform_alpha=0.3).fit_transform(data)
        return (0.5 * ((data - codes @ components) ** 2).sum(1) + 0.3 * np.abs(codes).sum(1)).mean()

    model.fit(data)
    assert objective(model.components_) < 0.95 * objective(start)
    assert 1 <= model.n_iter_ <= 10
    assert model.n_steps_ == 6 * model.n_iter_
    again = clone(model).fit(data)
    assert np.array_equal(again.components_, model.components_)
    np.testing.assert_allclose(np.linalg.norm(model.components_, axis=1), 1, rtol=1e-6)


def test_partial_fit_learns_batch_by_batch_and_survives_pickling():
    model = LCADictionaryLearning(4, alpha=0.1, random_state=0)
    model.partial_fit(X[:30])
    first = model.components_.copy()
    model = pickle.loads(pickle.dumps(model)).partial_fit(X[30:])
    assert model.n_steps_ == 2
    assert not np.allclose(first, model.components_)
    whole = LCADictionaryLearning(4, alpha=0.1, random_state=0)
    whole.partial_fit(X[:30]).partial_fit(X[30:])
    np.testing.assert_array_equal(whole.components_, model.components_)


def test_learning_stops_early_where_atoms_settle():
    model = LCADictionaryLearning(3, alpha=0.1, max_iter=50, tol=0.5, random_state=0).fit(X)
    assert model.n_iter_ < 50
    assert LCADictionaryLearning(3, alpha=0.1, max_iter=4, tol=0).fit(X).n_iter_ == 4


def test_names_pipelines_and_pandas():
    pandas = pytest.importorskip("pandas")
    model = LCADictionaryLearning(4, max_iter=2, random_state=0).set_output(transform="pandas")
    frame = make_pipeline(StandardScaler(), model).fit_transform(X)
    assert isinstance(frame, pandas.DataFrame)
    names = [f"lcadictionarylearning{i}" for i in range(4)]
    assert list(frame.columns) == list(model.get_feature_names_out()) == names


def test_types_are_kept_and_tensors_are_dictionaries():
    coder = LCACoder(torch.eye(3), transform_alpha=0.1)
    assert coder.fit_transform(X.astype(np.float32)).dtype == np.float32
    assert coder.fit_transform(X).dtype == np.float64
    model = LCADictionaryLearning(4, max_iter=2).fit(X.astype(np.float32))
    assert model.components_.dtype == np.float32


def test_codes_that_have_not_converged_are_a_warning():
    with pytest.warns(ConvergenceWarning, match="raise transform_max_iter"):
        LCACoder(ATOMS, transform_alpha=0.1, transform_max_iter=1).fit_transform(X)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LCACoder(2 * ATOMS).fit(X), "dictionary must have atoms of unit norm. Got norms"),
        (lambda: LCACoder(np.eye(2)).fit(X), "Expected 3. Got 2"),
        (lambda: LCACoder(np.eye(2)).transform(X), "Expected 3. Got 2"),
        (lambda: LCACoder(ATOMS, transform_alpha=-1.0).fit(X), "transform_alpha must be positive"),
        (lambda: LCACoder(ATOMS, transform_alpha=np.nan).fit(X), "transform_alpha must be pos"),
        (lambda: LCACoder(ATOMS).fit(np.full((2, 3), np.nan)), "contains NaN"),
        (lambda: LCADictionaryLearning(alpha=-1.0).fit(X), "alpha must be positive"),
        (lambda: LCADictionaryLearning(0).fit(X), "n_components must be positive"),
        (lambda: LCADictionaryLearning(max_iter=0).fit(X), "max_iter must be positive"),
        (lambda: LCADictionaryLearning(tol=-1.0).fit(X), "tol must be 0 or more"),
        (lambda: LCADictionaryLearning(batch_size=0).fit(X), "batch_size must be positive"),
        (lambda: LCADictionaryLearning(dict_init=2 * np.eye(3)).fit(X), "dict_init must have at"),
        (lambda: LCADictionaryLearning(dict_init=np.eye(2)).fit(X), r"dict_init must have shape"),
        (lambda: LCADictionaryLearning().fit(np.full((2, 3), np.inf)), "contains infinity"),
        (
            lambda: LCADictionaryLearning(transform_alpha=-1.0, max_iter=1).fit(X).transform(X),
            "transform_alpha must be positive",
        ),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_nothing_is_coded_before_fitting():
    with pytest.raises(NotFittedError):
        LCADictionaryLearning().transform(X)


def test_without_shuffling_every_sample_is_seen():
    # The last sample alone is not explained by the atoms at the start.
    data = np.array([[1.0, 0, 0], [1.0, 0, 0], [0, 1.0, 0], [0, 1.0, 0], [0, 0.6, 0.8]])
    options = {"alpha": 0.1, "batch_size": 2, "max_iter": 1, "dict_init": np.eye(3)[:2]}
    model = LCADictionaryLearning(2, shuffle=False, **options).fit(data)
    assert model.n_steps_ == 3
    assert model.components_[1, 2] > 0.01
    shuffled = LCADictionaryLearning(2, random_state=0, **options).fit(data)
    assert shuffled.n_steps_ == 2
