"""Meshes of several pieces: an edge between them would have no length, so none is ever born."""

import pytest
import torch

from geometries import cortex, grid, sphere
from graphcolumns import connect
from graphcolumns.geometry import Geometry
from graphcolumns.geometry.geodesic import connected_parts
from graphcolumns.plasticity import criteria, draw_candidates, select
from graphcolumns.plasticity.candidates.mesh_parts import joined_share, mesh_parts
from graphcolumns.plasticity.candidates.proposals import (
    Distance,
    Everything,
    Mixture,
    Norms,
    TwoHop,
    Uniform,
)
from tests.plasticity.support.stand_in import candidates


def pieces() -> Geometry:
    """Two icospheres, a triangle, and two vertices that no face uses."""
    ball = sphere.icosphere(1)
    n = ball.num_columns
    triangle = torch.tensor([[9.0, 0, 0], [10.0, 0, 0], [9.0, 1, 0]])
    alone = torch.tensor([[20.0, 0, 0], [30.0, 0, 0]])
    far = ball.positions + torch.tensor([5.0, 0, 0])
    positions = torch.cat([ball.positions, far, triangle, alone])
    faces = torch.cat([ball.faces, ball.faces + n, torch.tensor([[0, 1, 2]]) + 2 * n])
    return Geometry(positions, metric="geodesic", unit="mm", faces=faces)


MESHES = {"pieces": pieces, "hemispheres": lambda: cortex.fsaverage(2, "both", "inflated")}


def proposals(geometry: Geometry) -> dict:
    n = geometry.num_columns
    norms = Norms(torch.rand(n) + 0.1, torch.rand(n) + 0.1)
    every = {
        "uniform": Uniform(),
        "distance": Distance(geometry, 1.0),
        "two hops": TwoHop(),
        "norms": norms,
        "everything": Everything(),
    }
    return every | {"mixture": Mixture(list(every.values())[:4], [1, 1, 1, 1])}


def test_parts_by_hand():
    geometry = pieces()
    label = mesh_parts(connect.within_radius(geometry, 1.2), geometry)
    assert label.bincount().tolist() == [42, 42, 3, 1, 1]
    assert joined_share(label) == (2 * 42**2 + 9 + 2) / 89**2


def test_there_are_no_parts_where_every_pair_has_a_length_or_none_has():
    whole, flat, cut = sphere.icosphere(1), grid.sheet(3, 3), pieces()
    for geometry in (whole, flat):
        assert mesh_parts(connect.nearest(geometry, 2), geometry) is None
    mesh = Geometry(whole.positions, metric="geodesic", faces=whole.faces)
    assert mesh_parts(connect.nearest(mesh, 2), mesh) is None
    unmeasured = connect.within_radius(cut, 1.0)
    edges = type(unmeasured).from_edge_index(unmeasured.edge_index, cut.num_columns)
    assert mesh_parts(edges, cut) is None
    assert mesh_parts(connect.within_radius(cut, 1.0), None) is None


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("name", proposals(grid.sheet(2, 2)))
def test_as_many_candidates_as_asked_for_and_all_have_a_length(mesh, name):
    geometry = MESHES[mesh]()
    graph = connect.within_radius(geometry, 25.0)
    label = torch.from_numpy(connected_parts(geometry))
    if mesh == "pieces":
        graph = connect.within_radius(geometry, 0.7)
    drawn = draw_candidates(
        graph, proposals(geometry)[name], 200, seed=3, parts=mesh_parts(graph, geometry)
    )
    targets, sources = drawn
    assert len(targets) == 200 or name == "everything" or (name == "two hops" and len(targets))
    assert torch.equal(label[targets], label[sources])
    assert geometry.distance(targets, sources).isfinite().all()
    if name == "everything":
        pairs = int((label.bincount() ** 2).sum()) - geometry.num_columns
        others = graph.num_edges - int((graph.source == graph.target).sum())
        assert len(targets) == pairs - others


def test_near_pairs_are_drawn_in_every_part_and_small_parts_whole():
    geometry = pieces()
    graph = connect.within_radius(geometry, 0.1)  # self-edges only
    targets, sources = Distance(geometry, 1.0)(graph, 500, 0, 0)
    drawn = {(int(t), int(s)) for t, s in zip(targets, sources, strict=True)}
    triangle = {84, 85, 86}
    assert {(t, s) for t, s in drawn if t in triangle} == {
        (t, s) for t in triangle for s in triangle - {t}
    }
    assert not {87, 88} & {end for pair in drawn for end in pair}
    assert {t for t, _ in drawn} == set(range(87))


def test_a_mesh_in_one_piece_draws_what_it_always_drew():
    """Bit for bit: the numbers that a seed gave before there were parts."""
    ball = sphere.icosphere(1)
    mesh = Geometry(ball.positions, metric="geodesic", faces=ball.faces)
    graph = connect.nearest(mesh, 3)
    import numpy as np

    from graphcolumns.connect import draws
    from graphcolumns.connect.mesh_race import race_on_mesh
    from graphcolumns.random.counter import derive

    generator = np.random.Generator(np.random.Philox(derive(5, "distance", 0)))
    expected = race_on_mesh(mesh, 2 + 3, draws.log_kernel("exponential", 0.5), generator)
    got = Distance(mesh, 0.5)(graph, 84, 5, 0)
    assert torch.equal(got.sources, torch.from_numpy(expected).reshape(-1))


def test_infinitely_long_pairs_are_never_selected():
    geometry = pieces()
    graph = connect.within_radius(geometry, 0.7)
    pairs = torch.tensor([0, 0]), torch.tensor([60, 41])  # the first has no path
    length = geometry.distance(*pairs)
    assert length.isfinite().tolist() == [False, True]
    chosen = select(
        graph, torch.zeros(graph.num_edges), pairs, torch.tensor([9.0, 1.0]),
        fraction=0.0, length=1e9, pair_length=length,
    )  # fmt: skip
    assert list(zip(chosen.targets.tolist(), chosen.sources.tolist(), strict=True)) == [(0, 41)]
    assert criteria.distance_kernel(candidates(distance=length))[0] == -torch.inf
