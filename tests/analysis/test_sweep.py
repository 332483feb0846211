"""Runs of a sweep as rows and as a figure."""

import csv
import json
from itertools import pairwise

import pytest
import yaml
from matplotlib.backends.backend_agg import FigureCanvasAgg

from graphcolumns.analysis import sweep
from graphcolumns.analysis.arms import short_keys
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
    drawn = sweep.sweep_figure(sweep.collect(folder))
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
    drawn = sweep.sweep_figure(rows, x="model.weights", y="edges", panel="degree")
    assert [axes.get_title() for axes in drawn.axes] == ["degree = 2", "degree = 4"]
    assert [t.get_text() for t in drawn.axes[0].get_xticklabels()] == ["shared", "untied"]


RULES = "none static set rigl exact mest homeostatic wiring".split()


def run_of_a_rule(folder, name, rule, seed, **more):
    """A run whose rule has options that other rules lack, and parts of its own."""
    run(folder, name, 4, seed, 0.5 + 0.01 * seed)
    path = folder / name / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["graph"] = {"_target_": "graphcolumns.connect.nearest", "degree": config["degree"]}
    config["plasticity"] = None
    if rule != "none":
        sampler = {"_target_": "graphcolumns.plasticity.samplers.uniform", "_partial_": True}
        own = {"constraints": {"_target_": "graphcolumns.plasticity.Constraints", "min_in": 1}}
        config["plasticity"] = {
            "_target_": f"graphcolumns.plasticity.presets.{rule}",
            "_partial_": True,
            f"only_{rule}": [1, 2, 3],
            "sampler": sampler,
            **(own if rule in ("set", "rigl") else {}),
            **more,
        }
    path.write_text(yaml.safe_dump(config))


def overlap(figure, texts):
    """Pairs of texts that are drawn over each other."""
    FigureCanvasAgg(figure).draw()
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    return [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]


def test_rules_are_told_by_their_names(tmp_path):
    for rule in RULES:
        for seed in (0, 1):
            run_of_a_rule(tmp_path, f"{rule}-{seed}", rule, seed)
    rows = sweep.collect(tmp_path)
    assert list(rows[0])[:3] == ["run", "plasticity", "seed"]
    assert {row["plasticity"] for row in rows} == {None, *RULES[1:]}
    drawn = sweep.sweep_figure(rows)
    (axes,) = drawn.axes
    assert axes.get_xlabel() == "plasticity"
    labels = [tick.get_text() for tick in axes.get_xticklabels()]
    assert labels == ["none", *sorted(RULES[1:])]
    assert not drawn.legends
    assert all(line.get_linestyle() == "None" for line in axes.lines)  # no line between names
    saved = sweep.save_sweep(tmp_path, rows, drawn)
    assert saved[0].read_text().startswith("run,plasticity,seed,")


def test_an_option_that_is_varied_beside_the_rule(tmp_path):
    for rule in ("rigl", "set"):
        for every in (10, 50):
            run_of_a_rule(tmp_path, f"{rule}-{every}", rule, 0, every=every)
    rows = sweep.collect(tmp_path)
    assert list(rows[0])[:4] == ["run", "plasticity.every", "plasticity", "seed"]
    drawn = sweep.sweep_figure(rows)
    assert drawn.axes[0].get_xlabel() == "plasticity.every"
    (legend,) = drawn.legends
    assert [text.get_text() for text in legend.texts] == ["plasticity=rigl", "plasticity=set"]


def test_functions_of_one_name_are_told_apart(tmp_path):
    for number, target in enumerate(("mine.rules.rigl", "graphcolumns.plasticity.presets.rigl")):
        run_of_a_rule(tmp_path, str(number), "rigl", 0, _target_=target)
    rows = sweep.collect(tmp_path)
    assert [row["plasticity"] for row in rows] == ["rules.rigl", "presets.rigl"]


@pytest.mark.parametrize("count", [2, 12, 40, 100])
def test_many_runs_with_long_names_stay_legible(tmp_path, count):
    for number in range(count):
        name = f"a_rather_long_name_of_a_thing_number_{number}"
        run(tmp_path, str(number), 2, 0, 0.5, path=f"/data/{name}", hidden=number % 2)
    rows = sweep.collect(tmp_path)
    drawn = sweep.sweep_figure(rows, x="model.path")
    (axes,) = drawn.axes
    assert max(len(tick.get_text()) for tick in axes.get_xticklabels()) <= 28
    FigureCanvasAgg(drawn).draw()
    edges = [tick.get_window_extent() for tick in axes.get_xticklabels()]
    if count > 16:  # upright, so boxes are those of the text
        assert all(a.x1 <= b.x0 for a, b in pairwise(edges))
    drawn = sweep.sweep_figure(rows, x="model.hidden")
    assert not overlap(drawn, [text for legend in drawn.legends for text in legend.texts])
    box = drawn.axes[0].get_window_extent()
    assert box.width > 0.2 * drawn.bbox.width
    assert box.height > 0.5 * drawn.bbox.height
    if count > 72:
        assert "100 lines; --panel KEY parts them" in drawn.axes[0].get_title(loc="right")


def test_only_seeds_differ(tmp_path):
    for seed in (0, 1):
        run(tmp_path, f"s{seed}", 2, seed, 0.5)
    drawn = sweep.sweep_figure(sweep.collect(tmp_path))
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


def test_runs_of_several_versions_have_the_same_columns(tmp_path):
    made_by = {"_target_": "graphcolumns.models.columnformer.sheet"}
    run(tmp_path, "a", 2, 0, 0.5, **made_by, weights="shared", stride=2)
    grouped = {"weights": {"attention": "untied"}, "interface": {"stride": 2}}
    run(tmp_path, "b", 2, 0, 0.6, **made_by, **grouped)
    assert main(["collect", str(tmp_path), "--x", "model.weights.attention"]) == 0
    with (tmp_path / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:3] == ["run", "model.weights.attention", "seed"]
    assert [row["model.weights.attention"] for row in rows] == ["shared", "untied"]


def test_the_field_of_a_group_keeps_the_name_of_its_group():
    keys = ["model.weights.attention", "graph.degree", "plasticity.degree", "seed"]
    assert list(short_keys(keys).values()) == [
        *("weights.attention", "graph.degree", "plasticity.degree", "seed"),
    ]
    assert short_keys(["optimizer.lr", "model.depth"]) == {
        "optimizer.lr": "lr",
        "model.depth": "depth",
    }


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
