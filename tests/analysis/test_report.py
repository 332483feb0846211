"""The page of a run: what it says, and that it stands alone."""

import csv
import io
import json
import re
from dataclasses import replace

import pytest
import torch

from geometries import cortex, grid, sphere
from graphcolumns.analysis import interactive, report
from graphcolumns.data import Dataset, natural_patches, planted
from tests.analysis.support.sheets import build, images
from tests.analysis.test_observe import F, light_up

NAMES = {
    *("learning", "confusion", "wires", "activity", "attention", "attention_of_columns"),
    *("receptive_fields", "lengths", "degrees", "adjacency"),
}


def train_a_little(run):
    lines = [{"step": s, "loss": 2.0 / s, "task": 2.0 / s, "lr": 0.1} for s in range(1, 5)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run / "summary.json").write_text(json.dumps({"test_accuracy": 0.625, "steps": 4, "seed": 7}))


def write(run, user, **options):
    train_a_little(run)
    geometry, permutation = user.reorder()
    model = build(geometry, permutation, **options)
    light_up_if_possible(model, permutation)
    parts = {"model": model, "data": images(), "geometry": geometry, "permutation": permutation}
    return report.write(run, **parts, config="name: <tiny>\n")


@pytest.fixture(scope="module")
def of_a_sheet(tmp_path_factory):
    """The run folder of an 8 x 8 sheet, with its report."""
    run = tmp_path_factory.mktemp("sheet")
    write(run, grid.sheet(8, 8))
    return run


def light_up_if_possible(model, permutation):
    if len(permutation) == 64:
        light_up(model, permutation)


def rows(path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_files(of_a_sheet):
    for suffix in (".png", ".csv"):
        assert {p.stem for p in (of_a_sheet / "report").glob(f"*{suffix}")} == NAMES
    left = {path.name for path in of_a_sheet.iterdir()}
    assert left == {"metrics.jsonl", "summary.json", "report", "report.html"}


def test_words_and_numbers(of_a_sheet):
    text = (of_a_sheet / "report.html").read_text()
    assert "A sheet of 64 columns of width 4, each with its own weights, applied 2 times" in text
    assert "192 edges" in text
    assert "62.50 %" in text  # of the summary, not of this untrained model
    assert "baseline: the nearest training image" in text
    assert "name: &lt;tiny&gt;" in text  # a configuration is text, never markup
    assert "euclidean distances in pixel" in text


def test_nothing_is_loaded(of_a_sheet):
    """No address but those inside plotly's own code, which the browser never opens."""
    text = (of_a_sheet / "report.html").read_text()
    loaded = re.findall(r'(?:src|href)="([^"#]*)', text)
    assert loaded
    assert all(address.startswith(("data:", "")) for address in loaded)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)
    assert "Plotly" not in text  # a flat sheet needs none


def test_the_table_names_the_users_columns(of_a_sheet):
    table = rows(of_a_sheet / "report/activity.csv")
    lit = torch.tensor([float(row["step_1"]) > 10 for row in table])
    assert [int(row["column"]) for row in table] == list(range(64))
    assert torch.equal(lit.view(8, 8), F)


def test_tables_agree_with_each_other(of_a_sheet):
    folder = of_a_sheet / "report"
    degrees, wires = rows(folder / "degrees.csv"), rows(folder / "wires.csv")
    assert sum(int(row["in_degree"]) for row in degrees) == len(wires) == 192
    received = sum(float(row["attention_received"]) for row in rows(folder / "attention.csv"))
    assert received == pytest.approx(64, rel=1e-4)
    effective = [float(row["effective_sources"]) for row in rows(folder / "attention.csv")]
    assert all(1 <= value <= 3.0001 for value in effective)
    shares = rows(folder / "lengths.csv")
    for name in ("edges", "random", "distance_rule"):
        assert sum(float(row[name]) for row in shares) == pytest.approx(1, abs=1e-4)
    confusion = rows(folder / "confusion.csv")
    assert sum(int(row["samples"]) for row in confusion) == 12
    assert len(rows(folder / "learning.csv")) == 4


def test_again_in_place_of_the_earlier_one(tmp_path):
    page = write(tmp_path, grid.sheet(8, 8))
    assert page == tmp_path / "report.html"
    first = page.read_bytes()
    (tmp_path / "report" / "old.png").write_bytes(b"")
    assert write(tmp_path, grid.sheet(8, 9)).read_bytes() != first
    assert not (tmp_path / "report" / "old.png").exists()


