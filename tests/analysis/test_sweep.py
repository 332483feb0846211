"""Runs of a sweep as rows and as a figure."""

import csv
import json

import pytest
import yaml

from graphcolumns.analysis import sweep
from graphcolumns.cli import main


def run(folder, name, degree, seed, accuracy, **more):
    (folder / name).mkdir(parents=True)
    config = {"name": "x", "run": name, "degree": degree, "seed": seed, "model": {"depth": 2}}
    config["model"] |= more
    (folder / name / "config.yaml").write_text(yaml.safe_dump(config))
    summary = {
        "test_accuracy": accuracy,
        "train_accuracy": None,
        "edges": 10 * degree,
        "seed": seed,
    }
    (folder / name / "summary.json").write_text(json.dumps(summary))


@pytest.fixture
def folder(tmp_path):
    for degree, seed, accuracy in ((2, 0, 0.5), (2, 1, 0.7), (4, 0, 0.8), (4, 1, 1.0)):
        for weights in ("untied", "shared"):
            shift = 0.1 if weights == "shared" else 0.0
            name = f"{weights}-{degree}-{seed}"
            run(tmp_path, name, degree, seed, accuracy - shift, weights=weights)
    return tmp_path


def test_rows(folder):
    rows = sweep.collect(folder)
    assert len(rows) == 8
    first = rows[0]
    assert first["run"] == "shared-2-0"
    assert list(first)[:4] == ["run", "degree", "model.weights", "seed"]
    assert (first["degree"], first["model.weights"], first["test_accuracy"]) == (2, "shared", 0.4)


def test_figure(folder):
    drawn = sweep.figure(sweep.collect(folder))
    (axes,) = drawn.axes
    assert axes.get_xlabel() == "degree"
    assert axes.get_ylabel() == "test_accuracy"
    lines = {c.get_label(): c.lines[0].get_data() for c in axes.containers}
    assert set(lines) == {"weights=shared", "weights=untied"}
    x, y = lines["weights=untied"]
    assert list(x) == [2, 4]
    assert list(y) == pytest.approx([0.6, 0.9])


def test_panels_and_other_axes(folder):
    rows = sweep.collect(folder)
    drawn = sweep.figure(rows, x="model.weights", y="edges", panel="degree")
    assert [axes.get_title() for axes in drawn.axes] == ["degree = 2", "degree = 4"]
    assert [t.get_text() for t in drawn.axes[0].get_xticklabels()] == ["shared", "untied"]


def test_only_seeds_differ(tmp_path):
    for seed in (0, 1):
        run(tmp_path, f"s{seed}", 2, seed, 0.5)
    drawn = sweep.figure(sweep.collect(tmp_path))
    assert drawn.axes[0].get_xlabel() == "seed"


def test_command(folder, capsys):
    assert main(["collect", str(folder), "--panel", "model.weights"]) == 0
    assert "8 runs -> " in capsys.readouterr().out
    with (folder / "sweep.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == 8
    assert table[0]["train_accuracy"] == ""
    assert (folder / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert not list(folder.glob("*.tmp"))
    assert main(["collect", str(folder)]) == 0  # and again, without taking its own files for runs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--x", "depth"], "x must be one of degree, model.weights, seed. Got 'depth'."),
        (["--y", "loss"], "y must be one of test_accuracy, edges. Got 'loss'."),
        (["--panel", "x"], "panel must be one of degree, model.weights, seed. Got 'x'."),
    ],
)
def test_unknown_keys(folder, capsys, arguments, message):
    assert main(["collect", str(folder), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "sweep.csv").exists()


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        sweep.collect(tmp_path / "no")
    with pytest.raises(FileNotFoundError, match="there is no finished run below"):
        sweep.collect(tmp_path)


def test_damaged(folder):
    (folder / "untied-2-0" / "summary.json").write_text('{"test_acc')
    with pytest.raises(ValueError, match=r"summary\.json is damaged"):
        sweep.collect(folder)
    (folder / "untied-2-0" / "summary.json").write_text("[]")
    with pytest.raises(ValueError, match="it holds no keys"):
        sweep.collect(folder)
