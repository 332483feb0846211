"""Named sets of vertices that may overlap."""

import pytest
import torch

from graphcolumns.geometry import Regions, hemispheres

V1 = torch.tensor([1, 1, 0, 0, 0, 0]).bool()
FFA = torch.tensor([0, 1, 1, 0, 0, 0]).bool()
OPA = torch.tensor([0, 0, 0, 1, 0, 0]).bool()
SIDE = torch.tensor([0, 0, 0, 1, 1, 1])


def regions(**more):
    masks = {"lh.V1": V1, "lh.FFA": FFA, "rh.OPA": OPA}
    return Regions.from_masks(masks, families=("prf", "floc", "floc"), **more)


def test_vertices_names_and_families():
    found = regions()
    assert (found.num_regions, found.num_vertices) == (3, 6)
    assert found.vertices("lh.FFA").tolist() == [1, 2]
    assert found.of_families("floc").names == ("lh.FFA", "rh.OPA")
    assert found.of_families("floc").families == ("floc", "floc")


def test_rest_is_what_is_in_no_region():
    assert regions().with_rest().vertices("rest").tolist() == [4, 5]
    split = regions(hemisphere=SIDE).with_rest()
    assert split.names[-1] == "rh.rest"
    assert split.families[-1] == "rest"
    assert split.vertices("rh.rest").tolist() == [4, 5]
    assert split.with_rest() is split


def test_rest_is_one_region_where_a_region_is_in_both_hemispheres():
    both = Regions.from_masks({"V1": V1 | OPA}, hemisphere=SIDE)
    assert both.with_rest().names == ("V1", "rest")


def test_subset_leaves_out_empty_regions():
    some = regions(hemisphere=SIDE).subset(torch.tensor([1, 4]))
    assert some.names == ("lh.V1", "lh.FFA")
    assert some.masks.tolist() == [[True, False], [True, False]]
    assert some.hemisphere.tolist() == [0, 1]


def test_areas_that_do_not_occur_are_left_out():
    found = Regions.from_areas(torch.tensor([2, 0, 2]), ("a", "b", "c"))
    assert found.names == ("a", "c")
    assert found.vertices("c").tolist() == [0, 2]
    assert hemispheres(SIDE).vertices("right").tolist() == [3, 4, 5]
    assert hemispheres(torch.zeros(3, dtype=torch.long)).names == ("left",)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Regions(torch.ones(1, 2), ("a",)), TypeError, "bool tensor"),
        (lambda: Regions(V1, ("a",)), ValueError, r"\[R, V\]"),
        (lambda: Regions(V1[None], ("a", "b")), ValueError, "one per region"),
        (lambda: Regions(torch.stack([V1, FFA]), ("a", "a")), ValueError, "all different"),
        (lambda: Regions(V1[None], ("a",), ("x", "y")), ValueError, "families must be one per"),
        (lambda: Regions(V1[None] & False, ("a",)), ValueError, "none in 'a'"),
        (lambda: Regions(V1[None], ("a",), (), SIDE[:3]), ValueError, r"one per vertex, \[6\]"),
        (lambda: Regions(V1[None], ("a",), (), SIDE + 1), ValueError, "0 .left. or 1"),
        (lambda: Regions.from_masks({}), ValueError, "Got none"),
        (lambda: Regions.from_masks({"a": V1, "b": V1[:4]}), ValueError, "'a': 6, 'b': 4"),
        (lambda: Regions.from_areas(SIDE, ("a",)), ValueError, r"in \[0, 1\)"),
        (lambda: regions().mask("V4"), ValueError, "Got 'V4'"),
        (lambda: regions().of_families("eeg"), ValueError, "Got 'eeg'"),
    ],
)
def test_bad_regions_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
