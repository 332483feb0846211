"""The bits of a row in C++ do not depend on what is computed beside it."""

import pytest
import torch
from torch import Tensor

from graphcolumns import ColumnGraph, edge_linear
from graphcolumns.ops.untied_linear import cpp
from tests.ops.support.cases import Case, draw, gradients, random_mask
from tests.ops.support.score_cases import calm, draw_steps

pytestmark = [
    pytest.mark.cpp,
    pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str),
]
BATCH = 40
PARTS = [slice(first, first + rows) for rows in (1, 9, 17, 25, 33) for first in (0, 3, 7)]
WIDTHS = [1, 3, 5, 8, 13, 64, 100]
LANES = [(1, 1), (3, 1), (1, 4), (2, 3), (8, 4), (5, 7), (40, 4)]  # inputs, heads


@pytest.mark.parametrize("width", WIDTHS)
class TestUntiedLinear:
    @pytest.mark.parametrize("cin", [1, 5, 64, 70])
    def test_rows_of_a_part_of_the_batch(self, cin, width, dtype):
        x, weight, bias = (
            torch.randn(shape, dtype=dtype)
            for shape in ((3, BATCH, cin), (3, cin, width), (3, width))
        )
        for given in (bias, None):
            together = cpp.forward(x, weight, given)
            for part in PARTS:
                assert torch.equal(cpp.forward(x[:, part], weight, given), together[:, part])

    @pytest.mark.parametrize("cout", [1, 5, 64, 70])
    def test_gradients_of_the_rows_of_a_part(self, cout, width, dtype):
        """From two rows on: a row alone is a product of its own (as fast as weights are read)."""
        grad = torch.randn(3, BATCH, cout, dtype=dtype)
        weight = torch.randn(3, width, cout, dtype=dtype)
        together = cpp.transposed(grad, weight)
        for part in (*PARTS, slice(0, 2)):
            if part.stop - part.start > 1:
                assert torch.equal(cpp.transposed(grad[:, part], weight), together[:, part])

    def test_gradients_of_the_weights_of_a_column_alone(self, width, dtype):
        x, grad = (torch.randn(5, BATCH, size, dtype=dtype) for size in (width, 17))
        for got, expected in zip(
            cpp.gradient([x[2:3]], [grad[2:3]]), cpp.gradient([x], [grad]), strict=True
        ):
            assert torch.equal(got, expected[2:3])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("heads", [1, 3, 4])
def test_samples_of_a_part_of_a_batch_in_edge_linear(heads, width, dtype):
    graph = draw(random_mask(8, 90, 0.5)).graph
    weight = torch.randn(graph.num_edges, heads, dtype=dtype)
    x = torch.randn(90, BATCH, heads * width, dtype=dtype)
    arriving = torch.randn(8, BATCH, heads * width, dtype=dtype)

    def run(part: slice) -> list[Tensor]:
        x_ = x[:, part].clone().requires_grad_()
        y = edge_linear(x_, weight, graph, backend="cpp")
        return [y, *torch.autograd.grad(y, x_, arriving[:, part])]

    together = run(slice(None))
    for part in PARTS:
        for got, expected in zip(run(part), together, strict=True):
            assert torch.equal(got, expected[:, part])


def only(graph: ColumnGraph, column: int) -> tuple[ColumnGraph, Tensor]:
    """The edges of one column, and which they are."""
    edges = (graph.target == column).nonzero()[:, 0]
    ends = graph.edge_index[:, edges]
    return ColumnGraph.from_edge_index(ends, graph.num_columns, graph.num_sources), edges


@pytest.mark.parametrize(("batch", "heads"), LANES)
@pytest.mark.parametrize("width", [1, 5, 8, 13, 64])
def test_a_column_whose_neighbours_hear_nothing(batch, heads, width, dtype):
    mask = random_mask(6, 90, 0.4)
    mask[0] = True
    case = draw(mask, batch, heads, width, dtype=dtype)
    together = case.run("cpp")
    grads = gradients(case, together)
    for column in (0, 3):
        graph, edges = only(case.graph, column)
        ends = [x.detach()[edges].requires_grad_() for x in (case.bias, case.cost)]
        alone = Case(mask, graph, case.q, case.k, case.v, *ends)
        result = alone.run("cpp")
        for got, expected in zip(result, together, strict=True):
            assert torch.equal(got[column], expected[column])
        grad_q, _, _, grad_bias, grad_cost = gradients(alone, result)
        assert torch.equal(grad_q[column], grads[0][column])
        assert torch.equal(grad_bias, grads[3][edges])
        assert torch.equal(grad_cost, grads[4][edges])


@pytest.mark.parametrize(("batch", "heads"), LANES)
@pytest.mark.parametrize("width", [1, 5, 8, 13, 64])
def test_pairs_of_one_column_in_edge_scores(batch, heads, width, dtype):
    steps = calm(draw_steps(random_mask(6, 30, 0.5), 2, batch, heads, width, width)).to(dtype)
    together = steps.run(backend="cpp").sums()
    mine = (steps.targets == 3).nonzero()[:, 0]
    alone = steps._replace(targets=steps.targets[mine], sources=steps.sources[mine])
    assert torch.equal(alone.run(backend="cpp").sums(), together[:, mine])
