"""What holds for every geometry of the catalogue."""

import copy
import pickle

import pytest
import torch
from torch import Tensor

from graphcolumns.geometry import Geometry


def all_pairs(geometry: Geometry) -> Tensor:
    ids = torch.arange(geometry.num_columns)
    return geometry.distance(*torch.meshgrid(ids, ids, indexing="ij"))


@pytest.fixture(scope="module")
def lengths(geometry: Geometry) -> Tensor:
    return all_pairs(geometry)


def test_distance_is_symmetric_and_0_only_to_itself(lengths: Tensor):
    assert torch.equal(lengths.diagonal(), torch.zeros(len(lengths)))
    torch.testing.assert_close(lengths, lengths.t())
    assert (lengths.fill_diagonal_(1) > 0).all()
    lengths.fill_diagonal_(0)


def test_no_way_is_shorter_over_a_third_column(lengths: Tensor):
    some = torch.randperm(len(lengths))[:60]
    some = lengths[some][:, some]
    # via[i, j, k] = d(i, j) + d(j, k)
    via = some[:, :, None] + some[None]
    assert (some[:, None, :] <= via * (1 + 1e-5) + 1e-5).all()


def test_no_distance_is_shorter_than_the_straight_line(geometry: Geometry, lengths: Tensor):
    straight = torch.cdist(geometry.positions.double(), geometry.positions.double())
    # A torus is not laid out in straight lines: there the way across its border may be shorter.
    shorter, longer = (straight, lengths) if geometry.metric != "torus" else (lengths, straight)
    assert (longer >= shorter * (1 - 1e-5) - 1e-5).all()


def test_columns_are_near_only_to_few(geometry: Geometry, lengths: Tensor):
    # Whatever the unit: no two columns in one place, and nobody far from all others.
    finite = lengths[torch.isfinite(lengths) & (lengths > 0)]
    nearest = lengths.sort(dim=1).values[:, 1]
    assert finite.min() > 0.1 * nearest.median()
    assert nearest.max() < 4 * nearest.median()


def test_reorder_keeps_distances_attributes_and_faces(geometry: Geometry, lengths: Tensor):
    new, permutation = geometry.reorder()
    torch.testing.assert_close(all_pairs(new), lengths[permutation][:, permutation])
    assert (geometry.attributes is None) == (new.attributes is None)
    for name, values in (geometry.attributes or {}).items():
        assert torch.equal(new.attributes[name], values[permutation])
    if geometry.faces is not None:
        assert torch.equal(new.positions[new.faces], geometry.positions[geometry.faces])
    assert (new.spacing, new.learnable) == (geometry.spacing, geometry.learnable)


def test_survives_copies(geometry: Geometry):
    for twin in (copy.deepcopy(geometry), pickle.loads(pickle.dumps(geometry)), geometry.to("cpu")):
        assert torch.equal(twin.positions, geometry.positions)
        assert repr(twin) == repr(geometry)
        assert (twin.attributes or {}).keys() == (geometry.attributes or {}).keys()
        for name, values in (geometry.attributes or {}).items():
            assert torch.equal(twin.attributes[name], values)
