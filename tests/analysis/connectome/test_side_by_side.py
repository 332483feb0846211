"""Brain and model in one figure: what is drawn is what was measured."""

import math

import numpy as np
import pytest
import torch

from geometries import grid
from graphcolumns import ColumnGraph, connect
from graphcolumns.analysis.connectome import (
    ConnectomeTable,
    MetricRow,
    SideBySide,
    compare_connectomes,
    strongest_pairs,
)
from graphcolumns.analysis.connectome.nulls import NullValues
from graphcolumns.analysis.connectome.side_by_side import (
    excess,
    joined_by_distance,
    share_by_distance,
)
from graphcolumns.geometry import Geometry

LINE = Geometry(torch.tensor([[0.0, 0], [1, 0], [3, 0]]), unit="mm")
# 0 and 1 are joined in both directions, 1 sends to 2.
THREE = ColumnGraph.from_edge_index(torch.tensor([[1, 0, 1], [0, 1, 2]]), 3)


def every_pair(n: int, lengths) -> ColumnGraph:
    target, source = np.nonzero(~np.eye(n, dtype=bool))
    length = torch.tensor([float(lengths(s, t)) for s, t in zip(source, target, strict=True)])
    return ColumnGraph.from_edge_index(
        torch.from_numpy(np.stack([source, target])), n, distance=length
    )


def table() -> ConnectomeTable:
    found = {
        (math.nan, "reciprocity", "degrees"): NullValues(0.5, np.array([0.2, 0.3])),
        (0.1, "clustering", "degrees"): NullValues(0.1, np.array([0.2, 0.2])),
        (0.2, "clustering", "degrees"): NullValues(0.9, np.array([0.2, 0.2])),
        (0.1, "modularity", "degrees"): NullValues(0.1, np.array([0.0, 0.0])),
    }
    rows = [MetricRow("strongest", at, "clustering", 0.1) for at in (0.1, 0.2)]
    return ConnectomeTable(tuple(rows), (), found)


def lines(axes) -> list:
    return [line for line in axes.lines if len(line.get_xdata()) == 1]


def test_distances_by_hand():
    distance, joined = joined_by_distance(SideBySide(THREE, geometry=LINE), THREE)
    assert distance == pytest.approx([0.5, 1.5, 1.0])  # 1, 3 and 2 mm over 2 mm
    assert joined.tolist() == [True, False, True]
    middle, share = share_by_distance(distance, joined)
    assert middle == pytest.approx([0.5, 1.0, 1.5])
    assert share.tolist() == [1, 1, 0]


def test_lengths_of_all_pairs_take_the_place_of_positions():
    graph = every_pair(4, lambda s, t: abs(s - t))
    weights = torch.where(graph.distance == 1, 5.0, 1.0)
    kept = strongest_pairs(graph, weights, 0.5)[0]
    distance, joined = joined_by_distance(SideBySide(graph, weights), kept)
    mean = (3 * 1 + 2 * 2 + 3) / 6
    assert sorted(distance[joined] * mean) == pytest.approx([1, 1, 1])
    assert sorted(distance[~joined] * mean) == pytest.approx([2, 2, 3])


def test_lengths_of_some_pairs_say_nothing_of_the_others():
    assert joined_by_distance(SideBySide(THREE.remeasure(LINE)), THREE) is None


def test_excess_by_hand():
    found = {m: rest for m, *rest in excess(SideBySide(THREE, table=table()), 0.1, "degrees")}
    assert found["reciprocity"] == pytest.approx([2.0, 0.81, 1.19])
    assert found["clustering"] == pytest.approx([0.5, 1.0, 1.0])  # of the density asked for
    assert "modularity" not in found  # 0 on the null
    assert not list(excess(SideBySide(THREE, table=table()), 0.1, "distance"))
    assert not list(excess(SideBySide(THREE), 0.1, "degrees"))


def test_what_is_drawn_is_what_was_measured():
    sheet = grid.sheet(6, 6)
    graph = connect.nearest(sheet, 5)
    weights = torch.rand(graph.num_edges, generator=torch.Generator().manual_seed(0))
    figure = compare_connectomes(
        {"three": SideBySide(THREE, geometry=LINE), "sheet": SideBySide(graph, weights, sheet)}
    )
    distances, degrees, drawn, *_ = figure.axes
    # Without weights every joined pair counts: the first two of three.
    assert distances.lines[0].get_xdata() == pytest.approx([0.5, 1.0])
    assert degrees.lines[0].get_xdata() == pytest.approx([0.75, 0.75, 1.5])
    (shown,) = drawn.lines
    apart = graph.source != graph.target
    expected = weights[apart].double().sort().values
    assert shown.get_xdata() == pytest.approx((expected / expected.log().mean().exp()).numpy())
    words = {text.get_text() for text in figure.axes[5].texts}
    assert {"three", "sheet", "36"} <= words
    figure.draw_without_rendering()


def test_measures_beside_their_nulls():
    each = SideBySide(THREE, geometry=LINE, table=table())
    figure = compare_connectomes({"a": each, "b": SideBySide(THREE)})
    marks = lines(figure.axes[3])
    assert sorted(float(mark.get_xdata()[0]) for mark in marks) == [0.5, 2.0]
    names = [label.get_text() for label in figure.axes[3].get_yticklabels()]
    assert names == ["clustering", "reciprocity"]
    assert figure.axes[4].texts[0].get_text() == "no null 'distance' was drawn"


def test_panels_without_data_say_so():
    figure = compare_connectomes({"three": SideBySide(THREE)})
    texts = [axes.texts[0].get_text() for axes in (figure.axes[i] for i in (0, 2, 3))]
    assert texts == [
        "no connectome has positions",
        "no connectome has weights",
        "no null 'degrees' was drawn",
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param({}, "1 to 7 connectomes. Got 0", id="none"),
        pytest.param({str(i): SideBySide(THREE) for i in range(8)}, "Got 8", id="eight"),
        pytest.param(
            {"a": SideBySide(ColumnGraph.from_edge_index(torch.empty(2, 0).long(), 3))},
            "needs an edge",
            id="no edges",
        ),
    ],
)
def test_bad_comparisons(given, message):
    with pytest.raises(ValueError, match=message):
        compare_connectomes(given)
