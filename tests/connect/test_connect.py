"""Small graphs worked by hand, other libraries, the distributions of random wiring, size."""

import tracemalloc

import networkx
import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.neighbors import NearestNeighbors

from geometries import grid, sphere
from graphcolumns import connect
from graphcolumns.connect import draws, neighbours
from graphcolumns.connect.race import _cut, _first_rings, exponential_race
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph

KERNELS = {
    "exponential": lambda d: np.exp(-d),
    "gaussian": lambda d: np.exp(-(d**2) / 2),
    "power": lambda d: (1 + d) ** -2,
}


def scattered(n: int = 60) -> Geometry:
    return Geometry(torch.rand(n, 3, generator=torch.Generator().manual_seed(1)) * 5)


SPACES = [
    scattered,
    lambda: grid.sheet(7, 9),
    lambda: grid.sheet(7, 9, spacing=0.3, torus=True),
    lambda: grid.stack([4, 6]),
    lambda: sphere.fibonacci(60, 3.0),
]

WIRINGS = {
    "nearest": lambda geometry, degree, own: connect.nearest(geometry, degree, own),
    "distance_decay": lambda geometry, degree, own: connect.distance_decay(
        geometry, degree, 1.5, self_loops=own
    ),
    "random": lambda geometry, degree, own: connect.random(geometry, degree, self_loops=own),
}


def sources_of(graph: ColumnGraph, target: int) -> list[int]:
    return graph.source[graph.rowptr[target] : graph.rowptr[target + 1]].tolist()


def pairs(graph: ColumnGraph) -> set[tuple[int, int]]:
    """(source, target) of every edge."""
    return set(map(tuple, graph.edge_index.t().tolist()))


def all_lengths(geometry: Geometry) -> np.ndarray:
    ids = torch.arange(geometry.num_columns)
    return geometry.distance(ids[:, None].expand(-1, len(ids)), ids.expand(len(ids), -1)).numpy()


# Answers worked by hand


def test_nearest_on_a_line():
    line = Geometry(torch.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [7.0, 0.0]]))
    graph = connect.nearest(line, 2)
    assert [sources_of(graph, i) for i in range(4)] == [[0, 1], [0, 1], [1, 2], [2, 3]]
    assert graph.distance.tolist() == [0, 1, 1, 0, 2, 0, 4, 0]
    graph = connect.nearest(line, 2, self_loops=False)
    assert [sources_of(graph, i) for i in range(4)] == [[1, 2], [0, 2], [0, 1], [1, 2]]
    assert graph.distance.tolist() == [1, 3, 1, 2, 3, 2, 6, 4]


def test_nearest_breaks_ties_by_id():
    # The middle of a 3 x 3 sheet has four neighbours at distance 1: 1, 3, 5, 7.
    graph = connect.nearest(grid.sheet(3, 3), 3)
    assert sources_of(graph, 4) == [1, 3, 4]
    assert sources_of(connect.nearest(grid.sheet(3, 3), 2, self_loops=False), 4) == [1, 3]


def test_nearest_breaks_a_tie_of_many_by_id():
    angle = torch.randperm(64) * (2 * torch.pi / 64)
    circle = torch.stack([angle.cos(), angle.sin()], dim=1)
    geometry = Geometry(torch.cat([circle, torch.zeros(1, 2)]))
    assert sources_of(connect.nearest(geometry, 4, self_loops=False), 64) == [0, 1, 2, 3]


def test_nearest_among_coincident_columns():
    crowd = Geometry(torch.zeros(200, 2))
    graph = connect.nearest(crowd, 3)
    assert [sources_of(graph, i) for i in (0, 1, 2)] == [[0, 1, 2]] * 3
    assert [sources_of(graph, i) for i in range(3, 200)] == [[0, 1, i] for i in range(3, 200)]
    graph = connect.nearest(crowd, 3, self_loops=False)
    assert [sources_of(graph, i) for i in (0, 1, 2)] == [[1, 2, 3], [0, 2, 3], [0, 1, 3]]
    assert [sources_of(graph, i) for i in range(3, 200)] == [[0, 1, 2]] * 197


