"""Positions from tables."""

import numpy as np
import pytest
import torch

from geometries import from_file
from graphcolumns import connect

PLACES = [[0.0, 1.0, 2.0], [3.0, 4.0, 5.5], [-6.0, 7.0, 8.0]]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "places.csv"


@pytest.mark.parametrize(
    "content",
    [
        "x,y,z\n0,1,2\n3,4,5.5\n-6,7,8\n",
        "name,Z,Y,X\nV1,2,1,0\nV2,5.5,4,3\nMT,8,7,-6\n",
        "0 1 2\n3 4 5.5\n-6 7 8\n",
    ],
)
def test_columns_in_the_order_of_the_file(path, content):
    path.write_text(content)
    geometry = from_file.points(str(path), "mm")
    assert geometry.positions.tolist() == PLACES
    assert (geometry.unit, geometry.metric) == ("mm", "euclidean")


def test_npy(tmp_path):
    np.save(tmp_path / "places.npy", np.array(PLACES, dtype=np.float32))
    assert from_file.points(tmp_path / "places.npy", unit="pixel").positions.tolist() == PLACES


def test_a_grid_saved_in_float32_keeps_its_ties(tmp_path):
    line = np.arange(60, dtype=np.float32) * np.float32(0.3)
    places = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    np.save(tmp_path / "places.npy", places)
    geometry = from_file.points(tmp_path / "places.npy", "mm")
    assert geometry.positions.dtype == torch.float32
    assert connect.within_radius(geometry, 0.3, self_loops=False).num_edges == 4 * 60 * 59
    np.savetxt(tmp_path / "places.csv", np.arange(60)[:, None] * np.array([[0.3, 0]]), fmt="%.1f")
    text = from_file.points(tmp_path / "places.csv", "mm")
    assert text.positions.dtype == torch.float64
    assert connect.within_radius(text, 0.3, self_loops=False).num_edges == 2 * 59


def test_chosen_columns_scale_areas_and_attributes(path):
    path.write_text("id,lon,lat,area,depth\n7,1,2,0,0.5\n8,3,4,2,0.25\n")
    geometry = from_file.points(
        path, "mm", ["lat", "lon"], scale=1000, areas="area", attributes=["depth"]
    )
    assert geometry.positions.tolist() == [[2000, 1000], [4000, 3000]]
    assert geometry.areas.tolist() == [0, 2]
    assert geometry.attributes["depth"].tolist() == [0.5, 0.25]


def test_areas_by_name(path):
    path.write_text("x,y,region\n1,2,V2\n3,4,MT\n5,6,V2\n")
    assert from_file.points(path, "mm", areas="region").areas.tolist() == [1, 0, 1]


def test_metrics(path):
    path.write_text("0 0 2\n2 0 0\n")
    sphere = from_file.points(path, "mm", metric="great-circle", radius=2.0)
    assert sphere.distance(torch.tensor(0), torch.tensor(1)).item() == pytest.approx(np.pi)
    path.write_text("0.5 0\n9.5 0\n")
    torus = from_file.points(path, "mm", metric="torus", period=[10, 10])
    assert torus.distance(torch.tensor(0), torch.tensor(1)).item() == 1


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("lon,lat\n1,2\n", {}, "which of its columns are axes.* Got columns 'lon', 'lat'; pass"),
        ("1,2,3,4\n", {}, "Got 4 columns without a header"),
        ("x,y\n1,2\n", {"columns": "xy"}, "columns must name two or three axes"),
        ("x,y\n1,2\n", {"columns": ["x", "depth"]}, "one column 'depth'"),
        ("x,y\n1,2\n", {"scale": 0}, "scale must be a finite factor"),
        ("x,y\n1,2\n3,inf\n", {}, "places.csv must hold finite numbers. Got 'inf' in line 3"),
        ("x,y,a\n1,2,V1\n3,4,\n", {"areas": "a"}, "a name each. Got an empty field in line 3"),
        ("x,y,a\n1,2,0\n3,4,-1\n", {"areas": "a"}, "from 0, or names. Got -1 in line 3"),
        ("x,y\n", {}, "at least one column"),
    ],
)
def test_wrong_files(path, content, options, message):
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        from_file.points(path, "mm", **options)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        from_file.points(tmp_path / "absent.csv", "mm")


def test_far_from_the_origin_every_digit_is_kept(path):
    path.write_text("x,y\n4000000.1,500000\n4000000.2,500000\n4000000.4,500000\n")
    graph = connect.nearest(from_file.points(path, "mm"), 2)
    assert graph.edge_index.tolist() == [[0, 1, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2]]
    assert graph.distance.tolist() == pytest.approx([0, 0.1, 0.1, 0, 0.2, 0], abs=1e-8)
