import math

import pytest
import torch

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.wiring import distance_cost, gaussian_cost


def graph(edges: list[tuple[int, int, float]], columns: int = 3) -> ColumnGraph:
    """Edges (source, target, distance)."""
    ends = torch.tensor([edge[:2] for edge in edges]).t()
    lengths = torch.tensor([edge[2] for edge in edges])
    return ColumnGraph.from_edge_index(ends, columns, distance=lengths)


# Column 0 hears itself and 1, column 1 hears 2; column 2 hears nobody.
SMALL = [(0, 0, 0.0), (1, 0, 3.0), (2, 1, 2.0)]


def test_distance_cost_by_hand():
    # D0 = mean of (0 + 3)/2 and 2 = 1.75; column 2 does not count.
    cost, norm = distance_cost(graph(SMALL))
    assert norm == 1.75
    torch.testing.assert_close(cost, torch.tensor([0.0, 3.0, 2.0]) / 1.75)
    cost, norm = distance_cost(graph(SMALL), power=2.0)
    assert norm == (4.5 + 4) / 2
    torch.testing.assert_close(cost, torch.tensor([0.0, 9.0, 4.0]) / 4.25)


def test_uniform_attention_costs_one_on_the_initial_graph():
    edges = [(s, t, float(s + 3 * t + 1)) for t in range(3) for s in range(t + 1)]
    initial = graph(edges)
    cost, _ = distance_cost(initial, power=1.5)
    attention = 1 / initial.in_degree[initial.target.long()]
    per_column = torch.zeros(3).index_add(0, initial.target.long(), attention * cost)
    assert per_column.mean().item() == pytest.approx(1.0)


def test_a_kept_norm_makes_later_graphs_comparable():
    _, norm = distance_cost(graph(SMALL))
    cost, kept = distance_cost(graph([(0, 0, 0.0), (2, 1, 2.0)]), norm=norm)
    assert kept == norm
    torch.testing.assert_close(cost, torch.tensor([0.0, 2.0]) / 1.75)


def test_self_edges_only_cost_nothing():
    cost, norm = distance_cost(graph([(0, 0, 0.0), (1, 1, 0.0)]))
    assert (cost.tolist(), norm) == ([0.0, 0.0], 1.0)


def test_gaussian_cost_by_hand():
    cost = gaussian_cost(graph(SMALL), sigma=1.0)
    total = 1 + math.exp(-4.5)
    torch.testing.assert_close(cost, torch.tensor([math.log(total), math.log(total) + 4.5, 0.0]))


def test_gaussian_cost_is_a_log_softmax_even_far_away():
    edges = [(s, 0, 100.0 + s) for s in range(3)]
    expected = -torch.log_softmax(-(torch.tensor([100.0, 101.0, 102.0]) ** 2) / 8, 0)
    torch.testing.assert_close(gaussian_cost(graph(edges), sigma=2.0), expected)


def test_gradients_reach_the_distances():
    lengths = torch.tensor([0.5, 1.0, 2.0, 0.7], dtype=torch.float64, requires_grad=True)
    base = graph([(0, 0, 0.5), (1, 0, 1.0), (2, 0, 2.0), (0, 1, 0.7)])

    def costs(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        measured = ColumnGraph(base.rowptr, base.source, values, 3)
        return distance_cost(measured, 2.0, norm=0.3)[0], gaussian_cost(measured, 0.8)

    assert torch.autograd.gradcheck(costs, (lengths,))


def test_wrong_input():
    unmeasured = ColumnGraph.from_edge_index(torch.tensor([[0], [0]]), 1)
    with pytest.raises(ValueError, match=r"never measured; call graph\.remeasure"):
        distance_cost(unmeasured)
    with pytest.raises(ValueError, match=r"never measured; call graph\.remeasure"):
        gaussian_cost(unmeasured, 1.0)
    with pytest.raises(ValueError, match=r"power > 0 and norm > 0\. Got power=0"):
        distance_cost(graph(SMALL), power=0)
    with pytest.raises(ValueError, match=r"sigma > 0\. Got 0"):
        gaussian_cost(graph(SMALL), sigma=0)
