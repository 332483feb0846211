"""The table of metrics, its nulls, and the folder that it is written to."""

import csv
import io
import math

import pytest
import torch

from geometries import grid
from graphcolumns import ColumnGraph, connect
from graphcolumns.analysis.connectome import (
    adjacency_figure,
    clustering,
    connectome_table,
    edge_reciprocity,
    fit_distance_rules,
    modularity,
    null_figure,
    save_figure,
    small_world,
    strongest_pairs,
    wiring_cost,
    write_connectome,
)
from graphcolumns.analysis.connectome.nulls import null_values, permute_positions, rewire_degrees
from graphcolumns.analysis.hierarchy import trophic_incoherence
from graphcolumns.geometry import Geometry
from graphcolumns.random.counter import derive

SHEET = grid.sheet(8, 8)
GRAPH = connect.distance_decay(SHEET, 12, length=1.5, self_loops=False)
NOISE = torch.rand(GRAPH.num_edges, generator=torch.Generator().manual_seed(0))
WEIGHTS = (NOISE - GRAPH.distance / 2).exp()


@pytest.fixture(scope="module")
def table():
    return connectome_table(GRAPH, WEIGHTS, SHEET, densities=(0.05, 0.1), count=3, seed=1)


def test_values_are_those_of_the_functions(table):
    assert table.row("density").value == pytest.approx(12 / 63)
    assert table.row("reciprocity").value == edge_reciprocity(GRAPH)
    assert table.row("trophic_incoherence").value == trophic_incoherence(GRAPH, WEIGHTS)
    kept, _ = strongest_pairs(GRAPH, WEIGHTS, 0.1)
    assert table.row("clustering", 0.1).value == clustering(kept)
    assert table.row("modularity", 0.1).value == modularity(kept, seed=derive(1, "table"))
    world = small_world(kept, seed=derive(1, "table"))
    assert table.row("propensity", 0.1).value == world.propensity
    cost = wiring_cost(kept, SHEET)
    ratio = table.row("wiring_ratio", 0.1)
    assert (ratio.value, ratio.z, ratio.draws) == (cost.ratio, pytest.approx(cost.z), 0)
    assert table.row("scaled_rate", 0.1).value == fit_distance_rules(kept, SHEET).scaled_rate
    assert table.row("mean_length", 0.1).unit == "pixel"


def test_nulls_are_those_of_null_values(table):
    seed = derive(1, "null degrees")
    expected = null_values(
        GRAPH, lambda g, _: edge_reciprocity(g), rewire_degrees, 3, seed, WEIGHTS, SHEET
    )
    row = table.row("reciprocity", null="degrees")
    assert (row.null_mean, row.null_sd, row.z) == (expected.mean, expected.sd, expected.z)
    assert row.draws == 3
    found = table.null_values[0.1, "clustering", "degrees"]
    assert found.observed == table.row("clustering", 0.1).value
    assert len(found.values) == 3


def test_nulls_that_keep_a_metric_are_left_out(table):
    of = {
        metric: {row.null for row in table.rows if row.metric == metric and row.graph != "directed"}
        for metric in ("clustering", "mean_length", "propensity")
    }
    assert "positions" not in of["clustering"]
    assert "directions" not in of["clustering"]
    assert {"degrees", "positions"} <= of["mean_length"]
    assert of["propensity"] == {""}


def test_local_wiring_differs_from_its_nulls(table):
    assert table.row("clustering", 0.1, "degrees").z > 5
    assert table.row("mean_length", 0.1, "positions").z < -5


def test_the_seed_decides(table):
    again = connectome_table(GRAPH, WEIGHTS, SHEET, densities=(0.05, 0.1), count=3, seed=1)
    assert again.csv() == table.csv()
    other = connectome_table(GRAPH, WEIGHTS, SHEET, densities=(0.05,), count=3, seed=2)
    assert other.row("clustering", 0.05).null_mean != table.row("clustering", 0.05).null_mean


def test_densities_above_that_of_the_graph_are_left_out():
    found = connectome_table(GRAPH, WEIGHTS, densities=(0.1, 0.9), count=0)
    assert {row.density for row in found.rows if row.graph != "directed"} == {0.1}
    assert found.notes[1].startswith("No graph of density 0.9: it would keep 1814 pairs, and ")
    only = connectome_table(GRAPH, WEIGHTS, densities=(0.9,), count=0)
    assert only.notes[-1] == "All joined pairs are kept instead."
    assert len({row.density for row in only.rows if row.graph != "directed"}) == 1


