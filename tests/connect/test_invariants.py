"""What holds for every wiring of every geometry of the catalogue."""

import numpy as np
import pytest
import torch

from graphcolumns import connect
from graphcolumns.geometry import Geometry


@pytest.fixture(scope="module")
def lengths(geometry: Geometry) -> np.ndarray:
    ids = torch.arange(geometry.num_columns)
    return geometry.distance(*torch.meshgrid(ids, ids, indexing="ij")).numpy()


@pytest.mark.parametrize("degree", [1, 2, 5, 11, 24])
@pytest.mark.parametrize("own", [True, False])
def test_nearest_takes_the_shortest_and_of_equals_the_lowest(
    geometry: Geometry, lengths, degree: int, own: bool
):
    degree = min(degree, geometry.num_columns - (not own))
    graph = connect.nearest(geometry, degree, own)
    taken = np.zeros(lengths.shape, dtype=bool)
    taken[graph.target, graph.source] = True
    assert (taken.sum(1) == degree).all()
    assert (taken.diagonal() == own).all()
    lengths = lengths + np.diag(np.full(len(lengths), 0 if own else np.inf))
    scale = np.abs(geometry.positions.numpy()).max()
    for row, chosen in zip(lengths, taken, strict=True):
        np.testing.assert_allclose(
            np.sort(row[chosen]), np.sort(row)[:degree], rtol=0, atol=1e-5 * scale
        )
        # Whoever is left out is no nearer than the last taken; if as near, its id is higher.
        last = row[chosen].max()
        last_ids = np.flatnonzero(chosen & (row > last - 1e-7 * scale))
        as_near = np.flatnonzero(~chosen & (row < last + 1e-7 * scale))
        assert len(as_near) == 0 or as_near.min() > last_ids.max()


def test_within_radius_equals_comparing_all_pairs(geometry: Geometry, lengths):
    least = lengths[lengths > 0].min()
    for radius in (0.5 * least, 1.7 * least, 4.1 * least):
        graph = connect.within_radius(geometry, radius)
        expected = np.argwhere(lengths <= radius * (1 + 1e-6))
        assert graph.edge_index.flip(0).t().tolist() == expected.tolist()
        np.testing.assert_allclose(graph.distance, lengths[tuple(expected.T)], rtol=1e-5, atol=1e-6)


def test_distance_decay_draws_different_columns_that_a_path_joins(geometry: Geometry, lengths):
    length = float(np.median(np.sort(lengths, axis=1)[:, 3]))
    graph = connect.distance_decay(geometry, 6, length, seed=3)
    assert graph.in_degree.tolist() == [6] * geometry.num_columns
    assert torch.isfinite(graph.distance).all()
    target, source = graph.edge_index.flip(0)
    np.testing.assert_allclose(graph.distance, lengths[target, source], rtol=1e-5, atol=1e-6)
    assert int((target == source).sum()) == geometry.num_columns
    # Near columns more often: a draw that did not look would have the mean of all pairs.
    assert graph.distance[graph.distance > 0].mean() < lengths[np.isfinite(lengths)].mean()


def test_the_same_seed_gives_the_same_graph(geometry: Geometry):
    first, again, other = (connect.distance_decay(geometry, 4, 1.0, seed=s) for s in (1, 1, 2))
    assert first.same_topology(again)
    assert not first.same_topology(other)
