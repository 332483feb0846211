"""Graphs, geometries and rewirings in files of `torch.save`: read safely, and checked."""

import copy
import io
import pickle
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch.serialization import get_unsafe_globals_in_checkpoint

from geometries import grid
from graphcolumns import ColumnGraph, Geometry, connect
from graphcolumns.plasticity import Rewiring
from graphcolumns.plasticity.rewiring.rewiring import rewire

SHEET = grid.sheet(4, 4)


def written(value: object) -> io.BytesIO:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    buffer.seek(0)
    return buffer


def saved(value: object) -> object:
    return torch.load(written(value), weights_only=True)


def edges_equal(one: ColumnGraph, other: ColumnGraph) -> bool:
    return torch.equal(one.rowptr, other.rowptr) and torch.equal(one.source, other.source)


def test_a_graph_comes_back_with_its_views():
    graph = connect.nearest(SHEET, 3)
    for twin in (saved(graph), saved({"a": [graph]})["a"][0], copy.deepcopy(graph)):
        assert edges_equal(twin, graph)
        assert torch.equal(twin.distance, graph.distance)
        for ours, theirs in zip(twin.by_source, graph.by_source, strict=True):
            assert torch.equal(ours, theirs)
        assert twin.fingerprint == graph.fingerprint
    assert get_unsafe_globals_in_checkpoint(written(graph)) == []


def test_a_bipartite_graph_without_lengths_and_one_without_edges():
    wide = ColumnGraph.from_edge_index(torch.tensor([[4, 0], [0, 1]]), 2, 5)
    empty = ColumnGraph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), 3)
    for graph in (wide, empty):
        twin = saved(graph)
        assert edges_equal(twin, graph)
        assert twin.num_sources == graph.num_sources
        assert twin.distance is None


OWN = Geometry(
    torch.rand(3, 2).double(),
    "torus",
    unit="mm",
    period=(np.float64(2.0), np.int64(3)),
    areas=torch.tensor([0, 1, 1]),
    attributes={"depth": torch.rand(3, 2)},
)


def test_a_geometry_comes_back_whole(geometry):
    """Every geometry of the catalogue."""
    assert_comes_back(geometry)


def test_a_geometry_with_numbers_of_numpy_comes_back():
    assert_comes_back(OWN)


def assert_comes_back(geometry: Geometry) -> None:
    twin = saved(geometry)
    for entry in fields(Geometry):
        ours, theirs = getattr(twin, entry.name), getattr(geometry, entry.name)
        if entry.name == "attributes" and theirs is not None:
            assert ours.keys() == theirs.keys()
            assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
        elif torch.is_tensor(theirs):
            assert torch.equal(ours, theirs)
            assert ours.dtype == theirs.dtype
        else:
            assert ours == theirs, entry.name


def test_a_rewiring_comes_back():
    before, after = connect.nearest(SHEET, 3), connect.nearest(SHEET, 4)
    change = Rewiring.between(before, after)
    twin = saved(change)
    assert torch.equal(twin.origin, change.origin)
    assert edges_equal(twin.graph, after)
    assert edges_equal(twin.before, before)


class Forged:
    """What a file holds whose arguments somebody has changed."""

    def __init__(self, kind, *arguments):
        self.kind, self.arguments = kind, arguments

    def __reduce__(self):
        return self.kind, self.arguments


def test_a_changed_file_is_refused():
    graph = connect.nearest(SHEET, 3)
    source = graph.source.clone()
    source[5] = 99
    with pytest.raises(ValueError, match=r"source ids must lie in \[0, 16\). Got 99"):
        saved(Forged(ColumnGraph, graph.rowptr, source, graph.distance, 16))
    with pytest.raises(ValueError, match="edges must be unique"):
        saved(Forged(ColumnGraph, torch.tensor([0, 2]), torch.zeros(2).int(), None, 1))
    with pytest.raises(ValueError, match="metric must be one of"):
        saved(Forged(Geometry, torch.rand(3, 2), "taxi"))
    with pytest.raises(ValueError, match="a survivor must keep its target and source"):
        saved(Forged(Rewiring, graph, torch.arange(48).roll(1), graph))


def test_a_file_that_bypasses_the_constructor_is_checked_too(monkeypatch):
    """As of an earlier version, or forged: the object is made empty, its fields are set."""
    graph, geometry = connect.nearest(SHEET, 3), grid.sheet(2, 2)
    whole = pickle_of_fields(graph, monkeypatch)
    assert edges_equal(torch.load(whole, weights_only=True), graph)
    object.__setattr__(graph, "source", graph.source + 16)
    with pytest.raises(ValueError, match=r"source ids must lie in \[0, 16\)"):
        torch.load(pickle_of_fields(graph, monkeypatch), weights_only=True)
    object.__setattr__(geometry, "positions", torch.full((4, 2), torch.nan))
    with pytest.raises(ValueError, match="positions must be finite"):
        torch.load(pickle_of_fields(geometry, monkeypatch), weights_only=True)


def pickle_of_fields(value: object, monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    if isinstance(value, ColumnGraph):  # whose views have a type that no file may name
        object.__setattr__(value, "by_source", tuple(value.by_source))
    with monkeypatch.context() as patch:
        patch.delattr(type(value), "__reduce__")
        return written(value)


def test_a_name_tells_graphs_with_the_same_edges_apart():
    graph = connect.nearest(SHEET, 3)
    named = graph.named("lateral")
    assert named.same_topology(graph)
    assert named.fingerprint == graph.fingerprint
    assert not named.same_graph(graph)
    assert named.source is graph.source
    assert named.same_graph(ColumnGraph.from_edge_index(graph.edge_index, 16).named("lateral"))
    assert named.named("").same_graph(graph)
    assert "lateral" in repr(named)
    with pytest.raises(TypeError, match=r"must be text. Got 3"):
        graph.named(3)


def test_a_name_stays_with_its_graph():
    graph = connect.nearest(SHEET, 3).named("lateral")
    none = torch.empty(0, dtype=torch.int64)
    derived = [
        saved(graph),
        copy.deepcopy(graph),
        pickle.loads(pickle.dumps(graph)),
        replace(graph, distance=None),
        graph.to("cpu"),
        graph.reverse(),
        graph.permute(torch.arange(16).flip(0)),
        graph.remeasure(SHEET),
        rewire(graph, torch.tensor([0]), (none, none)).graph,
        Rewiring.between(graph, connect.nearest(SHEET, 4)).graph,
    ]
    assert [each.name for each in derived] == ["lateral"] * len(derived)


def test_a_fingerprint_is_that_of_the_edges():
    graph = connect.nearest(SHEET, 3)
    edges = graph.edge_index
    same = ColumnGraph.from_edge_index(edges.flip(1), 16, distance=torch.rand(48))
    assert same.fingerprint == graph.fingerprint == graph.remeasure(SHEET).fingerprint
    others = [
        graph.reverse(),
        ColumnGraph.from_edge_index(edges[:, 1:], 16),
        ColumnGraph.from_edge_index(edges, 16, 17),
        ColumnGraph.from_edge_index(edges, 17, 16),
    ]
    assert len({graph.fingerprint, *(other.fingerprint for other in others)}) == 5
    assert graph.reverse().reverse().fingerprint == graph.fingerprint
    for other in others:
        assert not graph.same_topology(other)
