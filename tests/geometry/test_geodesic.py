"""Distances along meshes: by hand, against networkx, exact geodesics and closed forms."""

import math
import sys
import tracemalloc
from dataclasses import replace

import networkx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pygeodesic.geodesic import PyGeodesicAlgorithmExact

from geometries import cortex, grid, sphere
from graphcolumns.connect import nearest
from graphcolumns.geometry import Geometry, geodesic, geodesic_distance
from graphcolumns.geometry.geodesic import connected_parts, mesh_edges

# A square of side 3 by 4, cut along the diagonal 0-2 of length 5; column 4 is in no face.
#   3 --4-- 2
#   |     / |
#   3   5   3
#   | /     |
#   0 --4-- 1
SQUARE = Geometry(
    torch.tensor([[0.0, 0, 0], [4, 0, 0], [4, 3, 0], [0, 3, 0], [9, 9, 9]]),
    metric="geodesic",
    faces=torch.tensor([[0, 1, 2], [0, 2, 3]]),
)
INF = math.inf


def rows(geometry: Geometry, *sources: int, **options) -> torch.Tensor:
    return geodesic_distance(geometry, torch.tensor(sources), **options)


def exact(geometry: Geometry, source: int) -> torch.Tensor:
    """The shortest way across the faces, by Mitchell, Mount and Papadimitriou."""
    algorithm = PyGeodesicAlgorithmExact(
        geometry.positions.double().numpy(), geometry.faces.int().numpy()
    )
    return torch.from_numpy(algorithm.geodesicDistances(np.array([source]), None)[0]).float()


# Answers worked by hand


def test_a_square():
    assert rows(SQUARE, 0, 1).tolist() == [[0, 4, 5, 3, INF], [4, 0, 3, 7, INF]]
    target, source = torch.tensor([[1, 3], [0, 4]]), torch.tensor([[3, 1], [2, 4]])
    assert SQUARE.distance(target, source).tolist() == [[7, 7], [5, 0]]
    assert SQUARE.distance(torch.tensor(4), torch.tensor(0)).item() == INF
    assert SQUARE.distance(torch.tensor([]).long(), torch.tensor([]).long()).shape == (0,)


def test_beyond_the_limit_there_is_nothing():
    assert rows(SQUARE, 0, limit=4.5).tolist() == [[0, 4, INF, 3, INF]]
    assert rows(SQUARE, 0, limit=4).tolist() == [[0, 4, INF, 3, INF]]


def test_edges_and_parts_of_a_square():
    edges, lengths = mesh_edges(SQUARE)
    assert edges.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [2, 3]]
    assert lengths.tolist() == [4, 5, 3, 3, 4]
    assert connected_parts(SQUARE).tolist() == [0, 0, 0, 0, 1]


def test_columns_in_one_place_are_joined_by_an_edge_of_length_0():
    positions = torch.tensor([[0.0, 0], [0, 0], [1, 0]])
    fold = Geometry(positions, "geodesic", faces=torch.tensor([[0, 1, 2], [2, 2, 1]]))
    assert rows(fold, 0).tolist() == [[0, 0, 1]]
    assert fold.distance(torch.tensor([0]), torch.tensor([1])).tolist() == [0]


def test_any_geometry_with_faces_has_distances_along_them():
    octahedron = sphere.icosphere(0)
    edge = math.sqrt(2 - 2 / math.sqrt(5))  # of the icosahedron in the unit sphere
    found = rows(octahedron, 0)[0].sort().values
    expected = torch.tensor([0.0] + [edge] * 5 + [2 * edge] * 5 + [3 * edge])
    torch.testing.assert_close(found, expected)


def test_dtype_is_that_of_the_positions():
    double = Geometry(SQUARE.positions.double(), "geodesic", faces=SQUARE.faces)
    assert rows(double, 0).dtype == torch.float64
    assert double.distance(torch.tensor([0]), torch.tensor([1])).dtype == torch.float64
    assert rows(SQUARE, 0).dtype == torch.float32


# Other programs


@pytest.fixture(scope="module")
def pial() -> Geometry:
    return cortex.fsaverage(3, "left")


@pytest.fixture(scope="module")
def whole() -> Geometry:
    """With the medial wall the surface is closed."""
    return cortex.fsaverage(3, "left", medial_wall=True)


