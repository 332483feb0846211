"""Pages of other runs: no geometry, two graphs, a regression, restored images."""

import json

import pytest
import torch
from torch import nn

from geometries import grid
from graphcolumns import checkpoint, connect
from graphcolumns.analysis import observe, report
from graphcolumns.analysis.figures.results import restored
from graphcolumns.analysis.report.scores import scores
from graphcolumns.analysis.report.story import sentence
from graphcolumns.data import Dataset, digits, natural_patches, responses, two_digits
from graphcolumns.models.bottom_up_top_down import layered_top_down
from graphcolumns.nn import EdgeLinear
from graphcolumns.nn.protocols import ModelOutput
from graphcolumns.plasticity import Rewiring

SHEET = grid.sheet(8, 8)
NEAR, FAR = connect.nearest(SHEET, degree=4), connect.random(SHEET, degree=3)


class Circuit(nn.Module):
    """A column per pixel, on one graph or two."""

    def __init__(self, outputs: int, **graphs) -> None:
        super().__init__()
        self.graphs = graphs
        self.layers = nn.ModuleDict({name: EdgeLinear(graph) for name, graph in graphs.items()})
        self.readout = nn.Linear(64, outputs)

    def rewired(self, graph, name):
        self.graphs[name] = graph

    def forward(self, images):
        x = images.flatten(1).t()[..., None]
        for name, layer in self.layers.items():
            x = torch.tanh(x + layer(x, self.graphs[name]))
        return ModelOutput(self.readout(x[..., 0].t()), state=x)


def small(data: Dataset) -> Dataset:
    data = data.subset(torch.arange(60))
    inputs, targets = data.batch("test", torch.arange(40))
    return Dataset(
        *(data.train_inputs, data.train_targets, inputs, targets),
        num_classes=data.num_classes,
        task=data.task,
    )


def page(run, model, data, geometry=SHEET) -> str:
    return report.write(run, model=model, data=small(data), geometry=geometry).read_text()


def stems(run) -> set[str]:
    return {path.stem for path in (run / "report").glob("*.png")}


def first_row(text: str) -> str:
    return text.partition('class="first"')[2].partition("</tr>")[0]


def test_without_a_geometry_there_are_no_maps(tmp_path):
    text = page(tmp_path, Circuit(10, graph=NEAR), digits(), geometry=None)
    assert {"confusion", "degrees", "adjacency", "weights"} <= stems(tmp_path)
    assert "wires" not in stems(tmp_path)
    assert "No map of the edges: no geometry has both of their ends." in text


@pytest.fixture(scope="module")
def of_two(tmp_path_factory):
    """A run of two graphs, of which the second changed once."""
    run = tmp_path_factory.mktemp("two")
    drawn = connect.random(SHEET, degree=3, seed=1)
    for name, graph in (("near", NEAR), ("far", FAR)):
        checkpoint.begin_history(run, 0, graph, name=name)
    checkpoint.write_event(run, 2, 1, Rewiring.between(FAR, drawn), name="far")
    lines = [{"step": s, "loss": 2.0 / s, "task": 2.0 / s, "lr": 0.1} for s in (1, 2, 3)]
    lines[1] |= {"far/edges": 192, "far/explored": 0.5, "far/predicted_change": -0.1}
    lines[1] |= {"far/realised_change": -0.2, "far/accepted": 1.0}
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run, page(run, Circuit(10, near=NEAR, far=drawn), digits())


def test_every_graph_has_a_heading_and_its_pictures(of_two):
    run, text = of_two
    for name in ("near", "far"):
        assert f'<div class="chapter" id="graph_{name}">' in text
        assert f"Wires on the sheet: {name}" in text
        assert {f"{each}_{name}" for each in ("wires", "weights", "degrees")} <= stems(run)
    assert (
        text.index('id="graph_near"') < text.index('id="wires_near"') < text.index('id="graph_far"')
    )


def test_only_the_graph_that_changed_has_a_chapter_about_it(of_two):
    run, text = of_two
    assert 'id="rewired_far"' in text
    assert 'id="rewired_near"' not in text
    assert "1 update changed the wiring from 192 edges to 192" in text
    assert {"churn_far", "prediction_far", "explored_far"} <= stems(run)
    header = (run / "report/learning.csv").read_text().splitlines()[0]
    assert "far/" not in header


def test_a_log_without_names_is_that_of_the_first_graph(tmp_path):
    changed = connect.random(SHEET, degree=4, seed=2)
    checkpoint.begin_history(tmp_path, 0, NEAR)
    checkpoint.write_event(tmp_path, 2, 1, Rewiring.between(NEAR, changed))
    text = page(tmp_path, Circuit(10, near=changed, far=FAR), digits())
    assert 'id="rewired_near"' in text
    assert 'id="rewired_far"' not in text


def test_a_regression_begins_with_r2_and_its_baseline(tmp_path):
    data = responses(units=6)
    text = page(tmp_path, Circuit(6, graph=NEAR), data)
    assert "r2 (higher is better), test half, 40 samples" in first_row(text)
    assert "baseline: the mean of every training target" in text
    assert "ceiling fraction" in text
    assert "responses" in stems(tmp_path)
    assert "confusion" not in stems(tmp_path)


def test_the_first_table_has_the_score_of_every_instruction():
    data = two_digits(train_count=20, test_count=20)
    model = layered_top_down([120, 8, 10], num_instructions=2)
    seen = observe(model, data, None)
    known = {"test_accuracy": 0.5, "test_accuracy_left": 0.25, "test_accuracy_right": 0.75}
    rows = scores(known, seen, data)
    assert rows[1:3] == [
        ("accuracy of left, test half", "25.00 %"),
        ("accuracy of right, test half", "75.00 %"),
    ]
    assert not [what for what, _ in scores({}, seen, data) if "left" in what]
    assert "20 inputs of image 1 x 10 x 12 values." in sentence(model, data)


def test_a_reconstruction_shows_restored_images(tmp_path):
    text = page(tmp_path, Circuit(64, graph=NEAR), natural_patches(count=200))
    assert "normalised error (lower is better)" in text
    assert "mean squared error of the input as it came" in text
    assert "restored" in stems(tmp_path)


def test_metrics_of_a_task_have_panels_of_their_own(tmp_path):
    lines = [{"step": s, "loss": 1.0, "train_r2": 0.1, "validation_r2": -0.5} for s in (1, 2)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    picture = report.learning(tmp_path)
    assert picture.csv.splitlines()[0] == "step,loss,train_r2,validation_r2"


def test_answers_that_are_constant_have_their_own_grey():
    model = Circuit(64, graph=NEAR)
    seen = observe(model, small(natural_patches(count=200)), SHEET)
    black = seen._replace(prediction=torch.full_like(seen.prediction, -1e3))
    grey = seen._replace(prediction=seen.targets.mean().expand_as(seen.prediction))
    assert restored(black).png != restored(grey).png
