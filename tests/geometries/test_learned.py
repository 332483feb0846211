"""Geometries whose positions a model may move."""

import pytest
import torch

from geometries import grid, learned, sphere
from graphcolumns.geometry import Geometry


def test_only_what_is_learned_changes():
    start = sphere.fibonacci(10, 3.0)
    geometry = learned.positions(start, anchors=[0, 9], spacing=0.1)
    assert geometry.learnable
    assert geometry.anchors.tolist() == [0, 9]
    assert geometry.spacing == 0.1
    assert geometry.positions is start.positions
    assert (geometry.metric, geometry.radius, geometry.unit) == ("great-circle", 3.0, "mm")
    assert not start.learnable


def test_anchors_of_the_start_stay_unless_others_are_given():
    start = Geometry(torch.rand(4, 2), anchors=torch.tensor([2]))
    assert learned.positions(start).anchors.tolist() == [2]
    assert learned.positions(start).spacing is None
    assert learned.positions(start, anchors=torch.tensor([1])).anchors.tolist() == [1]
    assert learned.positions(start, anchors=[]).anchors.tolist() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"anchors": [6]}, r"anchors must be column ids in \[0, 6\). Got 6"),
        ({"spacing": -1.0}, "spacing must be positive and finite"),
    ],
)
def test_wrong_input(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        learned.positions(grid.sheet(2, 3), **options)


def test_a_mesh_cannot_be_learned():
    mesh = Geometry(torch.rand(3, 3), "geodesic", faces=torch.tensor([[0, 1, 2]]))
    with pytest.raises(ValueError, match=r"cannot be learned.*use metric='euclidean'"):
        learned.positions(mesh)