def test_within_radius_on_a_sheet_counts_its_border():
    sheet = grid.sheet(3, 3)
    graph = connect.within_radius(sheet, 1.0)
    assert sources_of(graph, 0) == [0, 1, 3]
    assert sources_of(graph, 4) == [1, 3, 4, 5, 7]
    assert graph.in_degree.tolist() == [3, 4, 3, 4, 5, 4, 3, 4, 3]
    graph = connect.within_radius(sheet, 1.0, self_loops=False)
    assert graph.in_degree.tolist() == [2, 3, 2, 3, 4, 3, 2, 3, 2]
    assert connect.within_radius(sheet, 0.5, self_loops=False).num_edges == 0


def test_within_radius_takes_lengths_that_rounding_makes_longer():
    # In float32 some of these neighbours are a little more than 12 / 11 apart.
    stacked = grid.stack([12])
    assert (connect.within_radius(stacked, 12 / 11).in_degree.view(12, 12)[1:-1, 1:-1] == 5).all()


def test_within_radius_of_a_quarter_turn():
    axes = torch.cat([torch.eye(3), -torch.eye(3)]) * 2
    octahedron = Geometry(axes, "great-circle", "mm", radius=2.0)
    quarter = connect.within_radius(octahedron, 3.1416, self_loops=False)
    assert sources_of(quarter, 0) == [1, 2, 4, 5]
    assert connect.within_radius(octahedron, 6.2832).num_edges == 36
    assert connect.within_radius(octahedron, 1e6).num_edges == 36


def test_within_radius_of_a_torus_longer_than_half_its_period():
    ring = Geometry(torch.arange(4.0)[:, None] * torch.tensor([1.0, 0.0]), "torus", period=(4, 1))
    assert connect.within_radius(ring, 1.0, self_loops=False).num_edges == 8
    assert connect.within_radius(ring, 2.0, self_loops=False).num_edges == 12
    assert connect.within_radius(ring, 99.0, self_loops=False).num_edges == 12


def test_complete():
    graph = connect.complete(scattered(3))
    assert graph.source.tolist() == [0, 1, 2] * 3
    assert graph.density == 1
    graph = connect.complete(scattered(3), self_loops=False)
    assert graph.edge_index.tolist() == [[1, 2, 0, 2, 0, 1], [0, 0, 1, 1, 2, 2]]
    np.testing.assert_allclose(graph.distance, all_lengths(scattered(3))[~np.eye(3, dtype=bool)])


def test_layered_on_two_sheets_of_two_by_two():
    # Columns 0-3 below, 4-7 above, each over its like.
    graph = connect.layered(grid.stack([2, 2]), feedforward=1, lateral=1, feedback=2)
    assert [sources_of(graph, i) for i in range(4)] == [[0, 4, 5], [1, 4, 5], [2, 4, 6], [3, 5, 7]]
    assert [sources_of(graph, i) for i in range(4, 8)] == [[0, 4], [1, 5], [2, 6], [3, 7]]


def test_layered_takes_the_nearest_within_each_area():
    geometry = grid.stack([3, 5, 2])
    graph = connect.layered(geometry, feedforward=4, lateral=3, feedback=2)
    area, (source, target) = geometry.areas, graph.edge_index
    step = area[source] - area[target]
    assert step.abs().max() == 1
    for value, degree, areas in ((-1, 4, (1, 2)), (0, 3, (0, 1, 2)), (1, 2, (0, 1))):
        per_column = torch.bincount(target[step == value], minlength=38)
        expected = degree * torch.isin(area, torch.tensor(areas)).long()
        assert torch.equal(per_column, expected)
    assert all(i in sources_of(graph, i) for i in range(38))
    # Within the sheets: no column left out is nearer than one taken.
    flat = geometry.positions[:, 1:]
    for i in range(9, 34):
        below = torch.linalg.vector_norm(flat[:9] - flat[i], dim=1)
        taken = [j for j in sources_of(graph, i) if j < 9]
        assert below[taken].max() <= below.sort().values[3] + 1e-6


