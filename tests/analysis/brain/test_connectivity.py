"""Functional connectivity by distance: worked by hand, against NumPy, and on a real brain."""

import importlib.util
import math

import numpy as np
import pytest
import torch

from geometries import cortex
from graphcolumns.analysis.brain.connectivity import connectivity_profile, functional_connectivity
from graphcolumns.connect import nearest
from graphcolumns.data.brain.resting_state import resting_state
from graphcolumns.geometry import Geometry

# Columns 0 and 1 agree, 2 is their opposite, 3 is orthogonal to all.
SERIES = torch.tensor(
    [[1.0, 3.0, -1.0, 1.0], [1.0, 3.0, -1.0, -1.0], [-1.0, 1.0, 1.0, 1.0], [-1.0, 1.0, 1.0, -1.0]]
)
LINE = Geometry(torch.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [7.0, 0.0]]), unit="mm")


def test_pairs_worked_by_hand():
    pairs = torch.tensor([[0, 0, 0, 1], [0, 1, 2, 3]])
    for block in (1, 3, 99):
        found = functional_connectivity(SERIES, pairs, block=block)
        torch.testing.assert_close(found, torch.tensor([1.0, 1.0, -1.0, 0.0]))
    assert functional_connectivity(SERIES, torch.zeros(2, 0, dtype=torch.long)).shape == (0,)


@pytest.mark.parametrize("block", [1, 3, 256])
def test_profile_worked_by_hand(block):
    # Distances 1 (r = 1), 2 and 3 (r = -1), 4, 6 and 7 (r = 0).
    found = connectivity_profile(SERIES, LINE, (0, 2, 5, 7), block=block)
    assert found.pairs.tolist() == [1, 3, 1]
    np.testing.assert_allclose(found.mean, [1, -2 / 3, 0], atol=1e-7)
    distances, values = [1, 2, 3, 4, 6, 7], [1, -1, -1, 0, 0, 0]
    assert found.correlation == pytest.approx(np.corrcoef(distances, values)[0, 1])


def test_empty_bins_and_no_pairs():
    found = connectivity_profile(SERIES, LINE, (0, 0.5, 2))
    assert math.isnan(found.mean[0])
    assert math.isnan(connectivity_profile(SERIES[:, :1], Geometry(torch.zeros(1, 2))).correlation)


def test_edges_of_a_graph_are_pairs():
    draws = torch.Generator().manual_seed(0)
    series, places = torch.randn(30, 40, generator=draws), torch.rand(40, 2, generator=draws)
    geometry = Geometry(places)
    graph = nearest(geometry, 5)
    source, target = graph.edge_index
    other = source != target
    values = functional_connectivity(series, graph.edge_index)[other]
    found = connectivity_profile(series, geometry, (0, 0.1, 2), graph=graph)
    length = geometry.distance(target, source)[other]
    assert found.pairs.sum() == other.sum()
    assert found.correlation == pytest.approx(np.corrcoef(values, length)[0, 1], abs=1e-5)
    torch.testing.assert_close(found.mean[1], values[length >= 0.1].double().mean())


@pytest.mark.parametrize("metric", ["euclidean", "geodesic"])
def test_blocks_give_what_whole_matrices_give(metric):
    geometry = cortex.fsaverage(2, "both", metric=metric)
    series = torch.randn(20, geometry.num_columns, generator=torch.Generator().manual_seed(0))
    a, b = np.triu_indices(geometry.num_columns, 1)
    length = geometry.distance(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    values, finite = np.corrcoef(series.numpy().T)[a, b], np.isfinite(length)
    found = connectivity_profile(series, geometry, (0, 30, 400), block=50)
    assert found.pairs.sum() == finite.sum()
    expected = np.corrcoef(values[finite], length[finite])[0, 1]
    assert found.correlation == pytest.approx(expected, abs=1e-6)
    torch.testing.assert_close(found.mean[0].item(), values[length < 30].mean(), atol=1e-6, rtol=0)


def test_wrong_input():
    with pytest.raises(ValueError, match=r"pairs must be of shape \(2, P\). Got \(3, 2\)."):
        functional_connectivity(SERIES, torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"Got 1 that are constant or NaN, the first of column 2"):
        connectivity_profile(SERIES * torch.tensor([1, 1, 0, 1]), LINE)
    with pytest.raises(ValueError, match=r"two or more ascending lengths. Got \[0, 0\]."):
        connectivity_profile(SERIES, LINE, (0, 0))
    with pytest.raises(ValueError, match="must place 3 columns"):
        connectivity_profile(SERIES[:, :3], LINE)
    with pytest.raises(ValueError, match=r"series must be of shape \(T, N\). Got \(4,\)"):
        connectivity_profile(SERIES[:, 0], LINE)
    smaller = nearest(Geometry(LINE.positions[:3]), 2)
    with pytest.raises(ValueError, match="graph must have 4 columns and sources, one per series"):
        connectivity_profile(SERIES, LINE, graph=smaller)


@pytest.mark.skipif(
    importlib.util.find_spec("brainspace") is None, reason="needs brainspace==0.3.0, without deps"
)
def test_connectivity_of_a_cortex_falls_with_distance():
    state, columns = resting_state(), cortex.fsaverage(4, "left", medial_wall=True)
    place = state.place(columns)
    kept = place >= 0
    pial = Geometry(columns.positions[kept], unit="mm")
    found = connectivity_profile(
        state.series[:, place[kept]], pial, (0, 10, 20, 30, 40, 60, 80, 100, 130, 180)
    )
    assert found.correlation == pytest.approx(-0.227, abs=5e-4)
    expected = [0.522, 0.270, 0.190, 0.151, 0.126, 0.103, 0.088, 0.069, 0.039]
    np.testing.assert_allclose(found.mean, expected, atol=6e-4)
