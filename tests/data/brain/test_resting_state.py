"""The resting-state series of BrainSpace, where it is installed, and regression of confounds."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from geometries import cortex
from graphcolumns.data.brain.resting_state import (
    CONFOUNDS,
    RestingState,
    regress_out,
    resting_state,
)
from graphcolumns.geometry import Geometry

installed = pytest.mark.skipif(
    importlib.util.find_spec("brainspace") is None, reason="needs brainspace==0.3.0, without deps"
)


def test_regression_worked_by_hand():
    # The confound (1, -1, 1, -1) / 2 takes 2 of the first series and 0 of the second.
    confound = torch.tensor([[0.5], [-0.5], [0.5], [-0.5]])
    series = torch.tensor([[2.0, 1.0], [0.0, 1.0], [2.0, -1.0], [0.0, -1.0]])
    left = regress_out(series, confound, detrend=False)
    torch.testing.assert_close(left[:, 0], torch.ones(4))
    torch.testing.assert_close(left[:, 1], series[:, 1])


def test_a_line_is_all_trend():
    line = 3 + 2 * torch.arange(7.0)[:, None]
    assert regress_out(line, np.zeros((7, 0))).abs().max() < 1e-5
    assert regress_out(line, np.zeros((7, 0)), detrend=False).equal(line)


def test_residuals_are_orthogonal_whatever_the_scale_of_confounds():
    draws = np.random.default_rng(0)
    table = draws.normal(size=(50, 3)) * [1.0, 1e-9, 0.0]
    left = regress_out(torch.from_numpy(draws.normal(size=(50, 4))), np.c_[table, table[:, 0]])
    assert abs(np.linalg.qr(table[:, :2])[0].T @ left.numpy()).max() < 1e-12
    assert abs(left.sum(0)).max() < 1e-12


def test_coefficients_are_those_of_the_training_volumes():
    # On the first three volumes the confound explains 2 of each; the last has another relation.
    confound = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    series = torch.tensor([[2.0], [4.0], [6.0], [100.0]])
    left = regress_out(series, confound, detrend=False, fit=torch.arange(3))
    torch.testing.assert_close(left, torch.tensor([[0.0], [0.0], [0.0], [92.0]]))
    whole = torch.ones(4, dtype=torch.bool)
    torch.testing.assert_close(
        regress_out(series, confound, fit=whole), regress_out(series, confound)
    )


def test_residuals_of_a_whole_series_say_what_held_out_volumes_add_up_to():
    draws = torch.Generator().manual_seed(0)
    series, confound = torch.randn(2, 40, 5, generator=draws, dtype=torch.float64)
    train, test = torch.arange(30), torch.arange(30, 40)
    for fit, leaks in ((None, True), (train, False)):
        left = regress_out(series, confound, detrend=False, fit=fit)
        sums = confound[train].T @ left[train], confound[test].T @ left[test]
        assert torch.allclose(-sums[0], sums[1]) == leaks


def test_as_nilearn_cleans():
    clean = pytest.importorskip("nilearn.signal").clean
    draws = np.random.default_rng(0)
    series, table = draws.normal(size=(60, 5)), draws.normal(size=(60, 4)).cumsum(0)
    theirs = clean(series, confounds=table, standardize=None, standardize_confounds=False)
    np.testing.assert_allclose(regress_out(torch.from_numpy(series), table), theirs, atol=1e-10)


def test_wrong_confounds():
    with pytest.raises(
        ValueError, match=r"shape \(T, K\) with T=3, a row per volume. Got \(2, 1\)"
    ):
        regress_out(torch.ones(3, 1), np.ones((2, 1)))
    with pytest.raises(ValueError, match="Got 'motion'; pass a tuple of names"):
        resting_state("motion")
    with pytest.raises(ValueError, match=r"'trend'. Got \('moton',\)"):
        resting_state(("moton",))


def test_without_brainspace_the_error_names_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"run pip install --no-deps brainspace==0.3.0"):
        resting_state()


def test_series_of_columns():
    state = RestingState(
        torch.arange(8.0).view(2, 4), torch.tensor([0, 2, 0, 1]), torch.tensor([0, 0, 1, 1])
    )
    about = {"vertex": torch.tensor([1, 2]), "hemisphere": torch.tensor([1, 0])}
    columns = Geometry(torch.rand(2, 3), attributes=about)
    assert state.place(columns).tolist() == [3, 1]
    assert state.at(columns).tolist() == [[3.0, 1.0], [7.0, 5.0]]
    about = {"vertex": torch.tensor([1, 1]), "hemisphere": torch.tensor([1, 0])}
    with pytest.raises(ValueError, match=r"every column must have a series. Got 1 of 2 without"):
        state.at(Geometry(torch.rand(2, 3), attributes=about))
    with pytest.raises(ValueError, match=r"Got \[\]; take one of geometries.cortex.fsaverage"):
        state.at(Geometry(torch.rand(2, 3)))


@installed
def test_what_ships():
    state = resting_state()
    assert str(state) == (
        "RestingState(652 volumes, 9354 vertices of the left hemisphere and 9361 of the right)"
    )
    assert state.series.dtype == torch.float32
    whole = resting_state(medial_wall=True)
    assert whole.series.shape == (652, 2 * 10242)
    assert (whole.series == 0).all(0).sum() == 888 + 881
    # The medial wall of fsaverage is where these series are 0.
    assert state.at(cortex.fsaverage(5)).equal(state.series)
    columns = cortex.fsaverage(3, "right", medial_wall=True)
    kept = state.place(columns)
    assert (kept < 0).sum() == 55
    assert whole.at(columns)[:, kept >= 0].equal(state.series[:, kept[kept >= 0]])


@installed
def test_confounds_are_what_their_names_say():
    folder = Path(importlib.util.find_spec("brainspace").origin).parent / "datasets/preprocessing"
    table = np.loadtxt(next(folder.glob("*_confounds.txt")))
    assert table.shape[1] == sum(len(columns) for columns in CONFOUNDS.values()) == 29
    motion, difference = table[:, CONFOUNDS["motion"]], table[:, CONFOUNDS["motion_difference"]]
    np.testing.assert_allclose(np.diff(motion, axis=0), difference[1:], atol=1e-12)
    components = table[:, CONFOUNDS["components"]]
    np.testing.assert_allclose(components.T @ components, np.eye(6), atol=1e-6)
    assert (table[:, CONFOUNDS["outliers"]].sum(0) == 1).all()
    legendre = np.polynomial.legendre.legvander(np.linspace(-1, 1, 652), 2)
    np.testing.assert_allclose(table[:, CONFOUNDS["trend"]], legendre, atol=1e-9)


@installed
def test_brainspace_is_not_imported():
    code = (
        "import sys; from graphcolumns.data.brain.resting_state import resting_state as read;"
        "read(); sys.exit('brainspace' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