def test_between_areas_by_hand():
    graph = connect.between_areas(grid.rows([2, 1, 2], offset=1.0))
    assert [sources_of(graph, i) for i in range(5)] == [[], [], [0, 1], [2], [2]]
    assert graph.distance.tolist() == pytest.approx([(1 + 1 / 16) ** 0.5] * 4)
    assert connect.between_areas(grid.rows([3])).num_edges == 0
    with pytest.raises(ValueError, match=r"Got areas=None; set areas."):
        connect.between_areas(grid.sheet(2, 2))


def test_layered_without_the_column_itself():
    graph = connect.layered(grid.stack([3]), 0, 2, 0, self_loops=False)
    assert sources_of(graph, 4) == [1, 3]
    assert connect.layered(grid.stack([3]), 1, 0, 1).num_edges == 0


def test_bipartite():
    sources = Geometry(torch.tensor([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0], [12.0, 0.0]]))
    targets = Geometry(torch.tensor([[1.0, 0.0], [19.0, 0.0]]))
    graph = connect.bipartite(sources, targets, 2)
    assert (graph.num_columns, graph.num_sources) == (2, 4)
    assert [sources_of(graph, i) for i in range(2)] == [[0, 1], [2, 3]]
    assert graph.distance.tolist() == [1, 9, 1, 7]
    assert connect.bipartite(sources, targets, 4).density == 1


def test_union():
    geometry = grid.sheet(1, 4)
    near, all_, none = (
        connect.nearest(geometry, 2),
        connect.complete(geometry),
        ColumnGraph.from_edge_index(torch.empty(2, 0).long(), 4, distance=torch.empty(0)),
    )
    apart = ColumnGraph.from_edge_index(torch.tensor([[3], [0]]), 4, distance=torch.tensor([3.0]))
    both = connect.union(near, apart, near)
    assert pairs(both) == pairs(near) | {(3, 0)}
    assert both.distance.tolist() == [0, 1, 3, 1, 0, 1, 0, 1, 0]
    assert connect.union(all_, near).same_topology(all_)
    assert connect.union(none, near).same_topology(near)
    assert connect.union(near).same_topology(near)
    topology = ColumnGraph.from_edge_index(near.edge_index, 4)
    assert connect.union(topology, topology).distance is None


def test_a_column_alone_listens_to_itself():
    alone = Geometry(torch.tensor([[3.0, 4.0]]))
    for graph in (
        *(wire(alone, 1, True) for wire in WIRINGS.values()),
        connect.within_radius(alone, 1.0),
        connect.complete(alone),
        connect.bipartite(alone, alone, 1),
    ):
        assert pairs(graph) == {(0, 0)}
        assert graph.distance.tolist() == [0]
    assert connect.complete(alone, self_loops=False).num_edges == 0
    assert connect.within_radius(alone, 1.0, self_loops=False).num_edges == 0


# Properties


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize(("degree", "own"), [(1, True), (5, True), (5, False), (36, True)])
def test_degree_is_constant_and_lengths_are_measured(space, wiring: str, degree: int, own: bool):
    geometry = space()
    graph = WIRINGS[wiring](geometry, degree, own)
    assert (graph.in_degree == degree).all()
    source, target = graph.edge_index
    assert int((source == target).sum()) == (geometry.num_columns if own else 0)
    assert graph.distance.dtype == torch.float32
    expected = all_lengths(geometry)[target, source]
    np.testing.assert_allclose(graph.distance, expected, rtol=1e-6)


@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize("own", [True, False])
def test_the_largest_degree_is_everybody(wiring: str, own: bool):
    geometry = scattered(20)
    graph = WIRINGS[wiring](geometry, 20 if own else 19, own)
    assert graph.same_topology(connect.complete(geometry, own))


