"""Wiring along meshes: by hand, in parts that no path joins, and every way to be wrong."""

import tracemalloc

import numpy as np
import pytest
import scipy.stats
import torch

from geometries import cortex, sphere
from graphcolumns import connect
from graphcolumns.connect import mesh_race, paths
from graphcolumns.geometry import Geometry, geodesic_distance
from graphcolumns.graph import ColumnGraph

# Two lines that face each other, 1 apart, each in steps of 10. No path leads from one to the other.
#   0 - 1 - 2 - 3
#   4 - 5 - 6 - 7
STRIP = torch.tensor([[0.0, 0, 0], [10, 0, 0], [20, 0, 0], [30, 0, 0]])
# Triangles with two corners in one column are lines: an edge between each pair of neighbours.
LINE = torch.tensor([[0, 1, 1], [1, 2, 2], [2, 3, 3]])
STRIPS = Geometry(
    torch.cat([STRIP, STRIP + torch.tensor([0.0, 0.0, 1.0])]),
    metric="geodesic",
    faces=torch.cat([LINE, LINE + 4]),
    areas=torch.tensor([0, 0, 1, 1, 0, 0, 1, 1]),
)


KERNELS = {"gaussian": lambda d: np.exp(-(d**2) / 2), "power": lambda d: (1 + d) ** -2}


def sources_of(graph: ColumnGraph, target: int) -> list[int]:
    return graph.source[graph.rowptr[target] : graph.rowptr[target + 1]].tolist()


# Answers worked by hand


def test_nearest_never_crosses_to_another_part():
    graph = connect.nearest(STRIPS, 2)
    assert [sources_of(graph, i) for i in range(8)] == [
        *([0, 1], [0, 1], [1, 2], [2, 3]),
        *([4, 5], [4, 5], [5, 6], [6, 7]),
    ]
    assert graph.distance.tolist() == [0, 10, 10, 0, 10, 0, 10, 0] * 2
    euclidean = Geometry(STRIPS.positions)
    assert sources_of(connect.nearest(euclidean, 2), 0) == [0, 4]


