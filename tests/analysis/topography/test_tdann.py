"""The spatial loss and the smoothness of TDANN, by hand and on planted maps."""

import math

import numpy as np
import pytest
import torch

from geometries import grid
from graphcolumns import Geometry
from graphcolumns.analysis.topography import permuted_null, tdann_smoothness, tdann_spatial_loss

# Three columns on a line, 1 and 2 apart.
LINE = Geometry(torch.tensor([[0.0, 0], [1, 0], [3, 0]]))


def bumps(geometry: Geometry, samples: int = 100, width: float = 2.0) -> np.ndarray:
    """Responses to bumps of activity at random places."""
    positions = geometry.positions.numpy()
    centres = np.random.default_rng(0).uniform(0, positions.max(), (samples, 2))
    squared = ((centres[:, None] - positions) ** 2).sum(-1)
    return np.exp(-squared / (2 * width**2))


def test_the_loss_by_hand():
    """Correlations of 1, -1 and -1 against 1/2, 1/4 and 1/3."""
    responses = np.array([[0.0, 0, 1], [1, 2, 0]])
    near = np.array([1 / 2, 1 / 4, 1 / 3])
    expected = (1 - np.corrcoef([1, -1, -1], near)[0, 1]) / 2
    assert tdann_spatial_loss(responses, LINE, 2, 3) == pytest.approx(expected)


def test_the_loss_in_closed_form():
    """Correlations that are a linear function of nearness have loss 0, and their opposite 1."""
    geometry = grid.sheet(1, 4)
    distance = torch.cdist(geometry.positions, geometry.positions).double().numpy()
    near = 0.2 / (1 + distance)
    for sign, expected in ((1, 0), (-1, 1)):
        covariance = np.eye(4) * 1.0
        off = ~np.eye(4, dtype=bool)
        covariance[off] = sign * near[off]
        # Samples with exactly this covariance: orthonormal columns of mean 0, times its root.
        basis = np.linalg.qr(np.random.default_rng(0).normal(size=(9, 5)) * 1.0)[0]
        basis = np.linalg.qr(np.column_stack([np.ones(9), basis]))[0][:, 1:5]
        responses = basis @ np.linalg.cholesky(covariance).T
        assert tdann_spatial_loss(responses, geometry) == pytest.approx(expected, abs=1e-9)


def test_a_topographic_sheet_is_found_and_a_shuffled_one_is_not():
    geometry = grid.sheet(10, 11)
    responses = bumps(geometry)
    assert tdann_spatial_loss(responses, geometry, 10, 40) < 0.1
    shuffled = responses[:, np.random.default_rng(1).permutation(110)]
    assert tdann_spatial_loss(shuffled, geometry, 10, 40) == pytest.approx(0.5, abs=0.05)
    null = permuted_null(
        lambda x: tdann_spatial_loss(x, geometry, 2, 30), responses, count=19, tail="less"
    )
    assert null.p == 0.05


def test_constant_columns_are_left_out_of_the_loss():
    geometry = grid.sheet(4, 4)
    responses = bumps(geometry)
    constant = responses.copy()
    constant[:, 3] = 0.1
    assert 0 <= tdann_spatial_loss(constant, geometry) < 0.5
    assert math.isnan(tdann_spatial_loss(np.ones((5, 16)), geometry))


def test_smoothness_by_hand():
    """Pairs 1, 2 and 3 apart differ by 1, 3 and 4; three bins of width 1 from 0 to 3."""
    found = tdann_smoothness([0.0, 1, 4], LINE, bins=3)
    # A border belongs to the bin on its right, and the largest distance to the last bin.
    assert found.pairs.tolist() == [0, 1, 2]
    assert math.isnan(found.smoothness)
    found = tdann_smoothness([0.0, 1, 4], LINE, bins=2)
    assert found.curve == pytest.approx([1, 3.5])
    assert found.smoothness == pytest.approx(2.5 / 3.5)
    assert found.edges == pytest.approx([0, 1.5, 3])


def test_circular_preferences():
    """170 and 10 degrees differ by 20."""
    geometry = Geometry(torch.tensor([[0.0, 0], [1, 0]]))
    assert tdann_smoothness([170, 10], geometry, 1, period=180).curve.tolist() == [20]
    assert tdann_smoothness([170, 10], geometry, 1).curve.tolist() == [160]


def test_a_flat_map_and_one_that_is_constant():
    geometry = Geometry(torch.tensor([[0.0, 0], [1, 0], [0.5, 3**0.5 / 2]]))
    assert tdann_smoothness([0.0, 1, 2], geometry, 1).smoothness == 0
    assert math.isnan(tdann_smoothness(np.full(16, 0.1), grid.sheet(4, 4)).smoothness)


def test_a_smooth_map_is_found_and_draws_are_seeded():
    geometry = grid.sheet(12, 12)
    ramp = geometry.positions[:, 0]
    smooth = tdann_smoothness(ramp, geometry)
    assert smooth.smoothness > 0.9
    null = permuted_null(lambda x: tdann_smoothness(x, geometry).smoothness, ramp, count=19)
    assert null.p == 0.05
    # Also without topography the largest of nine bins is larger than the first.
    assert 0 < null.mean < 0.4
    drawn = tdann_smoothness(ramp, geometry, draws=3, units=60, seed=4)
    assert drawn.pairs.sum() == 3 * 60 * 59 / 2
    assert drawn.smoothness == tdann_smoothness(ramp, geometry, 9, 3, 60, seed=4).smoothness
    assert drawn.smoothness == pytest.approx(smooth.smoothness, abs=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: tdann_spatial_loss(np.ones((3, 5)), LINE),
            r"N = 3 columns. Got \[3, 5\]; transpose",
        ),
        (
            lambda: tdann_spatial_loss(np.ones((2, 3, 1)), LINE),
            r"responses must be \[S, N\], samples",
        ),
        (lambda: tdann_spatial_loss(np.ones((1, 3)), LINE), "at least two samples. Got 1 row"),
        (lambda: tdann_spatial_loss(np.ones((2, 3)), LINE, size=2), "size must be 3 or above"),
        (lambda: tdann_smoothness([1, 2, 3], LINE, period=0), "period must be above 0 and finite"),
        (lambda: tdann_smoothness([1, 2, 3], LINE, units=1), "at least two columns. Got 3 columns"),
        (lambda: tdann_smoothness([1, 2], LINE), r"preferences must be one number per column"),
        (lambda: tdann_smoothness([1, 2, 3], LINE, bins=0), "bins must be at least 1"),
    ],
)
def test_wrong_inputs(call, message):
    with pytest.raises(ValueError, match=message):
        call()