@pytest.mark.parametrize(
    "wire", [connect.random, lambda g, d, seed: connect.distance_decay(g, d, 1.0, seed=seed)]
)
def test_the_seed_decides_the_draw(wire):
    geometry = scattered()
    first, again, other = (
        wire(geometry, 5, seed=1),
        wire(geometry, 5, seed=1),
        wire(geometry, 5, seed=2),
    )
    assert first.same_topology(again)
    assert not first.same_topology(other)
    state = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    wire(geometry, 5, seed=1)
    assert torch.equal(torch.get_rng_state(), state[0])
    assert np.random.get_state()[1].tolist() == state[1]  # noqa: NPY002


def test_positions_that_require_a_gradient_give_plain_lengths():
    geometry = Geometry(torch.rand(9, 2, requires_grad=True), learnable=True)
    graph = connect.nearest(geometry, 3)
    assert not graph.distance.requires_grad
    assert graph.remeasure(geometry).distance.requires_grad


def test_double_positions_give_float32_lengths():
    geometry = Geometry(torch.rand(9, 2, dtype=torch.float64))
    assert connect.nearest(geometry, 3).distance.dtype == torch.float32


@pytest.mark.parametrize("space", SPACES)
def test_length_equals_distance(space):
    geometry = space()
    points = neighbours.metric_points(geometry)
    lengths = neighbours.pair_length(geometry, points[:, None], points)
    np.testing.assert_allclose(lengths, all_lengths(geometry), rtol=1e-5, atol=1e-6)


@pytest.mark.gpu
def test_a_geometry_on_a_gpu_gives_a_graph_there():
    for space in SPACES:
        geometry = space()
        for wire in WIRINGS.values():
            graph = wire(geometry.to("cuda"), 5, True)
            assert graph.distance.is_cuda
            assert graph.same_topology(wire(geometry, 5, True))


# Other libraries


@pytest.mark.parametrize("own", [True, False])
def test_nearest_equals_scikit_learn(own: bool):
    geometry = scattered()
    matrix = NearestNeighbors(n_neighbors=6).fit(geometry.positions)
    expected = matrix.kneighbors_graph(geometry.positions if own else None).toarray()
    np.testing.assert_array_equal(
        connect.nearest(geometry, 6, own).to_scipy().toarray() > 0,
        (expected - np.eye(60) * own) > 0,
    )


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("degree", [1, 2, 4, 9, 30])
def test_nearest_equals_sorting_all_pairs(space, degree: int):
    geometry = space()
    lengths = all_lengths(geometry)
    np.fill_diagonal(lengths, -1)
    # Lengths that differ by rounding are ties; no two of these geometries differ by less otherwise.
    rounded = np.round(lengths, 4)
    graph = connect.nearest(geometry, degree)
    for i, row in enumerate(rounded):
        expected = np.lexsort((np.arange(len(row)), row))[:degree]
        assert sources_of(graph, i) == sorted(expected.tolist())


@pytest.mark.parametrize("own", [True, False])
def test_within_radius_equals_scikit_learn(own: bool):
    geometry = scattered()
    matrix = NearestNeighbors(radius=1.7).fit(geometry.positions)
    expected = matrix.radius_neighbors_graph(geometry.positions if own else None)
    got = connect.within_radius(geometry, 1.7, own)
    assert got.same_topology(ColumnGraph.from_scipy(expected.astype(bool)))


@pytest.mark.parametrize("space", SPACES)
def test_within_radius_equals_comparing_all_pairs(space):
    geometry = space()
    lengths = all_lengths(geometry)
    for radius in (0.31, 1.0, 2.3, 50.0):
        graph = connect.within_radius(geometry, radius)
        expected = np.argwhere(lengths <= radius * (1 + 1e-6))
        assert graph.edge_index.flip(0).t().tolist() == expected.tolist()


def test_nearest_on_a_torus_is_the_lattice_of_networkx():
    lattice = networkx.grid_2d_graph(5, 6, periodic=True)
    names = [(y, x) for y in range(5) for x in range(6)]
    graph = connect.nearest(grid.sheet(5, 6, torus=True), 4, self_loops=False)
    assert networkx.utils.edges_equal(
        graph.to_networkx(names).edges, lattice.to_directed().edges, directed=True
    )


# The distributions of random wiring


