"""Values of vertices on surfaces: which column is which vertex, colours, pages."""

import json
import re
import sys

import matplotlib
import pytest
import torch

from geometries import cortex, grid
from graphcolumns.analysis.brain import (
    SurfaceMap,
    accuracy_maps,
    on_columns,
    surface_figure,
    surface_view,
    vertex_columns,
    write_surface_page,
)
from graphcolumns.data import Regression
from graphcolumns.geometry import Geometry

LEFT = cortex.fsaverage(3, "left", medial_wall=True)
BOTH = cortex.fsaverage(3, surface="inflated")


def test_vertices_of_a_whole_mesh_are_its_columns():
    every = torch.arange(642)
    assert torch.equal(vertex_columns(LEFT, {"left": every}), every)
    assert torch.equal(vertex_columns(LEFT, {"left": torch.ones(642).bool()}), every)


def test_ids_of_both_hemispheres_find_their_columns():
    ids = {"right": torch.tensor([9, 3]), "left": torch.tensor([600, 641, 5000])}
    columns = vertex_columns(BOTH, ids)
    assert len(columns) == 5
    given = [(600, 0), (641, 0), (5000, 0), (9, 1), (3, 1)]
    for column, (vertex, side) in zip(columns.tolist(), given, strict=True):
        if vertex == 5000:
            assert column == -1
            continue
        wall = cortex.medial_wall(3, ("left", "right")[side])[vertex]
        assert (column == -1) == bool(wall)
        if column >= 0:
            assert BOTH.attributes["vertex"][column] == vertex
            assert BOTH.attributes["hemisphere"][column] == side


def test_columns_may_be_in_any_order():
    order = torch.randperm(BOTH.num_columns, generator=torch.Generator().manual_seed(0))
    ids = {"left": torch.arange(300), "right": torch.arange(200, 642)}
    values = torch.rand(742)
    usual = on_columns(values, BOTH, ids)
    moved = on_columns(values, BOTH.permute(order), ids)
    assert torch.equal(moved.nan_to_num(-1), usual[order].nan_to_num(-1))


def test_masks_and_ids_are_the_same():
    mask = torch.rand(642, generator=torch.Generator().manual_seed(0)) < 0.3
    values = torch.rand(int(mask.sum()))
    by_mask = on_columns(values, BOTH, {"left": mask})
    by_ids = on_columns(values, BOTH, {"left": mask.nonzero()[:, 0].numpy()})
    assert torch.equal(by_mask.nan_to_num(-1), by_ids.nan_to_num(-1))
    assert by_mask[BOTH.attributes["hemisphere"] == 1].isnan().all()


def test_a_mesh_without_names_has_its_columns_as_vertices():
    plain = Geometry(LEFT.positions, "euclidean", "mm", faces=LEFT.faces)
    assert vertex_columns(plain, {"right": torch.tensor([5, 700])}).tolist() == [5, -1]
    with pytest.raises(ValueError, match=r"of both hemispheres must have the attribute"):
        vertex_columns(plain, {"left": torch.arange(2), "right": torch.arange(2)})


@pytest.mark.parametrize(
    ("vertices", "error", "message"),
    [
        (
            {"left": torch.ones(163842).bool()},
            ValueError,
            "a mask must be of the mesh of the geometry, [642]. Got [163842], a mask of fsaverage; "
            "pass the geometry of that mesh, or ids: of mask.nonzero()[:, 0] those that this mesh "
            "has are shown, where meshes are nested.",
        ),
        ({"left": torch.ones(2562).bool()}, ValueError, "Got [2562], a mask of fsaverage4; pass"),
        ({"left": torch.ones(588).bool()}, ValueError, "the geometry, [642]. Got [588]; pass the"),
        ({"lh": torch.arange(3)}, ValueError, "or one of them. Got 'lh'."),
        ({}, ValueError, "vertices must be given by hemisphere"),
        ({"left": torch.tensor([0.5])}, TypeError, "must be ids [V] int64, or a mask of bool."),
        ({"left": torch.tensor([1, 1])}, ValueError, "must be different. Got some more than once."),
        ({"left": torch.tensor([163842])}, ValueError, "in [0, 163842), those of fsaverage."),
        ({"left": torch.tensor([700, 900])}, ValueError, "Got none of 2 among 1,175 columns"),
    ],
)
def test_vertices_of_something_else(vertices, error, message):
    with pytest.raises(error, match=re.escape(message)):
        vertex_columns(BOTH, vertices)


def test_values_of_another_number():
    with pytest.raises(ValueError, match=r"one per column, \[1175\]. Got \[1284\]; pass vertices"):
        on_columns(torch.rand(1284), BOTH)
    with pytest.raises(ValueError, match=r"one per vertex, \[3\]. Got \[4\]"):
        on_columns(torch.rand(4), BOTH, {"left": torch.arange(3)})


def test_scales():
    values = torch.tensor([-0.1, 0.3, torch.nan])
    assert SurfaceMap(values, "r").ends() == pytest.approx((-0.1, 0.3))
    assert SurfaceMap(values, "r", difference=True).ends() == pytest.approx((-0.3, 0.3))
    assert SurfaceMap(values, "r", limits=(0, 1)).ends() == (0, 1)
    assert SurfaceMap(torch.ones(2), "r").ends() == (0.5, 1.5)
    assert SurfaceMap(torch.zeros(2), "r", difference=True).ends() == (-1, 1)
    assert SurfaceMap(values, "delay", "s").title == "delay (s)"
    with pytest.raises(ValueError, match=r"must be symmetric, \(-x, x\). Got \(0, 1\)"):
        SurfaceMap(values, "r", difference=True, limits=(0, 1))
    with pytest.raises(ValueError, match=r"limits must ascend, \(low, high\). Got \(1, 1\)"):
        SurfaceMap(values, "r", limits=(1, 1))
    with pytest.raises(ValueError, match=r"values must be one per vertex, \[V\]. Got \[2, 2\]"):
        SurfaceMap(torch.ones(2, 2), "r")


