"""Numbers of edges are lengths or weights, and who hears whom, as other libraries write it."""

import networkx
import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data
from torch_geometric.transforms import Distance
from torch_geometric.utils import from_networkx, to_scipy_sparse_matrix

from graphcolumns.graph import ColumnGraph

AMBIGUOUS = "must be requested by name, as lengths or as weights"


def matrix(values=(0.5, -2.0, 4.0), dtype=np.float64) -> scipy.sparse.csr_array:
    """Edges 2 -> 0, 0 -> 1, 1 -> 1."""
    return scipy.sparse.csr_array((np.array(values, dtype), [2, 0, 1], [0, 1, 3, 3]), shape=(3, 3))


def shuffled(seed: int) -> tuple[ColumnGraph, torch.Tensor, torch.Tensor]:
    """A graph, and its edges and weights in another order."""
    generator = torch.Generator().manual_seed(seed)
    key = torch.randperm(49, generator=generator)[:20]
    edge_index = torch.stack([key % 7, key // 7])
    weight = torch.randn(20, generator=generator, dtype=torch.float64)
    lengths = torch.rand(20, generator=generator)
    return ColumnGraph.from_edge_index(edge_index, 7, 7, lengths), edge_index, weight


def dense(graph: ColumnGraph, values: torch.Tensor) -> torch.Tensor:
    """`[target, source]`."""
    result = torch.zeros(graph.num_columns, graph.num_sources, dtype=values.dtype)
    result[graph.target.long(), graph.source.long()] = values
    return result


# SciPy


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.uint8, np.int64])
def test_numbers_of_a_sparse_matrix_are_not_guessed(dtype):
    given = matrix((1, 2, 4), dtype)
    with pytest.raises(ValueError, match=AMBIGUOUS + r".*pass values='length' or values='weight'"):
        ColumnGraph.from_scipy(given)
    graph = ColumnGraph.from_scipy(given, values="length")
    assert graph.distance.tolist() == [1, 2, 4]
    bare, weight = ColumnGraph.from_scipy(given, values="weight")
    assert bare.distance is None
    assert (weight.tolist(), weight.numpy().dtype) == ([1, 2, 4], dtype)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.uint64, np.longdouble])
def test_numbers_that_torch_does_not_know(dtype):
    assert ColumnGraph.from_scipy(matrix((1, 2, 4), dtype), "length").distance.tolist() == [1, 2, 4]
    assert ColumnGraph.from_scipy(matrix((1, 2, 4), dtype), "weight")[1].tolist() == [1, 2, 4]


def test_even_ones_are_numbers_where_they_are_floating():
    with pytest.raises(ValueError, match=AMBIGUOUS):
        ColumnGraph.from_scipy(matrix((1, 1, 1)))


@pytest.mark.parametrize("dtype", [bool, np.int64, np.uint8])
def test_an_adjacency_matrix_has_no_numbers(dtype):
    graph = ColumnGraph.from_scipy(matrix((1, 1, 1), dtype))
    assert graph.edge_index.tolist() == [[2, 0, 1], [0, 1, 1]]
    assert graph.distance is None
    assert ColumnGraph.from_scipy(matrix().astype(bool)).same_topology(graph)


def test_weights_may_be_negative_and_lengths_may_not():
    _, weight = ColumnGraph.from_scipy(matrix(), values="weight")
    assert weight.tolist() == [0.5, -2.0, 4.0]
    with pytest.raises(ValueError, match=r"distance must be finite and not negative. Got -2.0"):
        ColumnGraph.from_scipy(matrix(), values="length")
    with pytest.raises(ValueError, match=r"Got nan"):
        ColumnGraph.from_scipy(matrix((np.nan, 1, 1)), values="length")


def test_stored_zeros_are_edges():
    given = matrix((0, 2, 0))
    graph = ColumnGraph.from_scipy(given, values="length")
    assert graph.distance.tolist() == [0, 2, 0]
    given.eliminate_zeros()
    assert ColumnGraph.from_scipy(given, values="length").num_edges == 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), form=st.sampled_from(["csr", "csc", "coo", "lil", "dok", "bsr"]))
def test_any_format_in_any_order_keeps_numbers_with_their_edges(seed: int, form: str):
    graph, (source, target), weight = shuffled(seed)
    entries = (weight.numpy(), (target.numpy().astype(np.int64), source.numpy()))
    given = scipy.sparse.coo_array(entries, shape=(7, 7)).asformat(form)
    if form == "bsr":  # its blocks store zeros as well
        given = given.tocsr()
        given.eliminate_zeros()
    built, values = ColumnGraph.from_scipy(given, values="weight")
    assert built.same_topology(graph)
    assert torch.equal(dense(built, values), torch.from_numpy(given.toarray()))