def offsets(ids: np.ndarray, n: int) -> np.ndarray:
    """Counts of `(source - target) mod n`: on a ring all columns are alike."""
    return np.bincount((ids - np.arange(n)[:, None]).ravel() % n, minlength=n)


def ring(n: int) -> Geometry:
    positions = torch.arange(n)[:, None] * torch.tensor([1.0, 0.0])
    return Geometry(positions, "torus", period=(n, 1))


def ring_lengths(n: int) -> np.ndarray:
    """Distance of each offset on a ring."""
    return np.minimum(np.arange(n), n - np.arange(n))


@pytest.mark.slow
@pytest.mark.parametrize("all_pairs", [True, False])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("length", [0.7, 12.0, 1e4])
def test_one_draw_is_proportional_to_the_kernel(kernel: str, length: float, all_pairs: bool):
    # 150 columns on a ring: 64 near ones are read one by one, 85 through cells.
    n, geometry, generator = 150, ring(150), draws.numpy_generator(0)
    log_kernel = draws.log_kernel(kernel, length)
    counts = sum(
        offsets(exponential_race(geometry, 1, log_kernel, generator, all_pairs), n)
        for _ in range(80)
    )
    assert counts[0] == 0
    expected = KERNELS[kernel](ring_lengths(n)[1:] / length)
    expected *= counts.sum() / expected.sum()
    # Rare offsets together, as the test needs some five of each.
    often = expected >= 5
    observed = np.append(counts[1:][often], counts[1:][~often].sum())
    wanted = np.append(expected[often], expected[~often].sum())
    kept = wanted > 0.5
    assert observed[~kept].sum() <= 5
    wanted = wanted[kept] * (observed[kept].sum() / wanted[kept].sum())
    assert scipy.stats.chisquare(observed[kept], wanted).pvalue > 1e-3


@pytest.fixture(scope="module")
def successive_counts() -> dict[tuple[str, float], np.ndarray]:
    """Offsets of 20 draws on a ring of 150, 9000 times, by numpy: an independent oracle."""
    counts = {}
    for kernel, length in (("exponential", 20.0), ("power", 3.0)):
        weight = KERNELS[kernel](ring_lengths(150) / length)
        weight[0] = 0
        oracle, p = np.random.default_rng(2), weight / weight.sum()
        drawn = [oracle.choice(150, 20, replace=False, p=p) for _ in range(9000)]
        counts[kernel, length] = np.bincount(np.concatenate(drawn), minlength=150)
    return counts


# All pairs; cells in windows of the usual size, in many short ones, in one long one.
@pytest.mark.slow
@pytest.mark.parametrize("window", [None, 1.5, 0.05, 40.0])
@pytest.mark.parametrize(("kernel", "length"), [("exponential", 20.0), ("power", 3.0)])
def test_many_draws_equal_successive_sampling(
    kernel: str, length: float, window: float | None, successive_counts, monkeypatch
):
    if window:
        monkeypatch.setattr("graphcolumns.connect.race.FIRST_WINDOW", window)
    geometry, generator, counts = ring(150), draws.numpy_generator(1), np.zeros(150)
    for _ in range(60):
        log_kernel = draws.log_kernel(kernel, length)
        ids = exponential_race(geometry, 20, log_kernel, generator, all_pairs=window is None)
        assert (np.diff(np.sort(ids, axis=1), axis=1) > 0).all()
        counts += offsets(ids, 150)
    wanted = successive_counts[kernel, length]
    assert scipy.stats.chi2_contingency(np.stack([counts, wanted])[:, 1:]).pvalue > 1e-3
    assert (np.abs(counts - wanted) <= 5 * np.sqrt(counts + wanted)).all()


