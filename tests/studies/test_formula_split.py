"""Cross-talk and size of networks whose answers are known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from geometries import grid
from graphcolumns import ColumnGraph, connect
from graphcolumns.data import two_formulas
from graphcolumns.models.layered_columns import LayeredColumns
from graphcolumns.placement import SwapColumns
from graphcolumns.studies.formula_paths import formula_paths
from graphcolumns.studies.formula_split import formula_split, prune_network

# Inputs 0 and 1, hidden 2 and 3, outputs 4 and 5; formula k depends on input k.
EDGES = torch.tensor([[0, 1, 0, 2, 3], [2, 3, 3, 4, 5]])
WEIGHT = np.array([1.0, 3.0, -1.0, 2.0, 0.5])


def paths(weight=WEIGHT):
    graph = ColumnGraph.from_edge_index(EDGES, 6)
    order = np.lexsort((EDGES[0].numpy(), EDGES[1].numpy()))
    ends = np.array([0, 1]), np.array([4, 5])
    return formula_paths(graph, np.asarray(weight)[order], *ends, ((0,), (1,)))


def test_paths_by_hand():
    """To output 5 lead 0 -> 3 (weight 1 * .5) and 1 -> 3 (3 * .5): a quarter is of formula 0."""
    found = paths()
    np.testing.assert_allclose(found.to_output, [[1, 0], [0.25, 0.75]])
    assert found.cross_talk == pytest.approx(0.125)
    # Column 3 has half of all paths (one of two outputs), a quarter of them from formula 0.
    np.testing.assert_allclose(found.through_column[3], [[0, 0], [0.125, 0.375]])
    np.testing.assert_allclose(found.through_edge.sum(), 4 / 2)  # two layers of edges
    # Edges by target, then source: 0 -> 2, 0 -> 3, 1 -> 3, 2 -> 4, 3 -> 5.
    np.testing.assert_allclose(found.through_edge[1], [[0, 0], [0.125, 0]])


def test_a_split_network_has_no_cross_talk():
    assert paths([1.0, 3.0, 0.0, 2.0, 0.5]).cross_talk == 0


def test_no_rounding_where_no_path_leads():
    """Of large weights, the inverse of 1 - M has entries of 1e-15 where no path leads."""
    draws = torch.Generator().manual_seed(0)
    ends = torch.cartesian_prod(torch.arange(14), torch.arange(14)).T
    layer = torch.tensor([0] * 2 + [1] * 5 + [2] * 5 + [3] * 2)
    edges = ends[:, layer[ends[0]] + 1 == layer[ends[1]]]
    # No edge ends in columns 2 and 7, and none but these begins in column 3.
    edges = edges[:, (edges[1] != 2) & (edges[1] != 7) & (edges[0] != 3)]
    graph = ColumnGraph.from_edge_index(edges, 14)
    weight = 3 * torch.randn(graph.num_edges, generator=draws).double().numpy()
    found = formula_paths(graph, weight, np.arange(2), np.array([12, 13]), ((0,), (1,)))
    through = found.through_column.sum((1, 2))
    assert (through[[2, 3, 7]] == 0).all()
    assert (np.delete(through, [2, 3, 7]) > 0).all()
    assert (found.through_edge >= 0).all()


def test_a_path_that_returns_is_refused():
    graph = ColumnGraph.from_edge_index(torch.tensor([[0, 1], [1, 0]]), 2)
    with pytest.raises(ValueError, match="Got a path that returns"):
        formula_paths(graph, np.ones(2), np.array([0]), np.array([1]), ((0,),))


def test_an_output_without_paths_is_refused():
    with pytest.raises(ValueError, match="Got none for output 1"):
        paths([1.0, 3.0, 1.0, 2.0, 0.0])


def trained(split, noise=0.0):
    """A network of two halves, or one in which all hidden columns serve both formulas."""
    geometry = grid.rows([4, 8, 2], offset=1e-3)
    torch.manual_seed(0)
    model = LayeredColumns(geometry, connect.between_areas(geometry), 2, swaps=SwapColumns())
    source, target = (end.tolist() for end in model.graph.edge_index)

    def formula(column):
        return (column % 2) if column < 12 else column - 12

    wanted = [formula(s) == formula(t) for s, t in zip(source, target, strict=True)]
    with torch.no_grad():
        model.edges.weight.uniform_(0.5, 1.0)
        if split:
            off = ~torch.tensor(wanted)
            model.edges.weight[off] = noise * torch.randn(int(off.sum()))
    return SimpleNamespace(model=model.eval(), geometry=geometry, data=fitted(model))


def fitted(model):
    """Data whose targets are the answers of the model, so that R^2 is 1."""
    data = two_formulas(train=200, test=100)
    with torch.no_grad():
        answers = [model(x).prediction for x in (data.train_inputs, data.test_inputs)]
    return type(data)(data.train_inputs, answers[0], data.test_inputs, answers[1], task=data.task)


def test_two_halves_are_found():
    found = formula_split(trained(split=True, noise=1e-4), nulls=5)
    assert found["r2"] == pytest.approx(1)
    assert found["pruned_r2"] > 0.98
    assert found["cross_talk"] == 0 < found["full_cross_talk"] < 0.01
    assert found["shared_columns"] == 0
    assert found["hidden_columns"] <= 8
    assert found["weights"] <= 24
    assert found["modularity"] == pytest.approx(0.5, abs=0.1)
    assert found["planted_modularity"] == pytest.approx(0.5, abs=0.02)
    assert found["excess_modularity"] > 0.05
    assert found["swapped_mean_wire"] < found["mean_wire"]
    assert found["wire"] == pytest.approx(found["mean_wire"] * found["weight_sum"])


def test_a_mixed_network_is_mixed():
    found = formula_split(trained(split=False), nulls=5)
    assert found["cross_talk"] == pytest.approx(0.5, abs=0.1)
    assert found["shared_columns"] >= 6
    assert found["planted_modularity"] < 0.2


def test_the_largest_threshold_within_the_tolerance():
    """Without any loss of R^2 no weight of this network can go; with some, a few go."""
    run = trained(split=False)
    assert prune_network(run.model, run.data, 0.0).graph.num_edges == 48
    some = prune_network(run.model, run.data, 0.05)
    assert some.graph.num_edges < 48
    assert some.threshold < float(some.weight.min())
    before = run.model.edges.weight.clone()
    assert torch.equal(run.model.edges.weight, before)