def test_dijkstra_equals_networkx(pial: Geometry):
    graph = networkx.Graph()
    edges, lengths = mesh_edges(pial)
    graph.add_weighted_edges_from(
        (*edge, length) for edge, length in zip(edges, lengths, strict=True)
    )
    expected = networkx.single_source_dijkstra_path_length(graph, 17)
    expected = torch.tensor([expected[i] for i in range(pial.num_columns)])
    torch.testing.assert_close(rows(pial, 17)[0], expected.float())


@pytest.mark.parametrize("block", [1, 700, 2**20])
def test_distance_of_pairs_equals_rows(pial: Geometry, block: int, monkeypatch):
    monkeypatch.setattr(geodesic, "BLOCK", block)
    target, source = torch.randint(pial.num_columns, (2, 200))
    source[:100] = (target[:100] + 1) % pial.num_columns
    found = pial.distance(target, source)
    torch.testing.assert_close(found, rows(pial, *target.tolist())[torch.arange(200), source])
    torch.testing.assert_close(found, pial.distance(source, target))


@settings(max_examples=25)
@given(st.integers(3, 30), st.integers(1, 40), st.integers(0, 2**31))
def test_distance_equals_rows_on_any_triangles(n: int, num_faces: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    positions = torch.randn(n, 3, generator=generator)
    faces = torch.randint(n, (num_faces, 3), generator=generator)
    geometry = Geometry(positions, "geodesic", faces=faces)
    ids = torch.arange(n)
    pairs = torch.cartesian_prod(ids, ids)
    expected = rows(geometry, *range(n))
    torch.testing.assert_close(geometry.distance(*pairs.t()).view(n, n), expected)
    same_part = torch.from_numpy(connected_parts(geometry)[:, None] == connected_parts(geometry))
    assert torch.equal(torch.isfinite(expected), same_part)


def test_exact_oracle_gives_the_straight_line_on_a_square():
    assert exact(Geometry(SQUARE.positions[:4], faces=SQUARE.faces), 1)[3].item() == 5


@pytest.mark.parametrize("surface", ["pial", "inflated", "sphere"])
def test_dijkstra_is_some_10_percent_above_exact(surface: str):
    geometry = cortex.fsaverage(4, "left", surface, medial_wall=True)
    for source in (0, 1000):
        ratio = rows(geometry, source)[0] / exact(geometry, source)
        ratio = ratio[torch.isfinite(ratio)]
        assert ratio.min() > 1 - 1e-5
        assert 1.04 < ratio.mean() < 1.14
        assert ratio.max() < 1.7


def test_dijkstra_on_a_sphere_against_great_circles():
    ball = sphere.icosphere(4)
    sources = torch.arange(0, 2562, 500)
    arcs = ball.distance(sources[:, None].expand(-1, 2562), torch.arange(2562).expand(6, -1))
    far = arcs > 0.3
    ratio = (geodesic_distance(ball, sources) / arcs)[far]
    # A chord is shorter than its arc by less than 0.1 % here; the zigzag makes up for much more.
    assert ratio.min() > 0.999
    assert 1.03 < ratio.mean() < 1.12
    # Across rows of equilateral triangles it would be 2 / sqrt(3) = 1.155; these are not all so.
    assert 1.15 < ratio.max() < 1.25


# The heat method


def test_heat_is_near_great_circles_on_a_sphere():
    pytest.importorskip("potpourri3d")
    ball = sphere.icosphere(4, radius=50.0)
    sources = torch.tensor([0, 700])
    arcs = ball.distance(sources[:, None].expand(-1, 2562), torch.arange(2562).expand(2, -1))
    error = (geodesic_distance(ball, sources, "heat") / arcs - 1)[arcs > 5]
    assert error.abs().mean() < 0.02
    assert error.abs().max() < 0.1


def test_heat_is_nearer_to_exact_than_dijkstra_on_a_folded_surface(whole: Geometry):
    pytest.importorskip("potpourri3d")
    wanted = exact(whole, 5)
    far = wanted > 30
    heat, dijkstra = (
        (rows(whole, 5, method=method)[0] / wanted - 1)[far].abs().mean()
        for method in ("heat", "dijkstra")
    )
    assert heat < dijkstra
    assert heat < 0.08


def test_heat_stays_in_its_part():
    pytest.importorskip("potpourri3d")
    both = cortex.fsaverage(2, "both", medial_wall=True)
    found = rows(both, 3, 200, method="heat")
    assert torch.equal(torch.isfinite(found), torch.isfinite(rows(both, 3, 200)))
    alone = rows(cortex.fsaverage(2, "right", medial_wall=True), 200 - 162, method="heat")
    torch.testing.assert_close(found[1:, 162:], alone)
    assert rows(SQUARE, 4, method="heat").tolist() == [[INF, INF, INF, INF, 0]]
    limited = rows(both, 3, method="heat", limit=40.0)
    assert torch.equal(limited, torch.where(found[:1] <= 40, found[:1], INF))


def test_heat_without_potpourri3d(monkeypatch):
    monkeypatch.setitem(sys.modules, "potpourri3d", None)
    with pytest.raises(ImportError, match=r"pip install 'graphcolumns\[geodesic\]'"):
        rows(SQUARE, 0, method="heat")


# Size


def test_lengths_of_edges_never_make_a_square_matrix():
    geometry = cortex.fsaverage(5, "left", medial_wall=True)
    graph = nearest(Geometry(geometry.positions), 4)
    tracemalloc.start()
    lengths = geometry.distance(graph.target, graph.source)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # 10242 squared doubles would be 840 MB.
    assert peak < 100e6
    assert (lengths >= graph.distance * (1 - 1e-6)).all()


# Wrong input


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: rows(grid.sheet(2, 2), 0), ValueError, "need faces. Got faces=None"),
        (lambda: rows(SQUARE, 5), ValueError, r"column ids in \[0, 5\). Got 5"),
        (lambda: rows(SQUARE, -1), ValueError, "Got -1"),
        (lambda: rows(SQUARE, 0, method="mmp"), ValueError, "'dijkstra', 'heat'. Got 'mmp'"),
        (lambda: rows(SQUARE, 0, limit=0), ValueError, r"\(pixel\). Got 0"),
        (lambda: rows(SQUARE, 0, limit=math.nan), ValueError, "limit must be positive.* Got nan"),
        (lambda: geodesic_distance(SQUARE, torch.tensor([0.5])), TypeError, "must be column ids"),
        (lambda: geodesic_distance(SQUARE, [0]), TypeError, r"Got \[0\]"),
        (
            lambda: SQUARE.distance(torch.tensor([0]), torch.tensor([0]), cortex_like()),
            ValueError,
            "along one mesh, and targets and sources are on two",
        ),
    ],
)
def test_wrong_input(call, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        call()


def cortex_like() -> Geometry:
    return Geometry(SQUARE.positions, "geodesic", faces=SQUARE.faces)


def test_a_mesh_may_name_itself_as_its_sources():
    assert SQUARE.distance(torch.tensor([0]), torch.tensor([2]), SQUARE).tolist() == [5]


def test_no_gradient_reaches_the_positions():
    positions = SQUARE.positions.clone().requires_grad_()
    mesh = Geometry(positions, "geodesic", faces=SQUARE.faces)
    with pytest.raises(ValueError, match="no gradient in the positions"):
        mesh.distance(torch.tensor([0]), torch.tensor([1]))
    with torch.no_grad():
        assert mesh.distance(torch.tensor([0]), torch.tensor([1])).tolist() == [4]


@pytest.mark.parametrize(("scale", "shift"), [(1e-15, 0.0), (1.0, 4e6), (6.371e6, 1e9)])
def test_neither_place_nor_unit_changes_a_path(scale, shift):
    mesh = cortex.fsaverage(2, "left")
    positions = mesh.positions.double()
    far = replace(mesh, positions=positions * scale + shift)
    ids = torch.arange(0, mesh.num_columns, 11)
    expected = geodesic_distance(replace(mesh, positions=positions), ids)
    torch.testing.assert_close(geodesic_distance(far, ids) / scale, expected, rtol=1e-7, atol=1e-7)
    pairs = ids[:-1], ids[1:]
    torch.testing.assert_close(far.distance(*pairs) / scale, expected[range(len(ids) - 1), ids[1:]])