def test_both_ways_agree_where_columns_differ():
    # Two clusters far apart and one column between: degrees of freedom that a ring has not.
    generator = torch.Generator().manual_seed(3)
    left, right = torch.rand(80, 2, generator=generator), torch.rand(40, 2, generator=generator)
    geometry = Geometry(torch.cat([left, right * 0.3 + 4, torch.tensor([[2.0, 2.0]])]))
    log_kernel = draws.log_kernel("exponential", 2.0)
    counts = np.zeros((2, 121, 121))
    for way, all_pairs in enumerate((True, False)):
        random = draws.numpy_generator(4)
        for _ in range(150):
            ids = exponential_race(geometry, 10, log_kernel, random, all_pairs)
            np.add.at(counts[way], (np.arange(121)[:, None], ids), 1)
    for by in (counts.sum(1), counts[:, 120], counts[:, 0]):
        assert scipy.stats.chi2_contingency(by[:, by.sum(0) > 0]).pvalue > 1e-3


def test_a_peaked_kernel_takes_the_nearest():
    # The kernel underflows for every neighbour; its logarithm keeps the order.
    geometry = scattered(300)
    log_kernel = draws.log_kernel("exponential", 1e-7)
    nearest = connect.nearest(geometry, 9)
    assert connect.distance_decay(geometry, 9, 1e-7).same_topology(nearest)
    for all_pairs in (True, False):
        ids = exponential_race(geometry, 8, log_kernel, draws.numpy_generator(0), all_pairs)
        expected = [[j for j in sources_of(nearest, i) if j != i] for i in range(300)]
        assert np.sort(ids, axis=1).tolist() == expected


def test_of_several_rings_of_one_clock_the_first_counts():
    rings = _first_rings(np.array([5, 3, 5, 5]), np.array([0.9, 0.1, 0.2, 0.7]))
    assert rings.key.tolist() == [3, 5]
    assert rings.time.tolist() == [0.1, 0.2]
    rings = _first_rings(np.array([5, 5]), np.array([0.2, 0.9]))
    assert rings.time.tolist() == [0.2]


def test_coincident_columns_never_draw_themselves():
    # More columns at distance 0 than are read one by one.
    crowd, log_kernel = Geometry(torch.zeros(200, 2)), draws.log_kernel("gaussian", 1.0)
    ids = exponential_race(crowd, 5, log_kernel, draws.numpy_generator(0), all_pairs=False)
    assert (ids != np.arange(200)[:, None]).all()
    assert scipy.stats.chisquare(offsets(ids, 200)[1:]).pvalue > 1e-3


def test_cells_hold_every_column_near_their_centre():
    for space in SPACES:
        geometry = space()
        cells, lengths = _cut(geometry), all_lengths(geometry)
        assert sorted(cells.members.tolist()) == list(range(geometry.num_columns))
        for centre, start, size, radius in zip(
            cells.centre, cells.start, cells.size, cells.radius, strict=True
        ):
            members = cells.members[start : start + size]
            assert centre in members
            assert lengths[centre, members].max() == pytest.approx(radius, rel=1e-5, abs=1e-6)


def test_random_draws_every_source_alike():
    counts = sum(
        torch.bincount(connect.random(scattered(20), 6, seed=seed).source, minlength=20)
        for seed in range(100)
    )
    others = counts - 100
    assert int(others.sum()) == 100 * 20 * 5
    assert scipy.stats.chisquare(others).pvalue > 1e-3


@pytest.mark.parametrize("count", [2, 3])
def test_distinct_prefers_no_set(count: int):
    # 10 sets of 2, and 10 of 3, out of 5: the second is drawn by what it leaves out.
    ids = draws.distinct(20_000, count, 5, draws.numpy_generator(0))
    _, counts = np.unique(ids, axis=0, return_counts=True)
    assert len(counts) == 10
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


# Size


@pytest.mark.slow
def test_100_000_columns_connect_without_a_matrix_of_all_pairs():
    geometry = grid.sheet(250, 400, torus=True)
    tracemalloc.start()
    graph = connect.distance_decay(geometry, 32, 2.0, "gaussian")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (graph.in_degree == 32).all()
    # An N x N matrix of bytes would be 10 GB.
    assert peak < 500e6
    # On a plane the mean length is 2 sqrt(pi / 2) = 2.5; drawing without replacement adds to it.
    assert 2.5 < graph.distance.sum() / (31 * 100_000) < 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "wire",
    [
        lambda geometry: connect.nearest(geometry, 32),
        lambda geometry: connect.random(geometry, 32),
        lambda geometry: connect.within_radius(geometry, 3.2),
        lambda geometry: connect.bipartite(geometry, geometry, 32),
    ],
)
def test_50_000_columns_never_make_a_square_matrix(wire):
    geometry = grid.sheet(200, 250)
    tracemalloc.start()
    graph = wire(geometry)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert graph.num_edges > 1_500_000
    assert peak < 250e6