@pytest.mark.parametrize(
    "user",
    [
        pytest.param(grid.stack([8, 8]), id="stack"),
        pytest.param(sphere.icosphere(2), id="icosphere", marks=pytest.mark.slow),
        pytest.param(cortex.fsaverage(2, "both"), id="fsaverage", marks=pytest.mark.slow),
    ],
)
def test_columns_in_space_can_be_turned(tmp_path, user):
    assert interactive.installed()
    text = write(tmp_path, user).read_text()
    kind = "mesh3d" if user.faces is not None else "scatter3d"
    views = text[text.index('<section id="activity"') :].split("</section>")[0]
    assert f'"type":"{kind}"' in views
    assert '"label":"step 2"' in views
    assert text.count("plotly.js v") >= 1


def test_without_plotly(tmp_path, monkeypatch):
    monkeypatch.setattr(interactive, "installed", lambda: False)
    text = write(tmp_path, grid.stack([8, 8])).read_text()
    # What plays the films of a report is no view that turns.
    assert "plotly.js v" not in text
    assert '"type":"mesh3d"' not in text
    assert '"type":"scatter3d"' not in text
    assert "pip install &#39;graphcolumns[viz]&#39;" in text or "graphcolumns[viz]" in text


def test_denoising(tmp_path):
    data = natural_patches(size=8, count=40)
    geometry = grid.sheet(8, 8)
    model = build(geometry, num_classes=64)
    report.write(tmp_path, model=model, data=data, geometry=geometry)
    assert (tmp_path / "report/restored.png").exists()
    assert not (tmp_path / "report/confusion.png").exists()
    assert "of the input as it came" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("readout", ["columns", "mean"])
def test_yes_or_no(tmp_path, readout):
    data, (geometry, permutation) = planted(8, 8, count=40), grid.sheet(8, 8).reorder()
    model = build(geometry, permutation, num_classes=64, interface={"readout": readout})
    report.write(tmp_path, model=model, data=data, geometry=geometry, permutation=permutation)
    found = [float(row["right"]) for row in rows(tmp_path / "report/answers.csv")]
    answers = model.eval()(data.test_inputs).prediction > 0
    expected = (answers == data.test_targets.bool()).double().mean(0)
    assert found == pytest.approx(expected.tolist())
    text = (tmp_path / "report.html").read_text()
    assert "yes-or-no answers about 20 inputs" in text
    assert f"{100 * expected.mean():.2f} %" in text
    commoner = (data.train_targets.double().mean(0).round() == data.test_targets).double().mean()
    assert "always the commoner answer" in text
    assert f"{100 * commoner:.2f} %" in text
    assert not (tmp_path / "report/confusion.png").exists()


def test_yes_or_no_of_fewer_answers_than_columns(tmp_path):
    images, bits = torch.rand(12, 1, 8, 8), torch.arange(36).reshape(12, 3) % 2
    data = Dataset(images, bits, images, bits, 3, "binary")
    geometry = grid.sheet(8, 8)
    report.write(tmp_path, model=build(geometry), data=data, geometry=geometry)
    assert len(rows(tmp_path / "report/answers.csv")) == 3


def test_edges_to_oneself_only_and_nothing_logged(tmp_path):
    geometry = grid.sheet(8, 8)
    report.write(tmp_path, model=build(geometry, degree=1), data=images(), geometry=geometry)
    names = {path.stem for path in (tmp_path / "report").glob("*.png")}
    assert names == NAMES - {"learning", "lengths"}


def test_no_folder(tmp_path):
    geometry = grid.sheet(8, 8)
    with pytest.raises(FileNotFoundError, match="there is no run folder"):
        report.write(tmp_path / "x", model=build(geometry), data=images(), geometry=geometry)


def test_random_numbers_are_left_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    geometry = grid.sheet(8, 8)
    model, data = build(geometry), images()
    torch.manual_seed(5)
    report.write(tmp_path, model=model, data=data, geometry=geometry)
    assert torch.equal(torch.rand(3), expected)


def test_classes_have_their_names(tmp_path):
    train_a_little(tmp_path)
    geometry, permutation = grid.sheet(8, 8).reorder()
    data = replace(images(), classes=("cat", "dog", "a <b>"))
    parts = {"model": build(geometry, permutation), "data": data, "geometry": geometry}
    report.write(tmp_path, **parts, permutation=permutation, config="")
    confusion = rows(tmp_path / "report" / "confusion.csv")
    assert {row["class"] for row in confusion} == {"cat", "dog", "a <b>"}
    assert {row["answer"] for row in confusion} == {"cat", "dog", "a <b>"}
