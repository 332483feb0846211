"""The signed sum along out-edges: by hand, on the reversed graph, and its derivatives."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from graphcolumns import ColumnGraph, edge_linear
from graphcolumns.ops import edge_linear_transposed
from tests.ops.support.cases import graph_of

# Column 0 receives from both sources, column 1 from none, column 2 from source 1.
GRAPH = ColumnGraph.from_edge_index(torch.tensor([[0, 1, 1], [0, 0, 2]]), 3, 2)


def test_by_hand(backend):
    counter = torch.tensor([[[1.0, 10.0]], [[7.0, 7.0]], [[3.0, 30.0]]])
    y = edge_linear_transposed(counter, torch.tensor([2.0, -1.0, 0.5]), GRAPH, backend=backend)
    assert y[:, 0].tolist() == [[2.0, 20.0], [0.5, 5.0]]


@given(
    bits=st.lists(st.booleans(), min_size=12, max_size=12),
    rows=st.sampled_from([1, 2, 3, 4, 6, 12]),
    batch=st.integers(0, 3),
    own=st.sampled_from([(), (1,), (2,), (4,)]),
)
def test_it_is_the_sum_on_the_reversed_graph(backend, bits, rows, batch, own):
    graph = graph_of(torch.tensor(bits).view(rows, -1))
    counter = torch.randn(graph.num_columns, batch, 4, dtype=torch.float64)
    weight = torch.randn(graph.num_edges, *own, dtype=torch.float64)
    expected = edge_linear(counter, weight[graph.by_source.permutation], graph.reverse())
    y = edge_linear_transposed(counter, weight, graph, backend=backend)
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("own", [(), (2,)])
def test_derivatives(backend, own):
    counter = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, *own, dtype=torch.float64, requires_grad=True)

    def run(counter, weight):
        return edge_linear_transposed(counter, weight, GRAPH, backend=backend)

    assert gradcheck(run, (counter, weight))
    assert gradgradcheck(run, (counter, weight))


def test_function_transforms_take_plain_torch():
    counter, weight = torch.randn(5, 3, 2, 2).double(), torch.randn(3).double()
    y = torch.func.vmap(lambda c: edge_linear_transposed(c, weight, GRAPH))(counter)
    for got, each in zip(y, counter, strict=True):
        torch.testing.assert_close(got, edge_linear_transposed(each, weight, GRAPH))


@pytest.mark.parametrize(
    ("counter", "weight", "error"),
    [
        (torch.ones(2, 1, 1), torch.ones(3), r"counter must be \[N, B, C\] with N = 3"),
        (torch.ones(3, 1), torch.ones(3), r"Got \[3, 1\]"),
        (
            torch.ones(3, 1, 1),
            torch.ones(2),
            r"weight must be \[E\], \[E, H\] or \[E, C\] with E = 3",
        ),
        (
            torch.ones(3, 1, 3),
            torch.ones(3, 2),
            "must divide the channels C = 3, got H = 2",
        ),
    ],
)
def test_wrong_shapes_are_named(counter, weight, error):
    with pytest.raises(ValueError, match=error):
        edge_linear_transposed(counter, weight, GRAPH)
