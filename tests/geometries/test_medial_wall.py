"""The medial wall of fsaverage: its vertices, and that they are those without a signal."""

from importlib.util import find_spec
from pathlib import Path

import nibabel
import pytest
import torch

from geometries import cortex
from graphcolumns.geometry import Regions
from graphcolumns.geometry.part import part

BRAINSPACE = find_spec("brainspace")
RECORDING = "datasets/preprocessing/sub-010188_ses-02_task-rest_acq-AP_run-01.fsa5.{}h.mgz"
# Vertices in the wall among the first 162, 642, 2562 and 10242.
COUNTS = {"left": (13, 54, 221, 888), "right": (14, 55, 216, 881)}


@pytest.mark.parametrize("side", ["left", "right"])
def test_levels_are_the_beginning_of_one_another(side: str):
    wall = cortex.medial_wall(5, side)
    assert (wall.dtype, wall.shape) == (torch.bool, (10242,))
    for level, count in zip((2, 3, 4, 5), COUNTS[side], strict=True):
        coarse = cortex.medial_wall(level, side)
        assert torch.equal(coarse, wall[: 10 * 4**level + 2])
        assert int(coarse.sum()) == count


def test_both_hemispheres_are_left_and_right():
    sides = [cortex.medial_wall(3, side) for side in ("left", "right")]
    assert torch.equal(cortex.medial_wall(3), torch.cat(sides))
    assert int((~cortex.medial_wall()).sum()) == 18715


def test_the_first_ranges_by_hand():
    ids = cortex.medial_wall(5, "left").nonzero()[:, 0].tolist()
    assert ids[:12] == [8, 36, 38, 78, 79, 113, 144, 145, 146, 147, 148, 160]


@pytest.mark.skipif(BRAINSPACE is None, reason="needs pip install --no-deps brainspace==0.3.0")
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_wall_is_where_fmri_has_no_signal(side: str):
    """The derivation of geometries/medial_wall.txt. The package is not imported: it needs VTK."""
    path = Path(BRAINSPACE.submodule_search_locations[0]) / RECORDING.format(side[0])
    signal = nibabel.load(path).get_fdata(dtype="float32").reshape(10242, 652)
    constant = torch.from_numpy((signal == signal[:, :1]).all(1))
    assert torch.equal(cortex.medial_wall(5, side), constant)


@pytest.mark.parametrize("side", ["left", "right"])
def test_wall_and_cortex_are_each_in_one_piece(side: str):
    whole = cortex.fsaverage(5, side, medial_wall=True)
    wall = cortex.medial_wall(5, side)
    for piece in (wall, ~wall):
        faces = whole.faces[piece[whole.faces].all(1)]
        label = torch.arange(10242)
        while not torch.equal(label, label := _lowered(label, faces)):
            pass
        assert len(label[piece].unique()) == 1


def _lowered(label: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    """Labels of which each is the lowest in the triangles around its vertex."""
    lowest = label[faces].amin(1, keepdim=True).expand(-1, 3)
    return label.scatter_reduce(0, faces.flatten(), lowest.flatten(), "amin")


@pytest.mark.parametrize("level", [2, 3, 4, 5])
def test_the_columns_are_the_vertices_outside(level: int):
    wall, columns = cortex.medial_wall(level), cortex.fsaverage(level)
    whole = cortex.fsaverage(level, medial_wall=True)
    for name in ("vertex", "hemisphere", "thickness"):
        assert torch.equal(columns.attributes[name], whole.attributes[name][~wall])
    assert torch.equal(part(whole, ~wall).faces, columns.faces)


def test_it_lies_on_the_medial_side_around_the_lowest_thickness():
    whole, wall = cortex.fsaverage(5, "left", medial_wall=True), cortex.medial_wall(5, "left")
    assert whole.positions[wall, 0].mean() > whole.positions[~wall, 0].mean() + 15
    # Not a threshold of thickness: it keeps no vertex without any, and leaves out thick ones.
    thickness = whole.attributes["thickness"]
    assert int((thickness == 0).sum()) == 263
    assert thickness[~wall].min() > 0.6
    assert thickness[wall].max() > 4


def test_the_rule_of_earlier_versions_differs_both_ways():
    for side, missed, lost in (("left", 264, 153), ("right", 290, 114)):
        former = cortex.fsaverage(5, side, medial_wall="flat map").attributes["vertex"]
        kept = torch.isin(torch.arange(10242), former)
        wall = cortex.medial_wall(5, side)
        assert int((kept & wall).sum()) == missed
        assert int((~kept & ~wall).sum()) == lost
        flat = cortex.fsaverage(5, side, "flat").attributes["vertex"]
        assert torch.equal(flat, (kept & ~wall).nonzero()[:, 0])


def test_masks_of_another_level_are_refused():
    whole = cortex.fsaverage(3, "left", medial_wall=True)
    with pytest.raises(ValueError, match=r"shape \(642,\), and keep some\. Got shape \(10242,\)"):
        part(whole, ~cortex.medial_wall(5, "left"))
    regions = Regions.from_masks({"front": whole.positions[:, 1] > 0})
    message = r"vertices must be one bool per vertex, \[642\], or ids\. Got \[10242\]"
    with pytest.raises(ValueError, match=message):
        regions.subset(~cortex.medial_wall(5, "left"))
    assert regions.subset(~cortex.medial_wall(3, "left")).num_vertices == 588


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((6,), "level must be one of 2, 3, 4, 5. Got 6"),
        ((5, "lh"), "hemisphere must be one of 'left', 'right', 'both'. Got 'lh'"),
    ],
)
def test_wrong_input(options: tuple, message: str):
    with pytest.raises(ValueError, match=message):
        cortex.medial_wall(*options)
