"""Wherever columns are, in whatever unit: the graph is that of the same columns at the origin."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from geometries import cortex, grid, sphere
from graphcolumns import connect
from graphcolumns.connect import draws
from graphcolumns.connect.race import exponential_race
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph

UTM = (4_649_776.0, 500_000.0)
ECEF = (3_980_574.2, -12_345.6, 4_966_824.5)


def cloud(n: int = 200, axes: int = 2, seed: int = 0, spread: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, axes, generator=generator, dtype=torch.float64) * spread


def lengths_of(positions: Tensor) -> np.ndarray:
    """All pairs, with more digits than the library has."""
    x = positions.numpy().astype(np.longdouble)
    return np.sqrt(((x[:, None] - x) ** 2).sum(-1))


def rows_of(graph: ColumnGraph) -> list[list[int]]:
    return [row.tolist() for row in graph.source.tensor_split(graph.rowptr[1:-1])]


def nearest_of(positions: Tensor, degree: int) -> list[list[int]]:
    """Sorting all pairs, equal ones by id."""
    lengths = lengths_of(positions)
    np.fill_diagonal(lengths, -1)
    ids = np.arange(len(lengths))
    return [sorted(np.lexsort((ids, row))[:degree].tolist()) for row in lengths]


@pytest.mark.parametrize("spread", [1e-2, 1.0, 1e3, 1e5])
@pytest.mark.parametrize("origin", [UTM, ECEF])
def test_nearest_of_coordinates_in_metres_equals_scikit_learn(origin, spread: float):
    positions = cloud(axes=len(origin), spread=spread) + torch.tensor(origin, dtype=torch.float64)
    # Around its mean scikit-learn keeps the digits that its expanded squares would lose.
    centred = positions - positions.mean(0)
    expected = NearestNeighbors(n_neighbors=7, algorithm="kd_tree").fit(centred).kneighbors()[1]
    graph = connect.nearest(Geometry(positions), 7, self_loops=False)
    assert rows_of(graph) == np.sort(expected, axis=1).tolist()
    assert rows_of(graph) == [
        sorted(set(row) - {i}) for i, row in enumerate(nearest_of(positions, 8))
    ]
    lengths = lengths_of(positions)[graph.target, graph.source].astype(float)
    np.testing.assert_allclose(graph.distance, lengths, rtol=1e-6)


@pytest.mark.parametrize("origin", [(0.0, 0.0), UTM])
@pytest.mark.parametrize("spread", [1.0, 1e3, 1e5])
def test_nearest_of_float32_is_that_of_the_stored_numbers(origin, spread: float):
    positions = (cloud(spread=spread) + torch.tensor(origin, dtype=torch.float64)).float()
    graph = connect.nearest(Geometry(positions), 6)
    assert rows_of(graph) == nearest_of(positions.double(), 6)


@pytest.mark.parametrize("spread", [1e-2, 1.0, 1e3])
def test_within_radius_of_coordinates_in_metres_compares_all_pairs(spread: float):
    positions = cloud(spread=spread, axes=3) + torch.tensor(ECEF, dtype=torch.float64)
    lengths = lengths_of(positions)
    for radius in (0.1 * spread, 0.4 * spread):
        graph = connect.within_radius(Geometry(positions), radius)
        assert graph.edge_index.flip(0).t().tolist() == np.argwhere(lengths <= radius).tolist()


def test_float64_tells_lengths_apart_that_float32_does_not():
    positions = torch.tensor([[0, 0], [1, 0], [0, 1 + 1e-9], [0, -1 + 1e-9]], dtype=torch.float64)
    geometry = Geometry(positions)
    assert rows_of(connect.nearest(geometry, 2))[0] == [0, 3]
    assert rows_of(connect.within_radius(geometry, 1.0))[0] == [0, 1, 3]
    # In float32 all three are as near.
    coarse = Geometry(positions.float())
    assert rows_of(connect.nearest(coarse, 2))[0] == [0, 1]
    assert rows_of(connect.within_radius(coarse, 1.0))[0] == [0, 1, 2, 3]


def test_a_column_far_away_does_not_blur_the_others():
    positions = torch.cat([cloud(100), torch.tensor([[1e6, -3e5]]).double()]).float()
    graph = connect.nearest(Geometry(positions), 5)
    assert rows_of(graph)[:100] == nearest_of(positions.double(), 5)[:100]
    inside = lengths_of(positions.double())[:100, :100] <= 0.2
    pairs = connect.within_radius(Geometry(positions), 0.2).to_scipy().toarray()[:100, :100]
    assert ((pairs > 0) | np.eye(100, dtype=bool)).tolist() == inside.tolist()


@pytest.mark.parametrize("sides", [(1e4, 1.0), (1.0, 1e-5, 1e3)])
def test_long_and_thin_sheets(sides):
    positions = cloud(150, axes=len(sides), seed=4) * torch.tensor(sides, dtype=torch.float64)
    for shifted in (positions, positions - 2e6):
        graph = connect.nearest(Geometry(shifted), 6)
        assert rows_of(graph) == nearest_of(shifted, 6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_large_grid_keeps_its_neighbours_however_far_from_the_corner(dtype):
    n = 150
    line = (torch.arange(n, dtype=torch.float64) * 0.3).to(dtype)
    geometry = Geometry(torch.cartesian_prod(line, line))
    assert connect.within_radius(geometry, 0.3, self_loops=False).num_edges == 4 * n * (n - 1)
    row = rows_of(connect.nearest(geometry, 3))[n * 100 + 100]
    # Four neighbours are as near: the lowest ids are taken.
    assert row == [n * 99 + 100, n * 100 + 99, n * 100 + 100]


# Every function: the graph of a x + b is the graph of x.

WIRINGS = {
    "nearest": lambda g, _: connect.nearest(g, 5),
    "nearest others": lambda g, _: connect.nearest(g, 4, self_loops=False),
    "within_radius": lambda g, scale: connect.within_radius(g, 1.5 * scale),
    "within_radius on the border": lambda g, scale: connect.within_radius(g, 1.0 * scale),
    "exponential": lambda g, scale: connect.distance_decay(g, 5, 1.5 * scale),
    "gaussian": lambda g, scale: connect.distance_decay(g, 5, 1.5 * scale, "gaussian"),
    "power": lambda g, scale: connect.distance_decay(g, 5, 1.5 * scale, "power"),
    "random": lambda g, _: connect.random(g, 5),
    "layered": lambda g, _: connect.layered(g, 3, 4, 2),
    "bipartite": lambda g, _: connect.bipartite(g, g, 4),
    "complete": lambda g, _: connect.complete(g),
}


def doubled(geometry: Geometry) -> Geometry:
    """A grid whose coordinates are not whole numbers, to full precision."""
    return replace(geometry, positions=geometry.positions.double() / 3 * 3.3)


def folded() -> Geometry:
    surface = cortex.fsaverage(2, "left")
    return replace(surface, positions=surface.positions.double() / 10)


FLAT = {
    "grid": lambda: doubled(grid.sheet(9, 7)),
    "stack": lambda: doubled(grid.stack([5, 6, 3])),
    "cloud": lambda: Geometry(cloud(60, 3, 1, 5.0)),
    "mesh": folded,
}
ROUND = {
    "fibonacci": lambda: sphere.fibonacci(90, 3.0),
    "icosphere": lambda: sphere.icosphere(2, 4.0),
    "ring": lambda: grid.ring(30),
    "torus": lambda: grid.sheet(6, 8, torus=True),
}


def moved(geometry: Geometry, scale: float, shift: float) -> Geometry:
    return replace(
        geometry,
        positions=geometry.positions * scale + shift,
        radius=None if geometry.radius is None else geometry.radius * scale,
        period=None if geometry.period is None else tuple(scale * p for p in geometry.period),
        areas=torch.arange(geometry.num_columns) * 3 // geometry.num_columns,
    )


def assert_same_graph(name: str, geometry: Geometry, scale: float, shift: float) -> None:
    if name == "bipartite" and geometry.metric == "geodesic":
        pytest.skip("a mesh has no sources but its own columns")
    plain, other = moved(geometry, 1.0, 0.0), moved(geometry, scale, shift)
    expected, got = WIRINGS[name](plain, 1.0), WIRINGS[name](other, scale)
    assert got.same_topology(expected)
    tolerance = max(1e-6, 1e-15 * abs(shift) / scale)
    np.testing.assert_allclose(got.distance / scale, expected.distance, tolerance, tolerance)


@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize("space", FLAT)
@pytest.mark.parametrize(("scale", "shift"), [(1, 4e6), (1e-9, -1e-3), (6.371e6, 1e9)])
def test_neither_place_nor_unit_changes_a_graph(wiring: str, space: str, scale, shift):
    assert_same_graph(wiring, FLAT[space](), scale, shift)


@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize("space", ROUND)
@pytest.mark.parametrize("scale", [2.0**23, 1e-9, 6.371e6])
def test_no_unit_changes_a_graph_on_a_sphere_or_a_torus(wiring: str, space: str, scale):
    geometry = ROUND[space]()
    if math.log2(scale) % 1:
        # Other factors round each coordinate anew: in float64 that is far below every tie.
        geometry = replace(geometry, positions=geometry.positions.double())
        if geometry.radius is not None:
            unit = torch.nn.functional.normalize(geometry.positions, dim=1)
            geometry = replace(geometry, positions=unit * geometry.radius)
    assert_same_graph(wiring, geometry, scale, 0.0)


@pytest.mark.parametrize("space", [*FLAT, *ROUND])
@pytest.mark.parametrize(("scale", "shift"), [(1, 4e6), (1e-9, 0), (6.371e6, 1e9)])
def test_neither_place_nor_unit_changes_the_order_along_the_curve(space: str, scale, shift):
    geometry = (FLAT | ROUND)[space]()
    geometry = replace(geometry, positions=geometry.positions.double())
    shift = shift if space in FLAT else 0.0
    expected, got = (moved(geometry, *by).reorder()[1] for by in ((1.0, 0.0), (scale, shift)))
    assert got.tolist() == expected.tolist()


@pytest.mark.parametrize(("scale", "shift"), [(1, 4e6), (1e-9, -1e-3), (6.371e6, 1e9)])
@pytest.mark.parametrize("kernel", ["exponential", "gaussian", "power"])
def test_neither_place_nor_unit_changes_the_draw_with_cells(scale, shift, kernel: str):
    sheet = doubled(grid.sheet(40, 31))

    def draw(geometry: Geometry, length: float) -> list[list[int]]:
        log_kernel = draws.log_kernel(kernel, length)
        return exponential_race(geometry, 5, log_kernel, draws.numpy_generator(3), False).tolist()

    expected = draw(sheet, 4.0)
    assert draw(moved(sheet, scale, shift), 4.0 * scale) == expected


def test_both_ends_of_a_bipartite_graph_may_be_far_away():
    sources, targets = cloud(80, 2, 3), cloud(30, 2, 5)
    origin = torch.tensor(UTM, dtype=torch.float64)
    near = connect.bipartite(Geometry(sources), Geometry(targets), 4)
    far = connect.bipartite(Geometry(sources + origin), Geometry(targets + origin), 4)
    assert far.same_topology(near)


# Spheres


def arcs_of(positions: Tensor, radius: float) -> np.ndarray:
    """Great circles by the haversine of the chord, in long doubles."""
    x = positions.numpy().astype(np.longdouble)
    x = x / np.sqrt((x**2).sum(1, keepdims=True))
    apart = np.sqrt(((x[:, None] - x) ** 2).sum(-1))
    across = np.sqrt(((x[:, None] + x) ** 2).sum(-1))
    return 2 * radius * np.arctan2(apart, across)


def on_earth(degrees: Tensor, radius: float = 6.371e6) -> Geometry:
    latitude, longitude = torch.deg2rad(degrees.double()).unbind(1)
    ring = torch.cos(latitude)
    unit = torch.stack([ring * longitude.cos(), ring * longitude.sin(), latitude.sin()], dim=1)
    return Geometry(unit * radius, metric="great-circle", unit="mm", radius=radius)


@pytest.mark.parametrize("spread", [1e-5, 1e-2, 10.0])
def test_a_town_on_a_sphere_of_the_size_of_the_earth(spread: float):
    geometry = on_earth(torch.tensor([52.52, 13.405]) + cloud(120, 2, 2, spread))
    arcs = arcs_of(geometry.positions, 6.371e6)
    graph = connect.nearest(geometry, 6, self_loops=False)
    np.fill_diagonal(arcs, np.inf)
    assert rows_of(graph) == np.sort(np.argsort(arcs, axis=1)[:, :6], axis=1).tolist()
    expected = arcs[graph.target, graph.source].astype(float)
    np.testing.assert_allclose(graph.distance, expected, rtol=1e-6, atol=1e-8)
    radius = float(np.sort(arcs, axis=None)[1000]) * (1 + 1e-7)
    within = connect.within_radius(geometry, radius, self_loops=False)
    assert within.edge_index.flip(0).t().tolist() == np.argwhere(arcs <= radius).tolist()


def test_within_nearly_half_the_way_round():
    geometry = on_earth(torch.cat([cloud(60, 2, 7, 90.0), -cloud(60, 2, 7, 90.0)]))
    positions = torch.cat([geometry.positions[:60], -geometry.positions[:60]])
    geometry = replace(geometry, positions=positions)
    arcs = arcs_of(positions, 6.371e6)
    for share in (0.9, 0.999, 0.99999, 1.0):
        radius = share * math.pi * 6.371e6
        graph = connect.within_radius(geometry, radius)
        expected = np.argwhere(arcs <= radius * (1 + 1e-9))
        assert graph.edge_index.flip(0).t().tolist() == expected.tolist()


def test_union_of_graphs_measured_in_two_places():
    positions = cloud(40)
    origin = torch.tensor(UTM, dtype=torch.float64)
    near, far = (connect.nearest(Geometry(x), 5) for x in (positions, positions + origin))
    assert connect.union(near, far).same_topology(near)
