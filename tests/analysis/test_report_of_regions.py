"""Pages of encoders of brain responses: scores by region, attention, surfaces."""

import csv
import io

import numpy as np
import pytest
import torch
from torch import nn

from geometries import cortex, grid
from graphcolumns import connect
from graphcolumns.analysis import observe, report
from graphcolumns.analysis.brain import encoding_table
from graphcolumns.analysis.figures.activity import _curves
from graphcolumns.analysis.figures.regions import region_scores
from graphcolumns.analysis.report.regions import _of_each_family
from graphcolumns.analysis.report.story import facts
from graphcolumns.data import Dataset, Regression
from graphcolumns.data.metrics import pearson_per_target
from graphcolumns.geometry import Regions
from graphcolumns.models.brain_encoder import brain_encoder, linear_encoder
from graphcolumns.nn import EdgeLinear
from graphcolumns.nn.protocols import ModelOutput

SURFACE = cortex.fsaverage(2, "left", surface="inflated")
VERTICES = SURFACE.num_columns  # 149
MASKS = torch.arange(VERTICES) // 50 == torch.arange(3)[:, None]
MASKS[2] = False
MASKS[2, ::7] = True
REGIONS = Regions(MASKS, ("V1", "V2", "a <b>"), ("early", "early", "late"))
CHAPTER = {"region_scores", "attention_of_regions", "mean_attention", "fields_of_regions"}


def responses_of(count=24, regions=REGIONS, **options) -> Dataset:
    draws = torch.Generator().manual_seed(0)
    x, y = torch.rand(count, 10, 8, generator=draws), torch.rand(count, VERTICES, generator=draws)
    task = Regression(regions=regions, **options)
    return Dataset({"features": x}, y, {"features": x.flip(0)}, y.flip(0), task=task)


def encoder(data, **options):
    torch.manual_seed(0)
    options = {"decoder": {"heads": 2, "hidden": 4, "dropout": 0.0}} | options
    return brain_encoder(data.num_classes, data.spec, data.task.regions, **options)


def stems(run) -> set[str]:
    return {path.stem for path in (run / "report").glob("*.png")}