# Wrong input

LINE = Geometry(torch.arange(4.0)[:, None] * torch.tensor([1.0, 0.0]))
TWO_AREAS = grid.stack([2, 2])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: connect.nearest(LINE, 5), ValueError, r"in \[1, 4\], since there are 4 columns"),
        (lambda: connect.nearest(LINE, 4, False), ValueError, r"\[1, 3\], .* 3 other columns to"),
        (lambda: connect.nearest(LINE, 0), ValueError, "degree must be in .* Got 0"),
        (lambda: connect.nearest(LINE, 1.5), TypeError, r"degree must be a whole number. Got 1.5"),
        (lambda: connect.random(LINE, 5), ValueError, r"degree must be in \[1, 4\]"),
        (
            lambda: connect.random(LINE, 2, seed=-1),
            ValueError,
            "seed must be a whole number, 0 or above",
        ),
        (
            lambda: connect.within_radius(LINE, 0.0),
            ValueError,
            r"radius must be .*\(pixel\). Got 0",
        ),
        (lambda: connect.within_radius(LINE, -1.0), ValueError, "radius must be positive"),
        (lambda: connect.within_radius(LINE, float("nan")), ValueError, "radius must be positive"),
        (lambda: connect.distance_decay(LINE, 9, 1.0), ValueError, r"degree must be in \[1, 4\]"),
        (lambda: connect.distance_decay(LINE, 2, 0.0), ValueError, "length must be positive"),
        (
            lambda: connect.distance_decay(LINE, 2, 1.0, "linear"),
            ValueError,
            "kernel must be one of 'exponential', 'gaussian', 'power'. Got 'linear'",
        ),
        (lambda: connect.layered(LINE, 1, 1, 1), ValueError, "Got areas=None; set areas"),
        (
            lambda: connect.layered(TWO_AREAS, 5, 1, 1),
            ValueError,
            r"\[1, 4\], .* columns in area 0",
        ),
        (
            lambda: connect.layered(TWO_AREAS, 0, 0, 0),
            ValueError,
            "one of them positive. Got 0, 0, 0",
        ),
        (lambda: connect.layered(TWO_AREAS, 1, -1, 0), ValueError, "Got 1, -1, 0"),
        (
            lambda: connect.layered(
                Geometry(torch.rand(2, 2), areas=torch.tensor([0, 2])), 1, 1, 1
            ),
            ValueError,
            r"without gaps. None in \[1\]",
        ),
        (lambda: connect.bipartite(LINE, TWO_AREAS, 5), ValueError, r"\[1, 4\], .* 4 sources"),
        (lambda: connect.bipartite(LINE, TWO_AREAS, 2), ValueError, r"as many axes. Got \(3, 2\)"),
        (lambda: connect.union(), ValueError, "at least one graph. Got none"),
        (
            lambda: connect.union(connect.complete(LINE), connect.complete(TWO_AREAS)),
            ValueError,
            "same columns and sources. Got ColumnGraph.* and ColumnGraph",
        ),
        (
            lambda: connect.union(
                connect.complete(LINE), connect.complete(Geometry(LINE.positions * 2))
            ),
            ValueError,
            r"\(source 1, target 0\) is 1.0 in one and 2.0 in another; call remeasure",
        ),
        (
            lambda: connect.union(
                connect.complete(LINE), ColumnGraph.from_edge_index(torch.tensor([[0], [0]]), 4)
            ),
            ValueError,
            "all graphs or none must have distances",
        ),
    ],
)
def test_wrong_input(call, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        call()