def test_accuracy_and_its_difference_to_another_model():
    targets = torch.tensor([[0.0, 0, 1], [1, 2, 0], [2, 1, 2]])
    model = torch.tensor([0.0, 1, 2])[:, None].expand(3, 3)
    task = Regression(
        mask=torch.tensor([True, True, False]), noise_ceiling=torch.tensor([1.0, 0.5, 1.0])
    )
    maps = accuracy_maps(model, targets, task, {"ridge": -model})
    assert list(maps) == ["correlation", "share of ceiling", "difference to ridge"]
    # r is 1 and 1/2; the third vertex does not count.
    assert maps["correlation"].values.nan_to_num(9).tolist() == pytest.approx([1, 0.5, 9])
    assert maps["share of ceiling"].values.nan_to_num(9).tolist() == pytest.approx([1, 0.5, 9])
    assert maps["difference to ridge"].values.nan_to_num(9).tolist() == pytest.approx([2, 1, 9])
    assert maps["difference to ridge"].ends() == pytest.approx((-2, 2))
    with pytest.raises(ValueError, match=r"ridge must have the shape of targets"):
        accuracy_maps(model, targets, None, {"ridge": model[:2]})


def content_of(view: str) -> dict:
    return json.loads(re.search(r"const content = (.*);\n", view)[1])


def test_a_view_holds_maps_and_surfaces():
    flat = cortex.fsaverage(3, surface="flat")
    ids = {"left": torch.arange(642), "right": torch.arange(10)}
    maps = {
        "r </script>": SurfaceMap(torch.rand(652), "r", limits=(0, 0.5)),
        "less": SurfaceMap(torch.rand(652), "r minus r", difference=True),
    }
    view = surface_view(maps, {"inflated": BOTH, "flat": flat}, ids)
    assert view.count("</script>") == 1
    content = content_of(view)
    first, second = content["maps"]
    assert first["name"] == "r </script>"
    assert (first["low"], first["high"], first["below"], first["above"]) == (0, 0.5, False, True)
    assert second["low"] == -second["high"]
    assert first["colours"][0] == matplotlib.colors.to_hex(matplotlib.colormaps["viridis"](0.0))
    inflated, flattened = content["surfaces"]
    assert [part["name"] for part in inflated["parts"]] == ["left", "right"]
    assert (inflated["flat"], flattened["flat"]) == (False, True)
    walls = [cortex.medial_wall(3, side)[:n].sum() for side, n in (("left", 642), ("right", 10))]
    assert inflated["shown"] == 652 - int(sum(walls))
    assert inflated["total"] == 652


def test_views_that_cannot_be_made():
    maps = {"r": SurfaceMap(torch.rand(16), "r")}
    with pytest.raises(ValueError, match=r"a view needs a map and a surface. Got 1 maps and 0"):
        surface_view(maps, {})
    with pytest.raises(ValueError, match=r"a surface must have faces. Got none in 'sheet'"):
        surface_view(maps, {"sheet": grid.sheet(4, 4)})
    with pytest.raises(ValueError, match=r"a figure needs a map. Got none"):
        surface_figure({}, BOTH)


def test_a_page_stands_alone_and_is_not_overwritten(tmp_path):
    pytest.importorskip("plotly")
    maps = {"r": SurfaceMap(torch.rand(642), "r")}
    path = write_surface_page(tmp_path / "page.html", maps, {"left": LEFT}, title="A < B")
    text = path.read_text(encoding="utf-8")
    assert "<h1>A &lt; B</h1>" in text
    assert text.count('class="surface-view"') == 1
    assert not list(tmp_path.glob("*.tmp"))
    with pytest.raises(FileExistsError, match=r"must not exist. Pass overwrite=True"):
        write_surface_page(path, maps, {"left": LEFT})
    assert write_surface_page(path, maps, {"left": LEFT}, overwrite=True) == path


def test_without_plotly_a_page_says_which_extra(tmp_path, monkeypatch):
    module = sys.modules["graphcolumns.analysis.brain.surface_view"]
    monkeypatch.setattr(module, "installed", lambda: False)
    maps = {"r": SurfaceMap(torch.rand(642), "r")}
    with pytest.raises(ImportError, match=r"pip install 'graphcolumns\[viz\]'"):
        write_surface_page(tmp_path / "page.html", maps, {"left": LEFT})


def test_a_figure_has_grey_where_there_are_no_data(tmp_path):
    behind = LEFT.positions[:, 1] < 0
    maps = {"r": SurfaceMap(torch.rand(int(behind.sum())), "r")}
    figure = surface_figure(maps, LEFT, {"left": behind})
    figure.savefig(tmp_path / "surface.png")
    colours = figure.axes[0].collections[0].get_facecolor()[:, :3]
    grey = (colours[:, 0] == colours[:, 1]) & (colours[:, 1] == colours[:, 2])
    assert 0 < grey.mean() < 1
