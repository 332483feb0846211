"""The edges between kept columns, against a graph that is built and checked from scratch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphcolumns import ColumnGraph
from graphcolumns.graph import induced_subgraph
from tests.ops.support.cases import MASKS, graph_of


def check(mask, columns, sources):
    graph = graph_of(mask)
    part = induced_subgraph(graph, columns, sources)
    columns = torch.ones(mask.shape[0], dtype=torch.bool) if columns is None else columns
    sources = torch.ones(mask.shape[1], dtype=torch.bool) if sources is None else sources
    ids = torch.arange(graph.num_edges) if part.edge_ids is None else part.edge_ids
    both = columns[graph.target] & sources[graph.source]
    assert torch.equal(ids, both.nonzero()[:, 0])
    if columns.any() and sources.any():
        expected = graph_of(mask[columns][:, sources])
        for name, tensor in expected.views._asdict().items():
            got = getattr(part.graph.views, name)
            assert got.dtype == tensor.dtype
            assert torch.equal(got, tensor), name
        assert part.graph.hubs == expected.hubs
        part.graph.validate()
    assert (part.graph.num_columns, part.graph.num_sources) == (columns.sum(), sources.sum())


@given(st.data())
def test_any_graph(data):
    rows, cols = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))

    def bits(count):
        return torch.tensor(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))

    kept = [data.draw(st.sampled_from([None, bits(count)])) for count in (rows, cols)]
    check(bits(rows * cols).view(rows, cols), *kept)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
@pytest.mark.parametrize("share", [0, 1])
def test_all_and_none(mask, share):
    kept = [torch.full((count,), bool(share)) for count in mask.shape]
    check(mask, *kept)
    check(mask, None, None)


def test_hubs_are_those_of_the_part():
    mask = torch.zeros(600, 300, dtype=torch.bool)
    mask[0] = True
    graph = graph_of(mask)
    assert graph.hubs == (True, False)
    check(mask, None, torch.arange(300) < 200)
    check(mask, None, torch.arange(300) < 299)


def test_names_stay():
    graph = graph_of(torch.ones(2, 2, dtype=torch.bool)).named("lateral")
    assert induced_subgraph(graph, torch.tensor([True, False]), None).graph.name == "lateral"


def test_a_wrong_mask_is_named():
    graph = ColumnGraph.from_edge_index(torch.tensor([[0, 1], [1, 0]]), 2)
    with pytest.raises(ValueError, match=r"columns must say for each of 2 .*Got torch.bool \[3\]"):
        induced_subgraph(graph, torch.ones(3, dtype=torch.bool), None)
    with pytest.raises(ValueError, match=r"sources must say .*Got torch.int64 \[2\]"):
        induced_subgraph(graph, None, torch.ones(2, dtype=torch.int64))
