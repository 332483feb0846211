"""The layout behind tiles: by hand, and nothing lost."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphcolumns.bench.tiled.windows import DENSITY, Windows
from tests.ops.support.cases import graph_of


def edges_of(windows: Windows) -> list[tuple[int, int, int]]:
    """(target, source, edge) of the tiles and of the rows, by edge."""
    found = []
    for place, window in enumerate(windows.window.tolist()):
        for slot in range(*windows.first[place : place + 2].tolist()):
            for r in range(16):
                attends = windows.receivers[slot] >> r & 1
                edge = int(windows.edge[slot, r])
                assert attends == (edge >= 0)
                if attends:
                    found.append((16 * window + r, int(windows.source[slot]), edge))
    for n, row in enumerate(windows.rows.tolist()):
        for at in range(*windows.rowptr[n : n + 2].tolist()):
            found.append((row, int(windows.row_source[at]), int(windows.row_edge[at])))
    return sorted(found, key=lambda item: item[2])


def test_by_hand():
    """18 columns: the first window reads sources 1 and 3, the second (two columns) 0, 1, 2."""
    mask = torch.zeros(18, 4, dtype=torch.bool)
    mask[:16, 1] = mask[2, 3] = mask[16, :2] = mask[17, 1:3] = True
    windows = Windows.of(graph_of(mask), density=0.0)
    assert windows.window.tolist() == [0, 1]
    assert windows.first.tolist() == [0, 16, 32]
    assert windows.source.tolist() == [1, 3] + 14 * [0] + [0, 1, 2] + 13 * [0]
    assert windows.receivers.tolist() == [2**16 - 1, 4] + 14 * [0] + [1, 3, 2] + 13 * [0]
    assert windows.edge[0].tolist() == [0, 1, 2, *range(4, 17)]
    assert windows.edge[1, 2] == 3
    assert windows.rows.tolist() == []
    assert windows.share() == 1.0


def test_sparse_windows_are_left_as_rows():
    """17 of 256 places, and 4 of 256."""
    mask = torch.zeros(18, 4, dtype=torch.bool)
    mask[:16, 1] = mask[2, 3] = mask[16, :2] = mask[17, 1:3] = True
    windows = Windows.of(graph_of(mask), density=17 / 256)
    assert windows.window.tolist() == [0]
    assert windows.rows.tolist() == [16, 17]
    assert windows.rowptr.tolist() == [0, 2, 4]
    assert windows.row_source.tolist() == [0, 1, 1, 2]
    assert windows.row_edge.tolist() == [17, 18, 19, 20]
    assert windows.share() == 17 / 21


@settings(max_examples=30, deadline=None)
@given(
    columns=st.integers(1, 40),
    sources=st.integers(1, 30),
    fill=st.floats(0, 1),
    density=st.sampled_from([0.0, DENSITY, 0.5, 2.0]),
    seed=st.integers(0, 2**16),
)
def test_every_edge_once(columns, sources, fill, density, seed):
    generator = torch.Generator().manual_seed(seed)
    graph = graph_of(torch.rand(columns, sources, generator=generator) < fill)
    windows = Windows.of(graph, density)
    expected = zip(
        graph.target.tolist(), graph.source.tolist(), range(graph.num_edges), strict=True
    )
    assert edges_of(windows) == list(expected)
    done = [16 * w + r for w in windows.window.tolist() for r in range(16) if 16 * w + r < columns]
    assert sorted(done + windows.rows.tolist()) == list(range(columns))
    assert (windows.first.diff() % 16 == 0).all()


@pytest.mark.parametrize("density", [0.0, 2.0])
def test_no_edges(density):
    windows = Windows.of(graph_of(torch.zeros(3, 2, dtype=torch.bool)), density)
    assert windows.window.tolist() == [0]  # which writes zeros
    assert windows.share() == 0.0