def test_nearest_takes_all_that_can_be_reached():
    graph = connect.nearest(STRIPS, 4)
    assert [sources_of(graph, i) for i in (0, 7)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    graph = connect.nearest(STRIPS, 3, self_loops=False)
    assert [sources_of(graph, i) for i in (1, 6)] == [[0, 2, 3], [4, 5, 7]]


def test_within_radius():
    graph = connect.within_radius(STRIPS, 10.0, self_loops=False)
    assert [sources_of(graph, i) for i in range(4)] == [[1], [0, 2], [1, 3], [2]]
    assert connect.within_radius(STRIPS, 1e6).num_edges == 2 * 16


def test_layered():
    graph = connect.layered(STRIPS, feedforward=1, lateral=2, feedback=1)
    assert [sources_of(graph, i) for i in range(4)] == [[0, 1, 2], [0, 1, 2], [1, 2, 3], [1, 2, 3]]
    assert [sources_of(graph, i) for i in (4, 7)] == [[4, 5, 6], [5, 6, 7]]


def test_one_part_can_be_complete_and_random():
    part = Geometry(STRIP, "geodesic", faces=LINE)
    complete = connect.complete(part)
    assert complete.distance.view(4, 4)[0].tolist() == [0, 10, 20, 30]
    assert connect.random(part, 4).same_topology(complete)
    assert connect.distance_decay(part, 4, 5.0).same_topology(complete)


def test_searches_go_further_until_they_have_enough(monkeypatch):
    geometry = cortex.fsaverage(2, "left", medial_wall=True)
    expected = connect.nearest(geometry, 9)
    # From a first search that finds next to nothing, and in blocks of one row.
    monkeypatch.setattr(paths, "mean_edge", lambda geometry: 1e-3)
    monkeypatch.setattr("graphcolumns.connect.rank.BLOCK", 1)
    assert connect.nearest(geometry, 9).same_topology(expected)


def test_a_tie_of_many_takes_the_lowest_ids():
    # A wheel: 40 columns at the same distance of the hub 40, more than the first search expects.
    angle = torch.randperm(40) * (2 * torch.pi / 40)
    rim = torch.stack([angle.cos(), angle.sin()], dim=1)
    spokes = torch.stack([torch.arange(40), torch.full((40,), 40), torch.full((40,), 40)], dim=1)
    wheel = Geometry(torch.cat([rim, torch.zeros(1, 2)]), "geodesic", faces=spokes)
    assert sources_of(connect.nearest(wheel, 4, self_loops=False), 40) == [0, 1, 2, 3]


# The distribution of random wiring


@pytest.fixture(scope="module")
def ball() -> tuple[Geometry, np.ndarray]:
    """A small mesh, and the distances of all its pairs."""
    mesh = sphere.icosphere(1)
    mesh = Geometry(mesh.positions, "geodesic", faces=mesh.faces)
    lengths = geodesic_distance(mesh, torch.arange(42)).double().numpy()
    return mesh, lengths


@pytest.fixture(scope="module", params=["gaussian", "power"])
def successive(request, ball) -> tuple[str, np.ndarray]:
    """How often numpy draws each column, five without replacement: an independent oracle."""
    oracle, weight = np.random.default_rng(0), KERNELS[request.param](ball[1] / 0.8)
    np.fill_diagonal(weight, 0)
    wanted = np.zeros((42, 42))
    for i, row in enumerate(weight):
        for _ in range(200):
            wanted[i, oracle.choice(42, 5, replace=False, p=row / row.sum())] += 1
    return request.param, wanted


# All columns read one by one; some from beyond the search in every race; nearly all from there.
@pytest.mark.slow
@pytest.mark.parametrize(("per_draw", "far_rings"), [(99, 0.05), (2, 2.0), (1, 1e3)])
def test_distance_decay_equals_successive_sampling(
    ball, successive, per_draw: int, far_rings: float, monkeypatch
):
    monkeypatch.setattr(mesh_race, "NEAR_PER_DRAW", per_draw)
    monkeypatch.setattr(mesh_race, "FAR_RINGS", far_rings)
    (mesh, lengths), (kernel, wanted), counts = ball, successive, np.zeros((42, 42))
    for seed in range(120):
        graph = connect.distance_decay(mesh, 5, 0.8, kernel, seed=seed, self_loops=False)
        np.add.at(counts, (graph.target.numpy(), graph.source.numpy()), 1)
    assert (counts.sum(1) == 5 * 120).all()
    # Pairs at the same distance are alike; the longest are rare, and so counted together.
    _, group = np.unique(np.minimum(lengths, 2.6).round(2), return_inverse=True)
    table = np.stack([np.bincount(group.ravel(), it.ravel()) for it in (counts, wanted)])
    assert (table[:, 0] == 0).all()  # a column and itself
    assert (table[:, 1:].sum(0) > 20).all()
    assert scipy.stats.chi2_contingency(table[:, 1:]).pvalue > 1e-3


def test_of_several_rings_of_one_clock_the_first_counts():
    ids, times = np.array([7, 3]), np.array([-2.0, -1.0])
    none = np.array([], dtype=np.int64)
    assert mesh_race._first(ids, times, none, np.array([])).tolist() == [7, 3]
    later = mesh_race._first(ids, times, np.array([9, 9]), np.array([-1.5, -3.0]))
    assert later.tolist() == [9, 7]


def test_a_peaked_kernel_takes_the_nearest():
    # The kernel underflows for every neighbour; its logarithm keeps the order.
    mesh = cortex.fsaverage(3, "left")
    nearest = connect.nearest(mesh, 9)
    assert connect.distance_decay(mesh, 9, 1e-7).same_topology(nearest)


# Size


def test_many_columns_never_make_a_square_matrix():
    geometry = cortex.fsaverage(4, medial_wall=True)
    tracemalloc.start()
    graph = connect.nearest(geometry, 32)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (graph.in_degree == 32).all()
    hemisphere = geometry.attributes["hemisphere"]
    assert torch.equal(hemisphere[graph.source], hemisphere[graph.target])
    # 5124 squared doubles would be 210 MB.
    assert peak < 80e6


@pytest.mark.slow
@pytest.mark.parametrize(
    "wire", [connect.nearest, lambda *it: connect.distance_decay(*it, 10.0, "gaussian")]
)
def test_20_484_columns_of_both_hemispheres_connect(wire):
    geometry = cortex.fsaverage(5, medial_wall=True)
    graph = wire(geometry, 32)
    assert (graph.in_degree == 32).all()


# Wrong input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: connect.nearest(STRIPS, 5), "4 others. Column 0 reaches 3 .8 columns reach too"),
        (lambda: connect.nearest(STRIPS, 4, False), "4 others. Column 0 reaches 3"),
        (lambda: connect.nearest(STRIPS, 9), r"degree must be in \[1, 8\]"),
        (lambda: connect.distance_decay(STRIPS, 5, 1.0), "4 others. Column 0 reaches 3"),
        (lambda: connect.random(STRIPS, 8), "no path on the mesh from column .*metric='euclid"),
        (lambda: connect.complete(STRIPS), "from column 0 to column 4 .32 of 64 edges"),
        (lambda: connect.layered(STRIPS, 3, 0, 0), "3 others. Column 2 reaches 2"),
        (lambda: connect.bipartite(STRIPS, STRIPS, 2), "bipartite joins two sets of columns"),
        (
            lambda: connect.bipartite(STRIPS, Geometry(STRIP, "geodesic", faces=LINE), 2),
            "targets and sources are on two",
        ),
    ],
)
def test_wrong_input(call, message: str):
    with pytest.raises(ValueError, match=message):
        call()
