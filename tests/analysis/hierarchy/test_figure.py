"""Levels on their geometry, and the axis along which they rise."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from geometries import cortex, grid, sphere
from graphcolumns.analysis.hierarchy import hierarchy_axis, hierarchy_figure
from graphcolumns.geometry import Geometry


def test_an_axis_by_hand():
    corners = Geometry(torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]))
    found = hierarchy_axis(torch.tensor([0.0, 3, 4, 7]), corners)
    assert found.direction == pytest.approx([0.8, 0.6])
    assert (found.slope, found.r2) == (pytest.approx(5), pytest.approx(1))
    assert found.place == pytest.approx([-0.7, -0.1, 0.1, 0.7])


def test_r2_by_hand():
    line = Geometry(torch.tensor([[0.0, 0], [1, 0], [2, 0]]))
    found = hierarchy_axis(torch.tensor([0.0, 2, 1]), line)
    assert found.direction == pytest.approx([1, 0])
    assert (found.slope, found.r2) == (pytest.approx(0.5), pytest.approx(0.25))


def test_columns_without_a_level_count_nothing():
    sheet = grid.sheet(4, 5)
    levels = sheet.positions[:, 0].clone()
    levels[3] = math.nan
    found = hierarchy_axis(levels, sheet)
    assert found.direction == pytest.approx([1, 0])
    assert found.r2 == pytest.approx(1)
    assert np.isfinite(found.place).all()


@pytest.mark.parametrize(
    "levels",
    [
        pytest.param([2.0, 2, 2, 2], id="constant"),
        pytest.param([math.nan] * 4, id="none"),
        pytest.param([1.0, -1, -1, 1], id="a saddle"),
    ],
)
def test_levels_without_a_direction(levels):
    sheet = grid.sheet(2, 2)
    found = hierarchy_axis(torch.tensor(levels), sheet)
    assert np.isnan(found.direction).all()
    assert found.slope == 0
    figure = hierarchy_figure({"level": torch.tensor(levels)}, sheet)
    assert "no direction" in figure.axes[1].texts[0].get_text()


@pytest.mark.parametrize(
    "geometry",
    [
        pytest.param(grid.sheet(1, 1), id="one column"),
        pytest.param(grid.sheet(4, 6), id="sheet"),
        pytest.param(grid.stack([3, 3]), id="stack"),
        pytest.param(sphere.icosphere(1), id="sphere"),
        pytest.param(cortex.fsaverage(2), id="cortex"),
    ],
)
def test_every_geometry_is_drawn_with_units(geometry):
    levels = torch.arange(geometry.num_columns).double()
    levels[-1] = math.nan
    figure = hierarchy_figure(
        {"latency": levels, "trophic level": -levels}, geometry, {"latency": "steps"}
    )
    figure.draw_without_rendering()
    labels = {axes.get_ylabel() for axes in figure.axes}
    assert {"latency (steps)", "trophic level"} <= labels


def test_dots_are_the_levels():
    sheet = grid.sheet(3, 4)
    levels = torch.rand(12, generator=torch.Generator().manual_seed(0))
    figure = hierarchy_figure({"level": levels}, sheet)
    dots = figure.axes[1].collections[0].get_offsets()
    assert np.allclose(dots[:, 1], levels)
    assert np.allclose(dots[:, 0], hierarchy_axis(levels, sheet).place)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        pytest.param({}, "one kind of level or more. Got none", id="none"),
        pytest.param({"a": torch.ones(3)}, r"shape \(4,\). Got \(3,\)", id="too few"),
        pytest.param({"a": torch.full((4,), math.inf)}, "finite, or NaN", id="infinite"),
    ],
)
def test_bad_levels(levels, message):
    with pytest.raises(ValueError, match=message):
        hierarchy_figure(levels, grid.sheet(2, 2))


def test_the_package_is_imported_on_its_own():
    code = "from graphcolumns.analysis.hierarchy import trophic_levels"
    subprocess.run([sys.executable, "-c", code], check=True)