def test_unsorted_rows_and_other_sizes():
    unsorted = scipy.sparse.csr_array(([3.0, 1.0], [4, 0], [0, 2, 2]), shape=(2, 5))
    graph, weight = ColumnGraph.from_scipy(unsorted, values="weight")
    assert (graph.num_columns, graph.num_sources) == (2, 5)
    assert (graph.source.tolist(), weight.tolist()) == ([0, 4], [1.0, 3.0])


@pytest.mark.parametrize("form", [scipy.sparse.coo_array, scipy.sparse.csr_array])
def test_entries_in_one_place_are_refused(form):
    if form is scipy.sparse.coo_array:
        given = form(([1.0, 2.0], ([1, 1], [0, 0])), shape=(2, 2))
    else:
        given = form(([1.0, 2.0], [0, 0], [0, 0, 2]), shape=(2, 2))
    with pytest.raises(ValueError, match=r"row 1, column 0 more than once.*call matrix.sum_dup"):
        ColumnGraph.from_scipy(given, values="weight")
    given.sum_duplicates()
    assert ColumnGraph.from_scipy(given, values="weight")[1].tolist() == [3.0]


def test_what_is_no_sparse_matrix_of_numbers():
    with pytest.raises(TypeError, match=r"must be a scipy sparse matrix. Got ndarray"):
        ColumnGraph.from_scipy(np.eye(3))
    with pytest.raises(TypeError, match=r"hold numbers. Got complex128"):
        ColumnGraph.from_scipy(matrix().astype(complex))
    with pytest.raises(ValueError, match=r"values must be 'length', 'weight' or None. Got 'dist"):
        ColumnGraph.from_scipy(matrix(), values="distance")


def test_to_scipy_and_back_keeps_lengths_and_weights():
    graph, edge_index, weight = shuffled(3)
    weight = weight[ColumnGraph.edge_order(edge_index)]
    lengths = ColumnGraph.from_scipy(graph.to_scipy(), values="length")
    assert torch.equal(lengths.distance, graph.distance)
    bare, values = ColumnGraph.from_scipy(graph.to_scipy(weight), values="weight")
    assert bare.same_topology(graph)
    assert torch.equal(values, weight)
    assert values.dtype == torch.float64
    with pytest.raises(ValueError, match=r"weight must hold one number per edge, shape \(20,\)"):
        graph.to_scipy(weight[:3])


# Who hears whom


def test_others_have_sources_in_rows():
    original = networkx.DiGraph([(0, 1), (0, 2), (2, 1)])
    graph, names = ColumnGraph.from_networkx(original)
    assert names == [0, 1, 2]
    assert graph.edge_index.t().tolist() == [[0, 1], [2, 1], [0, 2]]
    theirs = networkx.to_scipy_sparse_array(original, dtype=bool)
    assert ColumnGraph.from_scipy(theirs.T).same_topology(graph)
    assert not ColumnGraph.from_scipy(theirs).same_topology(graph)
    pyg = to_scipy_sparse_matrix(from_networkx(original).edge_index, num_nodes=3)
    assert ColumnGraph.from_scipy(pyg.T.astype(bool)).same_topology(graph)
    # Column 1 hears 0 and 2: the product with our matrix gathers.
    assert (graph.to_scipy().astype(float) @ np.array([1.0, 10, 100])).tolist() == [0, 101, 1]


# PyG


def data(**attributes) -> Data:
    positions = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    return Data(edge_index=torch.tensor([[1, 0], [0, 1]]), pos=positions, **attributes)


@pytest.mark.parametrize(
    "attributes",
    [
        {"edge_attr": torch.tensor([[7.0], [8.0]])},
        {"edge_attr": torch.tensor([7.0, -8.0])},
        {"edge_weight": torch.tensor([7, 8])},
    ],
)
def test_numbers_of_a_data_are_not_guessed(attributes):
    name = next(iter(attributes))
    with pytest.raises(ValueError, match=AMBIGUOUS + f".*pass length='{name}' or weight='{name}'"):
        ColumnGraph.from_data(data(**attributes))
    graph, weight = ColumnGraph.from_data(data(**attributes), weight=name)
    assert weight.tolist() == attributes[name].flatten().tolist()
    assert graph.distance.tolist() == [5.0, 5.0]  # measured
    assert ColumnGraph.from_data(data(**attributes), length="pos").distance.tolist() == [5.0, 5.0]


