"""A five-edge graph worked by hand, properties of any graph, other libraries, wrong input."""

import copy
import pickle
from dataclasses import replace

import networkx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils import _pytree as pytree
from torch_geometric import EdgeIndex
from torch_geometric.data import Batch
from torch_geometric.transforms import Distance
from torch_geometric.utils import sort_edge_index

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph

# Three columns, four sources. By target: 0 <- 1, 3; 1 <- nobody; 2 <- 0, 1, 2.
EDGES = torch.tensor([[2, 1, 0, 3, 1], [2, 0, 2, 0, 2]])
LENGTHS = torch.tensor([2.2, 1.0, 0.2, 3.0, 1.2])


def small() -> ColumnGraph:
    return ColumnGraph.from_edge_index(EDGES, 3, 4, LENGTHS)


def square(n: int = 6, num_edges: int = 14) -> ColumnGraph:
    key = torch.randperm(n * n)[:num_edges]
    edge_index = torch.stack([key % n, key // n])
    return ColumnGraph.from_edge_index(edge_index, n, distance=torch.rand(num_edges))


def assert_equal(a: ColumnGraph, b: ColumnGraph) -> None:
    """Equal in every field, views included."""
    assert a.num_sources == b.num_sources
    for x, y in zip(pytree.tree_leaves(a), pytree.tree_leaves(b), strict=True):
        assert (x is None) == (y is None)
        assert x is None or (x.dtype == y.dtype and torch.equal(x, y))


@st.composite
def edge_lists(draw: st.DrawFn) -> tuple[torch.Tensor, int, int]:
    """Unique edges in any order, `N` and `M`."""
    n, m = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    cells = st.lists(st.integers(0, n * m - 1), unique=True, max_size=n * m)
    key = torch.tensor(draw(cells), dtype=torch.long)
    return torch.stack([key % m, key // m]), n, m


# Answers worked by hand


def test_fields_of_the_small_graph():
    graph = small()
    assert graph.rowptr.tolist() == [0, 2, 2, 5]
    assert graph.source.tolist() == [1, 3, 0, 1, 2]
    assert graph.target.tolist() == [0, 0, 2, 2, 2]
    assert graph.distance.tolist() == pytest.approx([1.0, 3.0, 0.2, 1.2, 2.2])
    assert graph.edge_index.tolist() == [[1, 3, 0, 1, 2], [0, 0, 2, 2, 2]]
    assert (graph.num_columns, graph.num_sources, graph.num_edges) == (3, 4, 5)
    assert graph.density == 5 / 12
    assert graph.in_degree.tolist() == [2, 0, 3]
    assert graph.out_degree.tolist() == [1, 2, 1, 1]
    assert graph.device == torch.device("cpu")


def test_edges_of_the_small_graph_by_source():
    colptr, target, permutation = small().by_source
    assert colptr.tolist() == [0, 1, 3, 4, 5]
    assert target.tolist() == [2, 0, 2, 2, 0]
    assert permutation.tolist() == [2, 0, 3, 4, 1]


def test_types_of_the_fields():
    graph = small()
    assert graph.rowptr.dtype == graph.by_source.colptr.dtype == torch.int64
    assert graph.source.dtype == graph.target.dtype == graph.by_source.target.dtype == torch.int32
    assert graph.by_source.permutation.dtype == graph.edge_index.dtype == torch.int64
    assert graph.distance.dtype == torch.float32


def test_reverse_of_the_small_graph():
    back = small().reverse()
    assert (back.num_columns, back.num_sources) == (4, 3)
    assert back.edge_index.tolist() == [[2, 0, 2, 2, 0], [0, 1, 1, 2, 3]]
    assert back.distance.tolist() == pytest.approx([0.2, 1.0, 1.2, 2.2, 3.0])


def test_repr():
    assert repr(small()) == "ColumnGraph(num_columns=3, num_sources=4, num_edges=5)"
    assert str(small()) == repr(small())


def test_remeasure_a_bipartite_graph():
    columns = Geometry(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]))
    sources = Geometry(torch.tensor([[0.0, 2.0], [0.0, 1.0], [3.0, 6.0], [8.0, 6.0]]))
    assert small().remeasure(columns, sources).distance.tolist() == [1.0, 10.0, 0.0, 1.0, 5.0]


def test_a_graph_without_edges():
    graph = ColumnGraph.from_edge_index(torch.empty(2, 0, dtype=torch.long), 3)
    assert graph.rowptr.tolist() == [0, 0, 0, 0]
    assert graph.num_edges == 0
    assert graph.density == 0
    assert graph.edge_index.shape == (2, 0)
    assert graph.reverse().in_degree.tolist() == [0, 0, 0]
    assert graph.remeasure(Geometry(torch.rand(3, 2))).distance.shape == (0,)
    assert_equal(ColumnGraph.from_scipy(graph.to_scipy()), graph)
    assert_equal(ColumnGraph.from_networkx(graph.to_networkx())[0], graph)


# Properties


@settings(max_examples=30)
@given(edge_lists())
def test_rowptr_and_views_agree_with_the_edges(case):
    edge_index, n, m = case
    graph = ColumnGraph.from_edge_index(edge_index, n, m)
    source, target = graph.edge_index
    key = target * m + source
    assert torch.equal(key, (edge_index[1] * m + edge_index[0]).sort().values)
    for i in range(n):
        assert (target[graph.rowptr[i] : graph.rowptr[i + 1]] == i).all()
    colptr, by_target, permutation = graph.by_source
    assert torch.equal(permutation.sort().values, torch.arange(len(key)))
    assert torch.equal(by_target.long(), target[permutation])
    for j in range(m):
        assert (source[permutation[colptr[j] : colptr[j + 1]]] == j).all()
    assert torch.equal(graph.in_degree, torch.bincount(target, minlength=n))
    assert torch.equal(graph.out_degree, torch.bincount(source, minlength=m))


@settings(max_examples=30)
@given(edge_lists())
def test_edges_come_in_any_order(case):
    edge_index, n, m = case
    lengths = edge_index.sum(0).float() / 8
    graph = ColumnGraph.from_edge_index(edge_index, n, m, lengths)
    shuffled = torch.randperm(len(lengths))
    again = ColumnGraph.from_edge_index(edge_index[:, shuffled], n, m, lengths[shuffled])
    assert_equal(again, graph)
    assert torch.equal(graph.distance, graph.edge_index.sum(0) / 8)
    assert torch.equal(lengths[ColumnGraph.edge_order(edge_index)], graph.distance)
    assert_equal(ColumnGraph.from_edge_index(edge_index.int(), n, m, lengths.double()), graph)


@settings(max_examples=30)
@given(edge_lists())
def test_reverse_turns_edges_and_undoes_itself(case):
    edge_index, n, m = case
    graph = ColumnGraph.from_edge_index(edge_index, n, m, torch.rand(edge_index.shape[1]))
    back = graph.reverse()
    expected = ColumnGraph.from_edge_index(graph.edge_index.flip(0), m, n, graph.distance)
    assert_equal(back, expected)
    assert torch.equal(back.edge_index, graph.edge_index.flip(0)[:, graph.by_source.permutation])
    assert_equal(back.reverse(), graph)
    back.validate()


@settings(max_examples=30)
@given(edge_lists())
def test_round_trips(case):
    edge_index, n, m = case
    graph = ColumnGraph.from_edge_index(edge_index, n, m, torch.rand(edge_index.shape[1]))
    bare = replace(graph, distance=None)
    for original in (graph, bare):
        values = None if original is bare else "length"
        assert_equal(ColumnGraph.from_scipy(original.to_scipy(), values), original)
        assert_equal(pickle.loads(pickle.dumps(original)), original)
        assert_equal(copy.deepcopy(original), original)
        assert_equal(copy.copy(original), original)
        assert_equal(original.to("cpu"), original)
    assert_equal(ColumnGraph.from_edge_index(graph.to_edge_index()), bare)
    if n == m:
        for original in (graph, bare):
            length = None if original is bare else "edge_attr"
            assert_equal(ColumnGraph.from_data(original.to_data(), length), original)
            # networkx cannot tell a graph without edges from one without distances.
            if len(edge_index[0]):
                assert_equal(ColumnGraph.from_networkx(original.to_networkx())[0], original)


def test_same_topology_ignores_lengths_only():
    graph = square()
    geometry = Geometry(torch.rand(6, 2))
    assert graph.same_topology(graph.remeasure(geometry))
    assert graph.same_topology(replace(graph, distance=None))
    assert not graph.same_topology(graph.reverse())
    moved = graph.edge_index.clone()
    moved[0, 0] = next(j for j in range(6) if [j, moved[1, 0]] not in graph.edge_index.t().tolist())
    assert not graph.same_topology(ColumnGraph.from_edge_index(moved, 6))
    assert not graph.same_topology(ColumnGraph.from_edge_index(graph.edge_index, 6, 7))
    assert not graph.same_topology(ColumnGraph.from_edge_index(graph.edge_index, 7, 6))


def test_remeasure_lets_gradients_reach_the_positions():
    graph = square()
    positions = torch.rand(6, 2, requires_grad=True)
    new = graph.remeasure(Geometry(positions))
    source, target = graph.edge_index
    expected = torch.linalg.vector_norm(positions[target] - positions[source], dim=1)
    assert torch.equal(new.distance, expected)
    assert new.same_topology(graph)
    (got,) = torch.autograd.grad(new.distance.square().sum(), positions, retain_graph=True)
    (answer,) = torch.autograd.grad(expected.square().sum(), positions)
    torch.testing.assert_close(got, answer)


def test_a_distance_that_requires_grad_is_kept():
    lengths = torch.ones(5, requires_grad=True)
    graph = ColumnGraph.from_edge_index(EDGES, 3, 4, lengths)
    (graph.reverse().distance * torch.arange(5.0)).sum().backward()
    # The reverse has edges 2, 0, 3, 4, 1 of the graph, which are 2, 1, 4, 0, 3 of EDGES.
    assert lengths.grad.tolist() == [3.0, 1.0, 0.0, 4.0, 2.0]


def test_a_graph_is_frozen():
    graph = small()
    with pytest.raises(AttributeError, match="cannot assign to field 'source'"):
        graph.source = graph.target


# Tracing


def spread(x: torch.Tensor, graph: ColumnGraph) -> torch.Tensor:
    """Uses every field: a sum over in-edges and one over out-edges."""
    out = torch.zeros(graph.num_columns, x.shape[1])
    weighted = x[graph.source.long()] * graph.distance[:, None]
    out = out.index_add(0, graph.target.long(), weighted)
    colptr, target, permutation = graph.by_source
    lengths = graph.distance[permutation] * target
    return out + lengths.sum() + colptr.sum() + graph.in_degree[:, None] + graph.num_sources


def test_compiles_without_a_graph_break_or_recompiling_for_more_edges():
    compiled = torch.compile(spread, fullgraph=True, backend="eager", dynamic=True)
    x, first, second = torch.rand(6, 3), square(), square(num_edges=20)
    torch.testing.assert_close(compiled(x, first), spread(x, first))
    with torch._dynamo.config.patch(error_on_recompile=True):
        torch.testing.assert_close(compiled(x, second), spread(x, second))


def test_remeasure_compiles_with_gradients():
    def wire(positions: torch.Tensor, graph: ColumnGraph) -> torch.Tensor:
        return graph.remeasure(Geometry(positions)).distance.square().sum()

    graph, positions = square(), torch.rand(6, 2, requires_grad=True)
    compiled = torch.compile(wire, fullgraph=True, backend="aot_eager")
    (got,) = torch.autograd.grad(compiled(positions, graph), positions)
    (answer,) = torch.autograd.grad(wire(positions, graph), positions)
    torch.testing.assert_close(got, answer)


def test_exports_with_any_number_of_edges():
    class Spread(torch.nn.Module):
        def forward(self, x: torch.Tensor, graph: ColumnGraph) -> torch.Tensor:
            return spread(x, graph)

    x, first, second = torch.rand(6, 3), square(), square(num_edges=20)
    edges = {0: torch.export.Dim("E", min=2)}
    # rowptr, source, distance, target, and by_source: colptr, target, permutation.
    shapes = [None, edges, edges, edges, None, edges, edges]
    program = torch.export.export(Spread(), (x, first), dynamic_shapes=(None, shapes)).module()
    torch.testing.assert_close(program(x, first), spread(x, first))
    torch.testing.assert_close(program(x, second), spread(x, second))


def test_a_tree_of_graphs_is_mapped_without_checks():
    doubled = pytree.tree_map(lambda tensor: -tensor, {"graph": small()})["graph"]
    assert isinstance(doubled, ColumnGraph)
    assert doubled.source.tolist() == [-1, -3, 0, -1, -2]
    assert doubled.by_source.permutation.tolist() == [-2, 0, -3, -4, -1]
    paths = [pytree.keystr(path) for path, _ in pytree.tree_flatten_with_path(small())[0]]
    assert paths[:4] == [".rowptr", ".source", ".distance", ".target"]


@pytest.mark.gpu
def test_to_another_device_and_back():
    graph = square()
    moved = graph.to("cuda")
    assert all(tensor.is_cuda for tensor in pytree.tree_leaves(moved))
    assert moved.same_topology(graph)
    assert graph.same_topology(moved)
    assert_equal(moved.to("cpu"), graph)
    assert_equal(moved.reverse().to("cpu"), graph.reverse())
    again = ColumnGraph.from_edge_index(
        moved.edge_index.flip(1), 6, distance=moved.distance.flip(0)
    )
    assert_equal(again.to("cpu"), graph)


def star(leaves: int, others: int = 40) -> ColumnGraph:
    """Column 0 listens to many sources; of the other columns each listens to one."""
    target = torch.cat([torch.zeros(leaves, dtype=torch.long), torch.arange(1, others)])
    source = torch.cat([torch.arange(leaves), torch.arange(1, others)])
    return ColumnGraph.from_edge_index(torch.stack([source, target]), others, leaves)


def test_hubs():
    """More than 256 edges in a row, and more than four times the mean."""
    assert star(256).hubs == (False, False)
    assert star(257).hubs == (True, False)
    assert star(257, others=5).hubs == (True, False)  # 257 > 4 * 261 / 5
    assert star(257, others=4).hubs == (False, False)  # 257 < 4 * 260 / 4
    graph = star(300)
    assert graph.reverse().hubs == (False, True)
    assert graph.reverse().reverse().hubs == graph.to("meta").hubs == (True, False)
    assert pickle.loads(pickle.dumps(graph)).hubs == (True, False)
    _, spec = pytree.tree_flatten(graph)
    assert pytree.treespec_loads(pytree.treespec_dumps(spec)) == spec


# Other libraries


def test_edge_index_is_sorted_as_pyg_says():
    graph = small()
    edge_index = graph.to_edge_index()
    assert isinstance(edge_index, EdgeIndex)
    assert edge_index.validate().is_sorted_by_col
    assert edge_index.sparse_size() == (4, 3)
    (colptr, row), permutation = edge_index.get_csc()
    assert permutation is None
    assert torch.equal(colptr, graph.rowptr)
    assert torch.equal(row, graph.source.long())
    (rowptr, col), permutation = edge_index.get_csr()
    assert torch.equal(rowptr, graph.by_source.colptr)
    assert torch.equal(col, graph.by_source.target.long())
    assert torch.equal(permutation, graph.by_source.permutation)
    expected = sort_edge_index(EDGES, sort_by_row=False)
    assert torch.equal(graph.edge_index, expected)


def test_edge_index_without_a_size_needs_num_columns():
    edge_index = EdgeIndex(EDGES)
    assert_equal(ColumnGraph.from_edge_index(edge_index, 3, 4, LENGTHS), small())
    with pytest.raises(ValueError, match="Pass num_columns, or an EdgeIndex with a sparse_size"):
        ColumnGraph.from_edge_index(edge_index)


def test_data_has_what_pyg_transforms_write():
    graph = square()
    faces = torch.tensor([[0, 1, 2], [3, 4, 5]])
    geometry = Geometry(torch.rand(6, 3), faces=faces)
    data = graph.remeasure(geometry).to_data(geometry)
    assert data.validate()
    assert data.num_nodes == 6
    assert torch.equal(data.pos, geometry.positions)
    assert torch.equal(data.face, faces.t())
    bare = graph.to_data(geometry)
    del bare.edge_attr
    measured = Distance(norm=False)(bare)
    torch.testing.assert_close(data.edge_attr, measured.edge_attr)
    batch = Batch.from_data_list([data, data])
    assert torch.equal(batch.edge_index[:, 14:], graph.edge_index + 6)


def test_scipy_rows_are_targets():
    graph = small()
    matrix = graph.to_scipy()
    expected = np.array([[0, 1, 0, 3], [0, 0, 0, 0], [0.2, 1.2, 2.2, 0]], dtype=np.float32)
    np.testing.assert_array_equal(matrix.toarray(), expected)
    assert matrix.has_canonical_format
    x = np.arange(4.0)
    # The product gathers along in-edges: what a column hears.
    np.testing.assert_allclose(matrix @ x, [1 * 1 + 3 * 3, 0, 1 * 1.2 + 2 * 2.2], rtol=1e-6)
    matrix.data[:] = 0
    assert graph.distance.tolist() == pytest.approx([1.0, 3.0, 0.2, 1.2, 2.2])


def test_networkx_keeps_names_and_direction():
    original = networkx.DiGraph()
    original.add_nodes_from(["V1", "V2", "MT"])
    original.add_edge("V1", "MT", distance=2.0)
    original.add_edge("V1", "V2", distance=1.0)
    original.add_edge("MT", "V1", distance=3.0)
    graph, names = ColumnGraph.from_networkx(original)
    assert names == ["V1", "V2", "MT"]
    assert graph.edge_index.tolist() == [[2, 0, 0], [0, 1, 2]]
    assert graph.distance.tolist() == [3.0, 1.0, 2.0]
    back = graph.to_networkx(names)
    assert networkx.utils.graphs_equal(back, original)
    assert dict(graph.to_networkx().in_degree()) == dict(enumerate(graph.in_degree.tolist()))


def test_networkx_undirected_edges_become_two():
    graph, _ = ColumnGraph.from_networkx(networkx.path_graph(3))
    assert graph.edge_index.tolist() == [[1, 0, 2, 1], [0, 1, 1, 2]]
    assert graph.distance is None


def test_networkx_wrong_input():
    some = networkx.path_graph(3)
    some.edges[0, 1]["distance"] = 1.0
    with pytest.raises(ValueError, match=r"attribute 'distance'. Got 2 of 4"):
        ColumnGraph.from_networkx(some)
    parallel = networkx.MultiDiGraph([("a", "b"), ("a", "b")])
    with pytest.raises(ValueError, match=r"\(source 0, target 1\) more than once"):
        ColumnGraph.from_networkx(parallel)
    with pytest.raises(ValueError, match=r"6 different names.*Got 6 names, 1 of them different"):
        square().to_networkx(["V1"] * 6)


@pytest.mark.parametrize("method", ["to_data", "to_networkx"])
def test_a_bipartite_graph_is_no_square_one(method: str):
    with pytest.raises(ValueError, match=f"{method} needs as many sources as columns. Got Column"):
        getattr(small(), method)()


# Wrong input


@pytest.mark.parametrize(
    ("edge_index", "sizes", "error", "message"),
    [
        ([[0, 3], [0, 1]], (3,), ValueError, r"source ids must lie in \[0, 3\). Got 3"),
        ([[0, 1], [0, 3]], (3,), ValueError, r"target ids must lie in \[0, 3\). Got 3"),
        ([[0, -1], [0, 1]], (3,), ValueError, r"source ids must lie in \[0, 3\). Got -1"),
        ([[0, 3], [0, 1]], (9, 3), ValueError, "Got 3; raise num_sources or drop the edge"),
        ([[2, 0, 2], [1, 0, 1]], (3,), ValueError, r"\(source 2, target 1\) more than once.*coale"),
        ([[0.0, 1.0], [0.0, 1.0]], (3,), TypeError, r"hold integers. Got torch.float32"),
        ([[True], [True]], (3,), TypeError, "hold integers. Got torch.bool"),
        ([0, 1], (3,), ValueError, r"shape \(2, E\), row 0 source.* Got \(2,\)"),
        ([[0, 1], [0, 1], [0, 1]], (3,), ValueError, r"Got \(3, 2\)"),
        ([[0], [0]], (0,), ValueError, r"num_columns must be in \[1, 2147483647\].* Got 0"),
        ([[0], [0]], (3, 0), ValueError, r"num_sources must be in \[1, 2147483647\].* Got 0"),
        ([[0], [0]], (2**31,), ValueError, "because ids are int32. Got 2147483648"),
        ([[0], [0]], (), ValueError, "num_columns is needed"),
    ],
)
def test_wrong_edge_index(edge_index, sizes, error, message):
    with pytest.raises(error, match=message):
        ColumnGraph.from_edge_index(torch.tensor(edge_index), *sizes)


def test_edge_index_must_be_a_tensor():
    with pytest.raises(TypeError, match=r"Got list; call torch.as_tensor"):
        ColumnGraph.from_edge_index([[0], [1]], 2)


@pytest.mark.parametrize(
    ("distance", "error", "message"),
    [
        (torch.ones(4), ValueError, r"one length per edge, shape \(5,\). Got \(4,\)"),
        (torch.ones(5, 1), ValueError, r"Got \(5, 1\)"),
        (torch.tensor([1, 1, 1, -1.0, 1]), ValueError, "not negative. Got -1.0 at edge 3"),
        (torch.tensor([1, float("nan"), 1, 1, 1]), ValueError, "Got nan at edge 1"),
        (torch.tensor([1, float("inf"), 1, 1, 1]), ValueError, "Got inf at edge 1"),
        (torch.ones(5).long(), TypeError, "float32 tensor. Got torch.int64"),
        ([1.0] * 5, TypeError, "Got list"),
    ],
)
def test_wrong_distance(distance, error, message):
    with pytest.raises(error, match=message):
        ColumnGraph.from_edge_index(EDGES, 3, 4, distance)
    with pytest.raises(error):
        replace(small(), distance=distance)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"rowptr": torch.tensor([0, 2, 2, 4])}, ValueError, "number of edges, 5,.*Got 0 to 4"),
        ({"rowptr": torch.tensor([1, 2, 2, 5])}, ValueError, "Got 1 to 5"),
        ({"rowptr": torch.tensor([0, 3, 2, 5])}, ValueError, "never decrease"),
        ({"rowptr": torch.tensor([0])}, ValueError, r"num_columns must be in \[1"),
        ({"rowptr": torch.tensor([[0, 2, 2, 5]])}, ValueError, r"rowptr must be \(N \+ 1,\)"),
        ({"rowptr": torch.tensor([0, 2, 2, 5]).int()}, TypeError, "Got torch.int32 and torch.int3"),
        ({"source": torch.tensor([1, 3, 0, 1, 2])}, TypeError, "from_edge_index"),
        ({"source": torch.tensor([1, 4, 0, 1, 2]).int()}, ValueError, r"in \[0, 4\). Got 4"),
        (
            {"source": torch.tensor([3, 1, 0, 1, 2]).int()},
            ValueError,
            "1, target 0.* after source 3",
        ),
        ({"source": torch.tensor([1, 3, 0, 0, 2]).int()}, ValueError, "0, target 2.*more than onc"),
        ({"num_sources": 2}, ValueError, r"source ids must lie in \[0, 2\). Got 3"),
        ({"num_sources": 0}, ValueError, r"num_sources must be in \[1"),
        ({"num_sources": 4.5}, TypeError, "num_sources must be a whole number. Got 4.5"),
    ],
)
def test_wrong_fields(changes: dict, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        replace(small(), **changes)


def test_remeasure_with_the_wrong_geometry():
    three, four = Geometry(torch.rand(3, 2)), Geometry(torch.rand(4, 2))
    with pytest.raises(ValueError, match=r"must place 3 columns.*num_columns=4"):
        small().remeasure(four)
    with pytest.raises(ValueError, match=r"must place 4 columns.*num_columns=3"):
        small().remeasure(three)
    with pytest.raises(ValueError, match=r"in one space. Got unit 'pixel' .* 'mm'"):
        small().remeasure(three, Geometry(torch.rand(4, 2), unit="mm"))


class TestPermute:
    """The same edges for columns in another order."""

    @pytest.fixture
    def graph(self):
        edges = torch.tensor([[2, 0, 3, 1, 1], [0, 1, 1, 2, 1]])
        return ColumnGraph.from_edge_index(edges, 4, distance=torch.arange(1.0, 6.0))

    def test_worked_by_hand(self, graph):
        # Column n of the result is permutation[n] here, so old 2, 0, 3, 1 become 0, 1, 2, 3.
        changed = graph.permute(torch.tensor([2, 0, 3, 1]))
        lengths = {(0, 1): 1.0, (1, 3): 2.0, (2, 3): 3.0, (3, 0): 4.0, (3, 3): 5.0}
        pairs = map(tuple, changed.edge_index.t().tolist())
        assert dict(zip(pairs, changed.distance.tolist(), strict=True)) == lengths

    def test_values_per_edge_follow_and_the_way_back_restores(self, graph):
        permutation = torch.tensor([3, 1, 0, 2])
        changed, back = graph.permute(permutation), permutation.argsort()
        moved = graph.distance[graph.permuted_edges(permutation)]
        assert torch.equal(moved, changed.distance)
        again = changed.permute(back)
        assert again.same_topology(graph)
        assert torch.equal(again.distance, graph.distance)

    def test_it_goes_with_the_geometry(self, graph):
        geometry = Geometry(torch.rand(4, 2))
        permutation = torch.tensor([1, 3, 0, 2])
        measured = graph.remeasure(geometry).permute(permutation)
        there = graph.permute(permutation).remeasure(geometry.permute(permutation))
        assert torch.equal(measured.distance, there.distance)

    def test_sources_of_a_bipartite_graph_stay(self):
        graph = ColumnGraph.from_edge_index(torch.tensor([[4, 0], [0, 1]]), 2, 5)
        assert graph.permute(torch.tensor([1, 0])).edge_index.tolist() == [[0, 4], [0, 1]]

    @pytest.mark.parametrize("ids", [[0, 1, 1, 2], [0, 1, 2], [0, 1, 2, 4]])
    def test_no_permutation_is_an_error(self, graph, ids):
        with pytest.raises(ValueError, match="must hold each of the 4 column ids once"):
            graph.permute(torch.tensor(ids))