def test_without_weights_and_geometry():
    found = connectome_table(GRAPH, count=0)
    metrics = {row.metric for row in found.rows}
    assert {"clustering", "modularity", "reciprocity"} <= metrics
    assert not {"sd_log_weight", "wiring_ratio", "mean_length"} & metrics
    assert found.notes == (
        "Undirected metrics: all joined pairs, since there are no weights to choose by.",
    )
    assert all(row.null == "" for row in found.rows)


def test_nulls_of_your_own():
    found = connectome_table(GRAPH, geometry=SHEET, nulls={"mine": permute_positions}, count=2)
    assert {row.null for row in found.rows} == {"", "mine", "positions"}
    assert found.row("wiring_ratio", found.rows[-1].density).null == "positions"


def test_what_cannot_be_measured_is_said():
    """A complete graph has no rule of distance."""
    complete = connect.complete(grid.sheet(3, 3))
    found = connectome_table(complete, geometry=grid.sheet(3, 3), count=0)
    assert any(note.startswith("No distance: a rule of distance needs") for note in found.notes)
    assert found.row("wiring_ratio", 1.0).value == pytest.approx(1)
    with pytest.raises(ValueError, match=r"must have a row of 'scaled_rate' at a density of 1.0"):
        found.row("scaled_rate", 1.0)


def test_a_graph_in_two_parts():
    two = torch.tensor([[0, 1, 2, 4, 5], [1, 2, 3, 5, 6]])
    found = connectome_table(ColumnGraph.from_edge_index(two, 8), count=2)
    density = found.rows[-1].density
    assert found.row("component_share", density).value == 0.5
    assert math.isfinite(found.row("trophic_incoherence").value)


def test_markdown_and_csv(table, tmp_path):
    text = table.to_markdown()
    assert text.startswith("| graph | metric | value | null |")
    assert "| strongest 10 % | mean degree |" in text
    assert text.endswith("\nUndirected metrics: weights symmetrised, (w_ij + w_ji) / 2, strongest "
                         "pairs kept.\n")  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(table.csv())))
    assert len(rows) == len(table.rows)
    assert float(rows[0]["value"]) == table.rows[0].value
    assert rows[0]["z"] == ""
    path = table.to_csv(tmp_path / "t.csv")
    assert path.read_text() == table.csv()
    with pytest.raises(FileExistsError, match=r"must not exist. Pass overwrite=True"):
        table.to_csv(path)


def test_a_folder_is_written_once(table, tmp_path):
    folder = write_connectome(tmp_path / "a" / "out", table, GRAPH, WEIGHTS, SHEET)
    names = {path.name for path in folder.iterdir()}
    figures = ["degrees", "nulls-directed"]
    figures += [f"{name}-{p}" for name in ("adjacency", "distance_rule", "nulls") for p in (5, 10)]
    expected = {f"{name}.{kind}" for name in figures for kind in ("png", "svg", "pdf")}
    assert names == expected | {"metrics.csv", "metrics.md"}
    assert [path.name for path in folder.parent.iterdir()] == ["out"]
    with pytest.raises(FileExistsError, match=r"nothing is overwritten. Choose another folder"):
        write_connectome(folder, table, GRAPH, WEIGHTS, SHEET)


def test_equal_figures_are_equal_files(table, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        save_figure(null_figure(table), tmp_path / name, "nulls")
    for kind in ("png", "svg", "pdf"):
        first, second = ((tmp_path / name / f"nulls.{kind}").read_bytes() for name in ("a", "b"))
        assert first == second


def test_the_adjacency_is_sorted_by_community():
    cliques = torch.tensor([(a, b) for a in range(6) for b in range(6) if a % 2 == b % 2 and a < b])
    _, order = adjacency_figure(ColumnGraph.from_edge_index(cliques.T, 7))
    assert order.tolist() == [0, 2, 4, 1, 3, 5, 6]
    assert null_figure(connectome_table(GRAPH, count=0)) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: connectome_table(GRAPH, count=1), "count must be 2 or above, or 0 for no nulls"),
        (lambda: connectome_table(GRAPH, densities=(2,)), r"densities must lie in \(0, 1\]"),
        (lambda: connectome_table(GRAPH, -WEIGHTS), "weights must be 0 or above"),
        (lambda: connectome_table(GRAPH, 0 * WEIGHTS), "of weight above 0. Got none."),
        (lambda: connectome_table(GRAPH, geometry=Geometry(torch.rand(3, 2))), "64"),
        (
            lambda: connectome_table(ColumnGraph.from_edge_index(torch.tensor([[0], [0]]), 1, 2)),
            "as many sources as columns",
        ),
    ],
)
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
