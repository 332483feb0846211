"""The pyramid of fsaverage: levels, surfaces, hemispheres, the medial wall."""

import sys

import pytest
import torch
from nilearn.datasets import load_fsaverage

from geometries import cortex
from graphcolumns.geometry import Geometry

# Columns without the medial wall: left, right.
CORTEX = {2: (149, 148), 3: (588, 587), 4: (2341, 2346), 5: (9354, 9361)}
ON_FLAT = {2: (147, 148), 3: (580, 585), 4: (2294, 2317), 5: (9201, 9247)}
# What earlier versions kept: the vertices that some triangle of the flat map uses.
FORMER = {2: (151, 153), 3: (597, 601), 4: (2361, 2385), 5: (9465, 9537)}


@pytest.fixture(scope="module")
def shipped():
    return load_fsaverage("fsaverage5")


def edge_lengths(geometry: Geometry) -> torch.Tensor:
    corners = geometry.positions[geometry.faces]
    return torch.linalg.vector_norm(corners - corners.roll(1, dims=1), dim=2)


def sorted_faces(faces: torch.Tensor) -> torch.Tensor:
    return torch.unique(faces.sort(dim=1).values, dim=0)


@pytest.mark.parametrize("level", [2, 3, 4, 5])
def test_counts_of_columns(level: int):

    def counts(*options) -> tuple[int, ...]:
        sides = (cortex.fsaverage(level, side, *options) for side in ("left", "right"))
        return tuple(geometry.num_columns for geometry in sides)

    assert counts() == CORTEX[level]
    assert counts("flat") == ON_FLAT[level]
    assert counts("pial", "flat map") == counts("flat", "flat map") == FORMER[level]
    both = cortex.fsaverage(level)
    assert both.num_columns == sum(CORTEX[level])
    whole = cortex.fsaverage(level, "left", medial_wall=True)
    assert whole.num_columns == 10 * 4**level + 2
    assert len(whole.faces) == 20 * 4**level


def test_mean_edges_of_the_pial_surface():
    table = {2: (19.3, 18.9), 3: (11.1, 11.1), 4: (6.0, 6.0), 5: (3.1, 3.1)}
    for level, means in table.items():
        for side, mean in zip(("left", "right"), means, strict=True):
            edges = edge_lengths(cortex.fsaverage(level, side))
            assert round(edges.mean().item(), 1) == mean


@pytest.mark.slow
@pytest.mark.parametrize("surface", ["pial", "inflated", "sphere", "flat"])
def test_levels_are_nested(surface: str):
    for side in ("left", "both"):
        fine, coarse = (cortex.fsaverage(level, side, surface) for level in (4, 3))
        key = fine.attributes["vertex"] + 10**6 * fine.attributes["hemisphere"]
        wanted = coarse.attributes["vertex"] + 10**6 * coarse.attributes["hemisphere"]
        place = torch.searchsorted(key, wanted)
        assert torch.equal(key[place], wanted)
        assert torch.equal(fine.positions[place], coarse.positions)
        for name, values in coarse.attributes.items():
            assert torch.equal(fine.attributes[name][place], values)


def test_level_5_is_what_nilearn_ships(shipped):
    for surface, name in (("pial", "pial"), ("white", "white_matter")):
        right = cortex.fsaverage(5, "right", surface, medial_wall=True)
        mesh = shipped[name].parts["right"]
        assert torch.equal(right.positions, torch.as_tensor(mesh.coordinates))
        assert torch.equal(right.faces, torch.as_tensor(mesh.faces).long())
    faces = torch.as_tensor(shipped["flat"].parts["left"].faces).long()
    former = cortex.fsaverage(5, "left", "flat", "flat map")
    assert torch.equal(former.attributes["vertex"][former.faces], faces)
    flat = cortex.fsaverage(5, "left", "flat")
    whole = ~cortex.medial_wall(5, "left")[faces].any(1)
    assert torch.equal(flat.attributes["vertex"][flat.faces], faces[whole])


def test_the_hull_of_the_sphere_has_the_shipped_faces(shipped):
    mesh = shipped["sphere"].parts["left"]
    hull = cortex.outward_faces(torch.as_tensor(mesh.coordinates))
    faces = torch.as_tensor(mesh.faces).long()
    first = faces.argmin(1)
    turned = faces.gather(1, (first[:, None] + torch.arange(3)) % 3)
    assert torch.equal(hull, torch.unique(turned, dim=0))  # corners and orientation


def test_left_comes_first_and_faces_stay_within_a_hemisphere():
    both = cortex.fsaverage(3)
    left, right = cortex.fsaverage(3, "left"), cortex.fsaverage(3, "right")
    assert both.attributes["hemisphere"].tolist() == [0] * 588 + [1] * 587
    assert torch.equal(both.positions, torch.cat([left.positions, right.positions]))
    assert torch.equal(both.faces, torch.cat([left.faces, right.faces + 588]))
    assert left.positions[:, 0].mean() < -20 < 20 < right.positions[:, 0].mean()
    assert right.attributes["hemisphere"].unique().tolist() == [1]


