"""What the chapter about a changing wiring draws and says."""

import csv
import io
import json

import numpy as np
import pytest
import torch

from geometries import grid, sphere
from graphcolumns.analysis import report
from graphcolumns.analysis.edge_lifetimes import edge_lifetimes
from graphcolumns.analysis.entries import series
from graphcolumns.analysis.figures.budget import budget, exploration
from graphcolumns.analysis.figures.drift import degrees_at, length_shift, lengths_at
from graphcolumns.analysis.figures.growing import INK, LINES, drawable, kinds
from graphcolumns.analysis.figures.learning import learning
from graphcolumns.analysis.figures.prediction import forecast, prediction
from graphcolumns.analysis.figures.turnover import ages, churn
from graphcolumns.analysis.report.rewired import chapter, measured, words
from graphcolumns.geometry import Geometry
from tests.analysis.support import histories
from tests.analysis.support.histories import events
from tests.analysis.support.sheets import build, images

LINE = Geometry(torch.arange(4.0)[:, None] * torch.tensor([0.0, 1.0]), unit="mm")
LENGTH = np.array([1, 1, 2, 1, 1, 1, 3, 0.0])  # of 01 01 02 12 12 23 30 33


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def column(text: str, name: str) -> list[float]:
    return [float(row[name]) for row in rows(text)]


def test_lengths_by_hand():
    found = edge_lifetimes(events())
    assert measured(found, LINE).tolist() == LENGTH.tolist()
    assert sorted(lengths_at(found, LENGTH, 0)) == [1, 1, 1]  # 33 is no wire
    assert sorted(lengths_at(found, LENGTH, 2)) == [1, 1, 2, 3]
    assert sorted(lengths_at(found, LENGTH, 3)) == [1, 1, 3]


def test_degrees_by_hand():
    into, out = degrees_at(
        edge_lifetimes(events()), 5, 2
    )  # 01 02 23 30 33, and a column of no edge
    assert into.tolist() == [2, 0, 1, 2, 0]
    assert out.tolist() == [1, 1, 1, 2, 0]


def test_kinds_by_hand():
    """At the moment of 01 02 23 30 33, between those of the start and of the end."""
    parts = list(kinds(edge_lifetimes(events()), 0, 2, 3).values())
    stays, dying, newborn, both = (np.flatnonzero(part).tolist() for part in parts)
    assert (stays, newborn, dying, both) == ([5, 7], [6], [], [1, 2])
    stays, dying, newborn, both = kinds(edge_lifetimes(events()), 0, 0, 2).values()
    assert not (newborn | both).any()  # nothing is newborn at the start
    assert np.flatnonzero(dying).tolist() == [0, 3]


def test_what_is_drawn_does_not_blacken_the_sheet():
    geometry = grid.sheet(40, 40)
    assert drawable(edge_lifetimes(events([(0, [], [(0, 1)])])), geometry) == 1
    short = [(c, c + 1) for c in range(1500)] + [(c, c) for c in range(1500)]
    assert (
        drawable(edge_lifetimes(events([(0, [], short)])), geometry) == 1
    )  # neighbours make little ink
    loops = [(t, s) for t in range(100) for s in range(t, t + 40)]
    share = drawable(edge_lifetimes(events([(0, [], loops)])), geometry)
    assert share <= LINES / 4000
    far = [(t, s) for t in range(30) for s in range(1570, 1600)]  # from the top to the bottom
    assert drawable(edge_lifetimes(events([(0, [], far)])), geometry) < 1.1 * INK / 900


def test_tables_by_hand():
    found = edge_lifetimes(events())
    text = budget(found, LENGTH, "mm").csv
    assert column(text, "edges") == [4, 4, 5, 4]
    assert column(text, "wire") == [3, 4, 7, 5]
    assert column(text, "mean_length") == pytest.approx([1, 4 / 3, 7 / 4, 5 / 3], rel=1e-5)
    text = churn(found).csv
    assert (column(text, "born"), column(text, "died")) == ([1, 2, 1], [1, 1, 2])
    assert "30.56%" in churn(found).caption  # (2 / 8 + 3 / 9 + 3 / 9) / 3
    text = exploration(found, 4).csv
    assert column(text, "edges_ever") == [4, 5, 6, 6]
    shown = [row for row in rows(ages(found).csv) if row["edges"] == "initial edges"]
    assert [float(row["alive"]) for row in shown] == [1, 0.75, 0.5, 0.5]


def test_histogram_of_lengths_by_hand():
    found = edge_lifetimes(events())
    text = length_shift(found, LENGTH, "mm").csv
    last = np.array(column(text, "step_30"))
    assert last[last > 0] == pytest.approx([2 / 3, 1 / 3], rel=1e-5)  # two of 1 mm, one of 3 mm
    assert last[-1] > 0
    only_itself = [(0, [], [(0, 0)]), (1, [], [(1, 1)])]
    assert length_shift(edge_lifetimes(events(only_itself)), np.zeros(2), "mm") is None


def test_wire_of_columns_that_moved():
    found = edge_lifetimes(events())
    same = [{"step": 10, "wiring_length": 4.0}, {"step": 20, "wiring_length": 7.0}]
    moved = [{"step": 10, "wiring_length": 4.0}, {"step": 20, "wiring_length": 9.0}]
    assert "moved" not in budget(found, LENGTH, "mm", same).caption
    assert "moved" in budget(found, LENGTH, "mm", moved).caption