def test_lengths_that_pyg_measured():
    measured = Distance(norm=False)(data())
    assert ColumnGraph.from_data(measured, length="edge_attr").distance.tolist() == [5.0, 5.0]
    both = data(edge_attr=torch.tensor([7.0, 8.0]), edge_weight=torch.tensor([1.0, -1.0]))
    graph, weight = ColumnGraph.from_data(both, length="edge_attr", weight="edge_weight")
    assert (graph.distance.tolist(), weight.tolist()) == ([7.0, 8.0], [1.0, -1.0])


def test_a_data_without_numbers_is_measured_if_it_has_places():
    assert ColumnGraph.from_data(data()).distance.tolist() == [5.0, 5.0]
    assert ColumnGraph.from_data(data(edge_attr=torch.rand(2, 3))).distance.tolist() == [5.0, 5.0]
    assert ColumnGraph.from_data(data(edge_weight=torch.ones(2))).distance.tolist() == [5.0, 5.0]
    bare = Data(edge_index=torch.tensor([[1, 0], [0, 1]]), num_nodes=2)
    assert ColumnGraph.from_data(bare).distance is None
    with pytest.raises(ValueError, match="data must have edge_index, and num_nodes or pos"):
        ColumnGraph.from_data(Data(pos=torch.rand(2, 2)))


def test_features_of_edges_follow_them():
    features = torch.tensor([[1.0, 2], [3, 4]])
    graph, weight = ColumnGraph.from_data(data(edge_attr=features), weight="edge_attr")
    # Edge 1 -> 0 is given first and comes first.
    assert graph.edge_index.tolist() == [[1, 0], [0, 1]]
    assert torch.equal(weight, features)
    flipped = data(edge_attr=features)
    flipped.edge_index = flipped.edge_index.flip(0)
    assert torch.equal(ColumnGraph.from_data(flipped, weight="edge_attr")[1], features.flip(0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": "edge_attr"}, "a length is one number per edge. Got 'edge_attr' of shape"),
        ({"length": "fibre"}, "'fibre' must be a tensor of data.* Got no such tensor; data has"),
        ({"weight": "pos"}, r"an entry per edge, 3 in all. Got \(2, 2\)"),
    ],
)
def test_attributes_that_are_no_number_per_edge(options, message):
    given = data(edge_attr=torch.rand(3, 4))
    given.edge_index = torch.tensor([[0, 1, 0], [0, 1, 1]])
    with pytest.raises(ValueError, match=message):
        ColumnGraph.from_data(given, **options)


def test_to_data_and_back_keeps_lengths_and_weights():
    graph, edge_index, weight = shuffled(4)
    weight = weight[ColumnGraph.edge_order(edge_index)].float()
    there = graph.to_data(weight=weight)
    back, values = ColumnGraph.from_data(there, length="edge_attr", weight="edge_weight")
    assert back.same_topology(graph)
    assert torch.equal(back.distance, graph.distance)
    assert torch.equal(values, weight)


# networkx


def test_weights_of_networkx_are_what_you_say():
    original = networkx.DiGraph()
    original.add_edge("b", "a", weight=-2, mm=4)
    original.add_edge("a", "b", weight=0.5, mm=3.0)
    graph, names = ColumnGraph.from_networkx(original)
    assert graph.distance is None
    graph, names, weight = ColumnGraph.from_networkx(original, length="mm", weight="weight")
    assert names == ["b", "a"]
    # Edge a -> b ends at column 0.
    assert (graph.distance.tolist(), weight.tolist()) == ([3.0, 4.0], [0.5, -2.0])
    with pytest.raises(ValueError, match="distance must be finite and not negative"):
        ColumnGraph.from_networkx(original, length="weight")
    with pytest.raises(ValueError, match=r"all edges must have the attribute 'km'. Got 0 of 2"):
        ColumnGraph.from_networkx(original, length="km")
    original.edges["a", "b"]["mm"] = "far"
    with pytest.raises(TypeError, match="attribute 'mm' of edges must hold numbers"):
        ColumnGraph.from_networkx(original, length="mm")


def test_to_networkx_and_back_keeps_lengths_and_weights():
    graph, edge_index, weight = shuffled(5)
    weight = weight[ColumnGraph.edge_order(edge_index)].float()
    there = graph.to_networkx(weight=weight)
    assert networkx.to_numpy_array(there).T == pytest.approx(dense(graph, weight).numpy())
    back, _, values = ColumnGraph.from_networkx(there, weight="weight")
    assert torch.equal(back.distance, graph.distance)
    assert torch.equal(values, weight)
