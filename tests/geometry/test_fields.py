"""Attributes of columns, and the spacing of learned ones."""

import math

import pytest
import torch

from graphcolumns.geometry import Geometry

XYZ = torch.rand(4, 3)
TRIANGLE = torch.tensor([[0, 1, 2]])


def test_attributes_follow_their_columns():
    line = Geometry(
        torch.tensor([[3.0, 0.0], [0.0, 0.0], [2.0, 0.0], [1.0, 0.0]]),
        attributes={"x": torch.tensor([3, 0, 2, 1]), "pair": torch.arange(8.0).view(4, 2)},
    )
    new, permutation = line.reorder()
    assert new.attributes["x"].tolist() == new.positions[:, 0].tolist()
    assert torch.equal(new.attributes["pair"], line.attributes["pair"][permutation])
    assert line.attributes["x"].tolist() == [3, 0, 2, 1]


@pytest.mark.gpu
def test_attributes_move_to_another_device():
    moved = Geometry(XYZ, attributes={"depth": torch.zeros(4)}).to("cuda")
    assert moved.attributes["depth"].is_cuda


def test_spacing_belongs_to_learned_positions():
    assert Geometry(XYZ, learnable=True, spacing=2).spacing == 2
    assert Geometry(XYZ, learnable=True).spacing is None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"attributes": {"a": torch.zeros(3)}}, ValueError, r"'a'.* 4 in its.* Got shape \(3,\)"),
        ({"attributes": {"a": torch.tensor(1.0)}}, ValueError, r"Got shape \(\)"),
        ({"attributes": {"a": [1, 2, 3, 4]}}, TypeError, "Got list under 'a'; call torch.as_tens"),
        ({"attributes": {1: torch.zeros(4)}}, TypeError, "Got Tensor under 1"),
        ({"attributes": torch.zeros(4)}, TypeError, "must be a mapping.* Got Tensor"),
        ({"spacing": 1.0}, ValueError, "Got learnable=False; set learnable=True"),
        ({"spacing": 0.0, "learnable": True}, ValueError, r"of the geometry \(pixel\). Got 0.0"),
        ({"spacing": math.nan, "learnable": True}, ValueError, "positive and finite"),
        ({"spacing": math.inf, "learnable": True}, ValueError, "positive and finite"),
        ({"spacing": "far", "learnable": True}, TypeError, "spacing must be a number. Got 'far'"),
        ({"metric": "geodesic"}, ValueError, "needs faces.* Got None; set faces, or use metric="),
        ({"metric": "geodesic", "faces": TRIANGLE[:0]}, ValueError, r"Got \(0, 3\)"),
        (
            {"metric": "geodesic", "faces": TRIANGLE, "learnable": True},
            ValueError,
            "cannot be learned",
        ),
    ],
)
def test_wrong_input(options: dict, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        Geometry(XYZ, **options)
