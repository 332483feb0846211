"""Panels of every geometry of the catalogue, and where columns are on them."""

import numpy as np
import torch
from matplotlib.figure import Figure

from geometries import grid, sphere
from graphcolumns.analysis import draw
from graphcolumns.analysis.layout import is_spatial, panels, triangles
from graphcolumns.geometry import Geometry
from tests.analysis.test_observe import F


def test_every_geometry_has_panels_that_show_every_column(geometry):
    shown = panels(geometry)
    assert shown
    members = np.unique(np.concatenate([panel.members for panel in shown]))
    if geometry.faces is None:
        assert members.tolist() == list(range(geometry.num_columns))
    figure = Figure()
    for panel, axes in zip(shown, figure.subplots(1, len(shown), squeeze=False)[0], strict=True):
        assert panel.places.shape == (len(panel.members), 2)
        draw.paint(axes, panel, np.arange(geometry.num_columns) * 1.0, draw.scale(np.ones(2)))
    figure.canvas.draw()


def test_a_grid_is_an_image_with_its_rows_downwards():
    (panel,) = panels(grid.sheet(8, 8))
    assert panel.grid == (8, 8)
    figure = Figure()
    axes = figure.subplots()
    draw.paint(axes, panel, F.flatten().double().numpy(), draw.scale(np.array([0.0, 1.0])))
    (image,) = axes.images
    assert np.array_equal(image.get_array(), F.numpy())
    assert image.origin == "upper"
    draw.ring_column(axes, panel, 1)  # row 0, column 1: above and to the right of column 8
    (x,), (y,) = axes.lines[0].get_data()
    assert (x, y) == (1, 0)
    assert image.get_extent() == [-0.5, 7.5, -7.5, 0.5]


def test_a_grid_in_any_order_of_its_columns():
    user = grid.sheet(8, 8)
    moved, permutation = user.reorder()
    (panel,) = panels(moved)
    values = F.flatten()[permutation].numpy()
    assert np.array_equal(values[panel.members].reshape(panel.grid), F.numpy())


def test_sheets_of_a_stack():
    shown = panels(grid.stack([2, 3]))
    assert [panel.grid for panel in shown] == [(2, 2), (3, 3)]
    assert [panel.members.tolist() for panel in shown] == [list(range(4)), list(range(4, 13))]
    assert [panel.title for panel in shown] == ["sheet 0", "sheet 1"]


def test_a_surface_is_seen_from_both_sides():
    geometry = sphere.icosphere(1)
    left, right = panels(geometry)
    x, y, z = geometry.positions.double().numpy().T
    assert np.allclose(left.places, np.stack([-y, z], 1))
    assert np.allclose(right.places, np.stack([y, z], 1))
    # What is drawn last lies in front of the eye.
    for panel, sign in ((left, -1), (right, 1)):
        depth = sign * x[panel.members][panel.triangles].mean(1)
        assert (np.diff(depth) >= 0).all()
        assert depth[-1] > 0


def test_a_column_is_marked_on_the_side_where_it_is_seen():
    geometry = sphere.icosphere(1)
    left, right = panels(geometry)
    column = int(geometry.positions[:, 0].argmax())  # far to the right
    assert not left.shows(column)
    assert right.shows(column)
    for panel, faint in ((left, True), (right, False)):
        axes = Figure().subplots()
        draw.ring_column(axes, panel, column)
        assert (axes.lines[0].get_alpha() is not None) == faint


def test_a_ring_lies_in_a_plane():
    geometry = grid.ring(24)
    (panel,) = panels(geometry)
    radius = np.linalg.norm(panel.places, axis=1)
    assert np.allclose(radius, radius[0])
    assert not is_spatial(geometry)
    assert triangles(geometry) is None


def test_a_cloud_is_seen_from_two_sides():
    front, side = panels(Geometry(torch.rand(20, 3)))
    assert front.triangles is None
    assert len(front.members) == len(side.members) == 20


def test_one_column_and_a_line():
    assert panels(grid.sheet(1, 1))[0].places.tolist() == [[0, 0]]
    assert panels(grid.sheet(1, 5))[0].grid is None


def test_a_constant_has_a_scale():
    norm = draw.scale(np.full(5, 3.0))
    assert norm.vmin < 3 < norm.vmax
    assert draw.scale(np.array([np.nan, 1.0, 2.0])).vmax == 2
    assert draw.scale(np.array([])).vmin == 0