@pytest.mark.parametrize("surface", ["inflated", "sphere", "flat"])
def test_hemispheres_that_share_their_place_are_laid_side_by_side(surface: str):
    both = cortex.fsaverage(4, "both", surface)
    right = both.attributes["hemisphere"] == 1
    gap = both.positions[right, 0].min() - both.positions[~right, 0].max()
    assert 9.9 < gap < 25
    alone = cortex.fsaverage(4, "right", surface)
    shift = both.positions[right] - alone.positions
    torch.testing.assert_close(shift, shift[:1].expand_as(shift), atol=1e-4, rtol=0)
    assert torch.equal(shift[:, 1:], torch.zeros_like(shift[:, 1:]))


@pytest.mark.parametrize("level", [2, 3, 4, 5])
def test_every_column_is_in_a_face(level: int):
    for surface in ("pial", "flat"):
        geometry = cortex.fsaverage(level, "both", surface)
        assert len(geometry.faces.unique()) >= 0.99 * geometry.num_columns
    assert len(cortex.fsaverage(level).faces.unique()) == sum(CORTEX[level])


def test_flat_maps_have_no_face_across_a_cut():
    # Across a cut faces would be some 200 mm long on every level.
    for level, longest in ((2, 80.0), (3, 45.0), (4, 25.0), (5, 45.0)):
        flat = cortex.fsaverage(level, "both", "flat")
        assert flat.positions.shape[1] == 2
        assert edge_lengths(flat).max() < longest
        # A map that is not torn lies on its page with one side up.
        a, b, c = flat.positions[flat.faces].unbind(1)
        ab, ac = b - a, c - a
        area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
        assert (area > 0).all()


def test_attributes():
    both = cortex.fsaverage(3)
    names = {"vertex", "hemisphere", "sulcal", "curvature", "thickness", "area", "sphere"}
    assert set(both.attributes) == names
    assert both.attributes["vertex"].dtype == torch.int64
    norm = torch.linalg.vector_norm(both.attributes["sphere"], dim=1)
    torch.testing.assert_close(norm, torch.full((1175,), 100.0), rtol=1e-3, atol=0)
    assert 2 < both.attributes["thickness"].mean() < 3.5  # mm
    # Gyri are convex and lie outside, sulci inside: depth and curvature go together.
    pair = torch.stack([both.attributes["sulcal"], both.attributes["curvature"]])
    assert torch.corrcoef(pair)[0, 1] > 0.5


def test_area_goes_with_the_triangles_of_the_white_surface():
    white = cortex.fsaverage(5, "left", "white", medial_wall=True)
    a, b, c = white.positions[white.faces].unbind(1)
    triangle = torch.linalg.vector_norm(torch.linalg.cross(b - a, c - a), dim=1) / 2
    share = (triangle / 3).repeat_interleave(3)
    around = torch.zeros(10242).index_add_(0, white.faces.flatten(), share)
    assert torch.corrcoef(torch.stack([around, white.attributes["area"]]))[0, 1] > 0.75


@pytest.mark.parametrize(
    ("surface", "side", "metric"),
    [
        ("pial", "left", "geodesic"),
        ("white", "both", "geodesic"),
        ("inflated", "both", "geodesic"),
        ("sphere", "right", "great-circle"),
        ("sphere", "both", "geodesic"),
        ("flat", "left", "euclidean"),
        ("flat", "both", "euclidean"),
    ],
)
def test_metric_follows_the_surface(surface: str, side: str, metric: str):
    geometry = cortex.fsaverage(2, side, surface)
    assert (geometry.metric, geometry.unit) == (metric, "mm")
    assert cortex.fsaverage(2, side, surface, metric="euclidean").metric == "euclidean"


def test_positions_can_be_learned_from_a_cortex():
    from geometries import learned

    geometry = learned.positions(cortex.fsaverage(2, "left", metric="euclidean"), spacing=1.0)
    assert geometry.learnable


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 6}, "level must be one of 2, 3, 4, 5. Got 6"),
        ({"level": 1}, "Got 1"),
        ({"hemisphere": "lh"}, "hemisphere must be one of 'left', 'right', 'both'. Got 'lh'"),
        ({"surface": "midthickness"}, "surface must be one of 'pial', 'white', .* Got 'midthick"),
        ({"surface": "flat", "medial_wall": True}, "a flat map has no medial wall"),
        ({"medial_wall": "cut"}, "must be True, to keep it, False or 'flat map'. Got 'cut'"),
        ({"medial_wall": 1}, "must be True, to keep it, False or 'flat map'. Got 1;"),
        ({"metric": "great-circle"}, "needs surface='sphere' and one hemisphere"),
        ({"metric": "great-circle", "surface": "sphere"}, "Got surface='sphere', hemisphere='bo"),
        ({"metric": "torus"}, "needs a positive finite period"),
    ],
)
def test_wrong_input(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        cortex.fsaverage(**options)


def test_without_nilearn(monkeypatch):
    monkeypatch.setitem(sys.modules, "nilearn.datasets", None)
    with pytest.raises(ImportError, match=r"pip install 'graphcolumns\[brain\]'"):
        cortex.fsaverage()