def test_forecast():
    names = ("edges_born", "edges_died", "predicted_change", "realised_change")
    entries = [
        {"step": 5, "loss": 1.0},
        {"step": 10, "predicted_change": -0.3, "realised_change": -0.1, "accepted": 0.25},
        {"step": 20, "predicted_change": -0.2, "realised_change": None},
        {**dict.fromkeys(names, 0), "step": 25, "accepted": 1.0},  # nothing was proposed
        {"step": 30, "predicted_change": -0.1, "realised_change": 0.2},
    ]
    found = forecast(entries)
    assert found.steps.tolist() == [10, 30]
    assert found.predicted.tolist() == [-0.3, -0.1]
    assert found.realised.tolist() == [-0.1, 0.2]
    assert found.accepted.tolist() == [0.25, 1]
    refused = {**dict.fromkeys(names, 0), "step": 25, "accepted": 0.0}
    assert forecast([refused]).accepted.tolist() == [0]
    assert prediction(entries[:1]) is None
    more = [{"step": 40, "predicted_change": -0.4, "realised_change": 0.3, "accepted": 0.0}]
    nothing = [{"step": 50, "predicted_change": 0.0, "realised_change": 0.0, "accepted": 0.0}]
    assert "rank correlation -0.50" in prediction(entries + more + nothing).caption


def test_words():
    found = edge_lifetimes(events())
    text = words(found, LENGTH, "mm")
    assert "3 updates changed the wiring from 4 edges to 4 (4 born, 4 died)." in text
    assert "The mean length of an edge went from 1 to 1.67 mm (+67%)." in text
    assert "At the end 50% of the initial edges and 50% of those born later are alive." in text
    quiet = words(
        edge_lifetimes(events([histories.LOG[0], (9, [], [])])), LENGTH[[0, 3, 5, 7]], "mm"
    )
    assert quiet == "1 update left the wiring as it was, with 4 edges."


def test_pairs_that_the_run_has_counted_itself():
    found, notes = (
        edge_lifetimes(events()),
        [{"step": 10, "explored": 0.4}, {"step": 11, "loss": 1.0}],
    )
    assert series(notes, "explored")[1].tolist() == [0.4]
    assert "may connect" in exploration(found, 4, notes).caption
    assert "all pairs of columns" in exploration(found, 4).caption


def edges(graph) -> list[tuple[int, int]]:
    return list(zip(graph.target.tolist(), graph.source.tolist(), strict=True))


def rewired(run, user, log=None, notes=()):
    """A report of a run whose log ends in the edges of its model."""
    geometry, permutation = user.reorder()
    model = build(geometry, permutation)
    now = edges(model.graph)
    loops = [(0, 5), (1, 7)]
    start = sorted(set(now[4:]) | set(loops))
    log = [(0, [], start), (10, [], now[:2]), (20, loops, now[2:4])] if log is None else log
    histories.write(run, log)
    (run / "metrics.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in notes))
    report.write(run, model=model, data=images(), geometry=geometry, permutation=permutation)
    return (run / "report.html").read_text()


CHAPTER = "How the wiring changed"
PICTURES = {
    *("wiring_over_time", "churn", "ages", "budget", "length_shift", "degree_shift"),
    *("prediction", "explored"),
}
USER = sphere.icosphere(2)  # 162 columns, which the model has in another order


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a rewired run with its report."""
    folder = tmp_path_factory.mktemp("rewired")
    note = {"step": 10, "predicted_change": -0.2, "realised_change": -0.1, "accepted": 1.0}
    rewired(folder, USER, notes=[{"step": 9, "loss": 1.0}, note | {"loss": 1.0}])
    return folder


def table(run, name: str) -> list[dict[str, str]]:
    return rows((run / f"report/{name}.csv").read_text())


def test_the_chapter_of_a_rewired_run(run):
    text = (run / "report.html").read_text()
    assert text.startswith("<!doctype html>")
    assert text.count(f">{CHAPTER}</h2>") == 1
    assert "2 updates changed the wiring from 484 edges to 486 (4 born, 2 died)." in text
    assert "The log goes on" not in text  # its last edges are those of the model
    after = text[text.index(f">{CHAPTER}</h2>") :]
    assert all(f'<section id="{name}">' in after for name in PICTURES)


def test_the_chapter_names_the_users_columns(run):
    assert not torch.equal(USER.reorder()[1], torch.arange(162))
    lived, wires = table(run, "wiring_over_time"), table(run, "wires")
    left = {(r["target"], r["source"], r["length"]) for r in lived if r["died_at"] == "-1"}
    assert left == {(r["target"], r["source"], r["distance"]) for r in wires}
    assert sum(row["died_at"] == "20" for row in lived) == 2
    assert sum(row["born_at"] == "10" for row in lived) == 2


def test_what_updates_note_is_no_learning_curve(run):
    assert table(run, "learning")[0].keys() == {"step", "loss"}
    assert [row["predicted"] for row in table(run, "prediction")] == ["-0.2"]


def test_a_log_that_goes_on_after_the_checkpoint(tmp_path):
    first = (0, [], [(0, 1), (1, 2)])
    assert "The log goes on" in rewired(tmp_path, grid.sheet(8, 8), [first, (9, [(0, 1)], [])])


def test_a_static_run_has_no_chapter(tmp_path):
    assert chapter(tmp_path, None) is None  # without a log
    histories.write(tmp_path, [(0, [], [(0, 1)])])
    geometry = grid.sheet(8, 8)
    page = report.write(tmp_path, model=build(geometry), data=images(), geometry=geometry)
    assert CHAPTER not in page.read_text()
    assert not {path.stem for path in (tmp_path / "report").iterdir()} & PICTURES


def test_only_updates_noted_anything(tmp_path):
    note = {"step": 3, "edges": 4, "explored": 0.1}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(note) + "\n")
    assert learning(tmp_path) is None
