"""Sheets, stacks of sheets and rings."""

import math

import numpy as np
import pytest
import torch

from geometries import grid


def test_sheet_is_numbered_row_by_row():
    geometry = grid.sheet(2, 3, spacing=0.5, unit="mm")
    assert geometry.positions.tolist() == [[0, 0], [0, 0.5], [0, 1], [0.5, 0], [0.5, 0.5], [0.5, 1]]
    assert (geometry.metric, geometry.unit, geometry.areas) == ("euclidean", "mm", None)
    assert geometry.positions.dtype == torch.float32


def test_torus_has_no_border():
    geometry = grid.sheet(4, 6, spacing=2.0, torus=True)
    assert (geometry.metric, geometry.period) == ("torus", (8.0, 12.0))
    ids = torch.arange(24)
    lengths = geometry.distance(ids[:, None].expand(24, 24), ids.expand(24, 24)).sort(dim=1).values
    torch.testing.assert_close(lengths, lengths[:1].expand(24, 24))
    assert lengths[0, :5].tolist() == [0, 2, 2, 2, 2]
    assert lengths.max().item() == pytest.approx(math.hypot(4, 6))


def test_torus_of_any_spacing_fits_its_period():
    for spacing in (0.1, 0.3, 1 / 3, 7e-3):
        assert grid.sheet(10, 7, spacing, torus=True).num_columns == 70


def test_stack_is_that_of_columnformer():
    geometry = grid.stack([8, 12, 16])
    assert geometry.num_columns == 464
    assert geometry.areas.tolist() == [0] * 64 + [1] * 144 + [2] * 256
    expected = [
        [layer * 2.0, y, x]
        for layer, w in enumerate([8, 12, 16])
        for y in np.linspace(-w / 2, w / 2, w)
        for x in np.linspace(-w / 2, w / 2, w)
    ]
    np.testing.assert_allclose(geometry.positions.numpy(), expected, atol=1e-6)


def test_stack_of_small_sheets_by_hand():
    geometry = grid.stack([2, 1], offset=3.0, unit="mm")
    corners = [[0, -1, -1], [0, -1, 1], [0, 1, -1], [0, 1, 1]]
    # A sheet of one column is centred on the others.
    assert geometry.positions.tolist() == [*corners, [3, 0, 0]]
    assert geometry.unit == "mm"


def test_rows_by_hand():
    rows = grid.rows([2, 1, 4], offset=0.5, unit="mm")
    below = [[0, 0.25], [0, 0.75], [0.5, 0.5]]
    assert rows.positions.tolist() == [*below, [1, 0.125], [1, 0.375], [1, 0.625], [1, 0.875]]
    assert rows.areas.tolist() == [0, 0, 1, 2, 2, 2, 2]
    assert rows.unit == "mm"


def test_ring_of_four_by_hand():
    # A quarter of the circumference 4 * 0.5 apart, so on a radius of 1 / pi.
    ring = grid.ring(4, spacing=0.5, unit="mm")
    corners = torch.tensor([[1.0, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]]) / math.pi
    torch.testing.assert_close(ring.positions, corners)
    lengths = ring.distance(torch.zeros(4).long(), torch.arange(4))
    assert lengths.tolist() == pytest.approx([0, 0.5, 1, 0.5])
    assert (ring.metric, ring.unit) == ("great-circle", "mm")


@pytest.mark.parametrize("n", [1, 2, 3, 192, 5000])
@pytest.mark.parametrize("spacing", [1.0, 0.03])
def test_ring_counts_steps_the_shorter_way_round(n: int, spacing: float):
    ids = torch.arange(n)
    steps = torch.minimum(ids, n - ids)
    lengths = grid.ring(n, spacing).distance(torch.zeros(n).long(), ids)
    # Up to the rounding of positions at the distance of the radius.
    torch.testing.assert_close(lengths, steps * spacing, rtol=1e-5, atol=1e-7 * n * spacing)


def test_published_wiring_costs_of_an_8_by_8_sheet():
    # Mean distance over all pairs of the sheet when a column is 2 from itself: identity attention
    # costs 0.382 of uniform attention.
    geometry, ids = grid.stack([8]), torch.arange(64)
    lengths = geometry.distance(ids[:, None].expand(64, 64), ids.expand(64, 64))
    lengths = torch.sqrt(lengths**2 + 2**2)
    assert (2 / lengths.mean()).item() == pytest.approx(0.382, abs=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: grid.sheet(0, 3), "height must be a whole number of columns, 1 or more. Got 0"),
        (lambda: grid.sheet(3, -1), "width must be a whole number of columns, 1 or more. Got -1"),
        (lambda: grid.sheet(3, 2.5), "width must be a whole number of columns, 1 or more. Got 2.5"),
        (lambda: grid.sheet(3, 3, spacing=0.0), "spacing must be positive and finite. Got 0.0"),
        (lambda: grid.sheet(3, 3, unit="inch"), "unit must be one of 'mm', 'rad', 'pixel'"),
        (lambda: grid.ring(0), "n must be a whole number of columns, 1 or more. Got 0"),
        (lambda: grid.ring(8, 0.0), "spacing must be positive and finite. Got 0.0"),
        (lambda: grid.stack([]), "widths must name at least one sheet"),
        (lambda: grid.stack([8, 0]), "widths must be a whole number of columns, 1 or more. Got 0"),
        (lambda: grid.rows([]), "sizes must name at least one row"),
        (lambda: grid.rows([8, 0]), "sizes must be a whole number of columns, 1 or more. Got 0"),
        (lambda: grid.rows([8], offset=0.0), "offset must be positive and finite. Got 0.0"),
        (lambda: grid.stack([8], offset=math.inf), "offset must be positive and finite. Got inf"),
    ],
)
def test_wrong_sizes(call, message: str):
    with pytest.raises(ValueError, match=message):
        call()