def rows(path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


@pytest.fixture(scope="module")
def of_regions(tmp_path_factory):
    run = tmp_path_factory.mktemp("regions")
    ceiling = torch.full((VERTICES,), 0.5)
    mask = torch.arange(VERTICES) != 3
    data = responses_of(noise_ceiling=ceiling, mask=mask)
    geometry, permutation = SURFACE.reorder()
    model = encoder(data)
    page = report.write(
        run, model=model, data=data, geometry=geometry, permutation=permutation
    ).read_text()
    return run, page, model, data


def test_a_chapter_has_scores_attention_and_a_surface(of_regions):
    run, page, *_ = of_regions
    assert '<div class="chapter" id="regions">' in page
    assert stems(run) >= CHAPTER | {"accuracy_on_surface"}
    assert "3 regions of 148 vertices that count." in page
    # V1, V2, the third region, and the rest of the vertices.
    assert "4 queries attend to 3 x 3 tokens." in page
    assert 'class="surface-view"' in page
    assert "plotly.js v" in page


def test_the_table_has_a_row_for_every_region(of_regions):
    run, page, *_ = of_regions
    assert [row["name"] for row in rows(run / "report/region_scores.csv")] == [
        *("all", "early", "late", "V1", "V2", "a <b>"),
    ]
    table = page.partition('<table class="regions">')[2].partition("</table>")[0]
    assert "<td>a &lt;b&gt;</td>" in table
    assert "median r²/NC clipped" in table


def test_the_surface_has_the_order_of_the_user(of_regions):
    run, _, model, data = of_regions
    with torch.no_grad():
        predicted = model.eval()(data.test_inputs).prediction
    expected = pearson_per_target(predicted, data.test_targets)
    found = rows(run / "report/accuracy_on_surface.csv")
    assert [int(row["vertex"]) for row in found] == list(range(VERTICES))
    assert found[3]["correlation"] == "nan"
    known = [float(row["correlation"]) for row in found if row["correlation"] != "nan"]
    assert known == pytest.approx(expected[torch.arange(VERTICES) != 3].tolist(), abs=1e-4)


def test_attention_in_the_table_is_that_of_the_model(of_regions):
    run, _, model, data = of_regions
    weights = model.attention(data.test_inputs["features"]).mean(1)
    found = rows(run / "report/mean_attention.csv")
    assert [float(row["V2"]) for row in found] == pytest.approx(weights[1, 1:].tolist(), abs=1e-4)


def test_what_a_model_has_not_is_left_out(tmp_path):
    data = responses_of()
    linear = linear_encoder(VERTICES, data.spec, channels=2)
    page = report.write(tmp_path, model=linear, data=data, geometry=grid.sheet(3, 3)).read_text()
    assert 'id="regions"' in page
    assert "region_scores" in stems(tmp_path)
    assert not stems(tmp_path) & (CHAPTER - {"region_scores"} | {"accuracy_on_surface"})
    assert "median r²/NC" not in page
    assert "plotly.js v" not in page


def test_without_regions_there_is_no_chapter(tmp_path):
    data = responses_of(regions=None)
    page = report.write(tmp_path, model=encoder(data, queries="vertices"), data=data).read_text()
    assert 'id="regions"' not in page


def test_queries_of_vertices_are_dots(tmp_path):
    data = responses_of()
    report.write(tmp_path, model=encoder(data, queries="vertices"), data=data)
    found = rows(tmp_path / "report/fields_of_regions.csv")
    assert [row["query"] for row in found][:2] == ["vertex 0", "vertex 1"]
    assert len(found) == VERTICES


class OwnAttention(nn.Module):
    """A layer by the name of what encoders have as a method."""

    def __init__(self):
        super().__init__()
        self.graph = connect.complete_between(VERTICES, 10)
        self.attention = EdgeLinear(self.graph)

    def forward(self, inputs):
        tokens = inputs["features"].mean(2).t()[..., None]
        return ModelOutput(self.attention(tokens, self.graph)[..., 0].t())

    def rewired(self, graph, name=None):
        self.graph = graph


def test_attention_that_is_something_else_is_left_out(tmp_path):
    page = report.write(tmp_path, model=OwnAttention(), data=responses_of()).read_text()
    assert 'id="regions"' in page
    assert "attention_of_regions" not in stems(tmp_path)


def test_a_few_regions_of_each_family_are_drawn():
    masks = torch.eye(9).bool()
    names = tuple("abcdefghi")
    regions = Regions(masks, names, ("x",) * 6 + ("y",) * 2 + ("z",))
    # x0 y0 z0, x1 y1, x2.
    assert _of_each_family((*names, "rest"), regions) == [0, 1, 6, 7, 8, 9]
    assert _of_each_family(("a", "b"), regions) == [0, 1]


def test_tokens_that_are_no_grid_are_said_to_be_none(tmp_path):
    data = responses_of()
    inputs = {"features": data.train_inputs["features"][:, :8]}
    data = Dataset(inputs, data.train_targets, inputs, data.train_targets, task=data.task)
    model = encoder(data, position="none")
    page = report.write(tmp_path, model=model, data=data).read_text()
    assert "No maps of attention: tokens must lie on a grid. Got 8 tokens" in page
    assert "attention_of_regions" not in stems(tmp_path)


def test_facts_leave_out_a_geometry_of_nothing():
    data = responses_of()
    model = encoder(data)
    for geometry, there in ((SURFACE, True), (grid.sheet(1, 1), False)):
        seen = observe(model, data, geometry, samples=2)
        names = [name for name, _ in facts(model, seen, {})]
        assert ("geometry" in names) == ("columns" in names) == there


def test_even_activity_is_inside_the_picture():
    values = np.full((1, 5), 0.56) + np.linspace(0, 1e-3, 5)
    axes = _curves(values, [0]).axes[0]
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] > 1.04 * values.max()


def test_the_picture_says_which_rows_it_has():
    masks = torch.eye(120).bool()
    regions = Regions(masks, tuple(f"r{k}" for k in range(120)))
    draws = torch.Generator().manual_seed(0)
    responses = torch.rand(9, 120, generator=draws)
    task = Regression(regions=regions)
    caption = region_scores(encoding_table({"a": responses}, responses, task)).caption
    assert caption.endswith("Grey line: 0. The picture has the first 100 rows.")
