import copy
import math
import pickle

import pytest
import torch
import torch_geometric.typing
from torch_geometric import EdgeIndex, seed_everything
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import Sequential, summary
from torch_geometric.testing import assert_module, withDevice
from torch_geometric.typing import SparseTensor
from torch_geometric.utils import k_hop_subgraph, to_torch_coo_tensor, to_torch_csc_tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import ColumnConv
from tests.nn.support.graphs import masked_softmax, random_edges, random_graph

MODES = ["untied", "shared", "mixture", "lowrank"]
EDGES = torch.tensor([[0, 1, 2, 3, 0], [0, 0, 1, 1, 3]])  # column 2 hears nothing


def same(a, b, atol=1e-6):
    torch.testing.assert_close(a, b, atol=atol, rtol=1e-5)


@withDevice
@pytest.mark.parametrize("edge_dim", [None, 8])
@pytest.mark.parametrize("concat", [True, False])
def test_column_conv(edge_dim, concat, device):
    x, edge_index = torch.randn(4, 8, device=device), EDGES.to(device)
    edge_attr = None if edge_dim is None else torch.randn(5, edge_dim, device=device)
    conv = ColumnConv(8, 32, 4, heads=2, concat=concat, edge_dim=edge_dim).to(device)
    assert str(conv) == "ColumnConv(8, 32, heads=2)"
    width = 64 if concat else 32

    out = conv(x, edge_index, edge_attr)
    assert out.size() == (4, width)
    assert conv._alpha is None
    same(conv(x, edge_index.int(), edge_attr), out)

    order = ColumnGraph.edge_order(edge_index)
    graph = ColumnGraph.from_edge_index(edge_index, 4)
    in_order = None if edge_attr is None else edge_attr[order]
    same(conv(x, graph, in_order), out)
    same(conv(x, graph.to_edge_index(), in_order), out)
    same(conv(x, EdgeIndex(edge_index, sparse_size=(4, 4)), edge_attr), out)
    same(conv(x, to_torch_csc_tensor(edge_index, size=(4, 4)).t(), in_order), out)
    if edge_dim is not None:  # PyG users keep the features in the values of the matrix
        adj = to_torch_coo_tensor(edge_index, edge_attr, size=(4, 4))
        same(conv(x, adj.transpose(0, 1).coalesce()), out)
    if torch_geometric.typing.WITH_TORCH_SPARSE:
        adj = SparseTensor.from_edge_index(edge_index, edge_attr, sparse_sizes=(4, 4))
        same(conv(x, adj.t()), out)

    static = conv(torch.stack([x, -x]), edge_index, edge_attr)
    assert static.size() == (2, 4, width)
    same(static[0], out)
    same(conv(torch.stack([x, -x]), graph, in_order), static)


def test_return_attention_weights():
    x, conv = torch.randn(4, 8), ColumnConv(8, 16, 4, heads=2)
    out = conv(x, EDGES)
    assert torch.equal(conv(x, EDGES, return_attention_weights=False), out)

    again, (edge_index, alpha) = conv(x, EDGES, return_attention_weights=True)
    assert torch.equal(again, out)
    assert torch.equal(edge_index, EDGES)
    assert alpha.size() == (5, 2)
    assert alpha.min() >= 0
    assert alpha.max() <= 1
    total = torch.zeros(4, 2).index_add(0, EDGES[1], alpha)
    same(total, torch.tensor([1.0, 1.0, 0.0, 1.0])[:, None].expand(4, 2))

    graph = ColumnGraph.from_edge_index(EDGES, 4)
    fused, (edge_index, sorted_alpha) = conv(x, graph, return_attention_weights=True)
    same(fused, out)
    assert torch.equal(edge_index, graph.edge_index)
    same(sorted_alpha, alpha[ColumnGraph.edge_order(EDGES)])

    adj_t = to_torch_csc_tensor(EDGES, size=(4, 4)).t()
    _, (adj, _) = conv(x, adj_t, return_attention_weights=True)
    assert adj.size() == (4, 4, 2)
    assert adj._nnz() == 5

    _, (_, alpha) = conv(torch.stack([x, -x]), EDGES, return_attention_weights=True)
    assert alpha.size() == (2, 5, 2)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch", [None, 3])
def test_both_paths_equal_the_dense_formula(mode, batch):
    graph = random_graph(7, 20)
    conv = ColumnConv(4, 3, 7, heads=2, weights=mode, qk_channels=5, edge_dim=2).double()
    for parameter in conv.parameters():  # biases and low-rank parts start at zero
        torch.nn.init.normal_(parameter)
    x = torch.randn(*(() if batch is None else (batch,)), 7, 4, dtype=torch.float64)
    edge_attr = torch.randn(20, 2, dtype=torch.float64)

    def heads(linear, width):
        weight, bias, *_ = linear._effective()
        if mode == "lowrank":
            weight = weight + linear.down @ linear.up
        weight, bias = weight.expand(7, -1, -1), bias.expand(7, -1)
        y = torch.einsum("...nc,nco->...no", x, weight) + bias
        return y.unflatten(-1, (2, width)).movedim(-2, -3)  # [..., H, N, D]

    q, k, v = heads(conv.lin_query, 5), heads(conv.lin_key, 5), heads(conv.lin_value, 3)
    scores = q @ k.mT / math.sqrt(5)
    source, target = graph.edge_index
    extra = torch.zeros(7, 7, 2, dtype=torch.float64)
    extra[target, source] = edge_attr @ conv.lin_edge.weight.t()
    p = masked_softmax(scores + extra.movedim(-1, 0), graph)
    expected = (p @ v).movedim(-3, -2).flatten(-2)

    grads = []
    for edges in (graph, graph.edge_index):
        out = conv(x, edges, edge_attr)
        torch.testing.assert_close(out, expected, atol=1e-12, rtol=1e-10)
        grads.append(torch.autograd.grad(out.sin().sum(), list(conv.parameters())))
    oracle = torch.autograd.grad(expected.sin().sum(), list(conv.parameters()))
    torch.testing.assert_close(grads[0], oracle, atol=1e-11, rtol=1e-10)
    torch.testing.assert_close(grads[1], oracle, atol=1e-11, rtol=1e-10)


def test_heads_are_concatenated_or_averaged():
    x, conv = torch.randn(4, 8), ColumnConv(8, 16, 4, heads=2)
    side_by_side = conv(x, EDGES)
    conv.concat = False
    same(conv(x, EDGES), (side_by_side[:, :16] + side_by_side[:, 16:]) / 2)


def test_assert_module():
    edge_index = random_edges(10, 40)
    conv = ColumnConv(8, 16, 10, heads=2)
    assert_module(conv, torch.randn(10, 8), edge_index, expected_size=(10, 32), atol=1e-6)
    assert_module(
        conv,
        torch.randn(3, 10, 8),
        edge_index,
        expected_size=(3, 10, 32),
        sparse_size=(10, 10),
        atol=1e-6,
    )


def test_edge_order_does_not_matter():
    edge_index, x = random_edges(10, 40), torch.randn(10, 8)
    shuffled = edge_index[:, torch.randperm(40)]
    conv = ColumnConv(8, 16, 10)
    same(conv(x, shuffled), conv(x, edge_index))
    graphs = [ColumnGraph.from_edge_index(e, 10) for e in (edge_index, shuffled)]
    assert torch.equal(conv(x, graphs[0]), conv(x, graphs[1]))


@pytest.mark.parametrize("sizes", [(8, 3), (-1, -1)])
def test_bipartite(sizes):
    pair, edge_index = (torch.randn(6, 8), torch.randn(4, 3)), random_edges(4, 9, sources=6)
    conv = ColumnConv(sizes, 16, (6, 4), heads=2)
    out = conv(pair, edge_index)
    assert str(conv) == f"ColumnConv({sizes}, 16, heads=2)"
    assert out.size() == (4, 32)
    assert_module(conv, pair, edge_index, expected_size=(4, 32), atol=1e-6)
    graph = ColumnGraph.from_edge_index(edge_index, 4, num_sources=6)
    same(conv(pair, graph), out)
    static = conv((pair[0].expand(2, 6, 8), pair[1].expand(2, 4, 3)), graph)
    same(static, out.expand(2, 4, 32))
    with pytest.raises(ValueError, match="6, 4"):
        conv(pair[0], edge_index)


def test_isolated_nodes_and_empty_graphs():
    x, conv = torch.randn(4, 8, requires_grad=True), ColumnConv(8, 16, 4)
    graph = ColumnGraph.from_edge_index(EDGES, 4)
    assert torch.equal(conv(x, EDGES)[2], torch.zeros(16))
    assert torch.equal(conv(x, graph)[2], torch.zeros(16))
    nothing = torch.empty(2, 0, dtype=torch.long)
    for edges in (nothing, ColumnGraph.from_edge_index(nothing, 4)):
        out = conv(x, edges)
        assert torch.equal(out, torch.zeros(4, 16))
        (grad,) = torch.autograd.grad(out.sum(), x)
        assert torch.equal(grad, torch.zeros(4, 8))


@pytest.mark.parametrize("edge", [(4, 0), (0, 4), (-1, 0), (0, -1)])
@pytest.mark.parametrize("shape", [(4, 8), (2, 4, 8)])
def test_ids_out_of_range(edge, shape):
    edge_index = torch.tensor([[0, edge[0]], [0, edge[1]]])
    with pytest.raises(IndexError, match="edge_index"):
        ColumnConv(8, 16, 4)(torch.randn(shape), edge_index)


@pytest.mark.parametrize("mode", MODES)
def test_batch_of_copies(mode):
    edge_index, x = random_edges(6, 15), torch.randn(5, 6, 8)
    conv = ColumnConv(8, 16, 6, heads=2, weights=mode)
    copies = [Data(x=one, edge_index=edge_index, column_id=torch.arange(6)) for one in x]
    (batch,) = DataLoader(copies, batch_size=5)
    assert batch.column_id.tolist() == list(range(6)) * 5

    out = conv(batch.x, batch.edge_index, column_id=batch.column_id)
    expected = conv(x, edge_index)
    same(out, expected.flatten(0, 1))
    grads = [torch.autograd.grad(y.sin().sum(), list(conv.parameters())) for y in (out, expected)]
    torch.testing.assert_close(*grads, atol=1e-5, rtol=1e-5)

    with pytest.raises(ValueError, match="pass column_id"):
        conv(batch.x, batch.edge_index)


def test_subgraph_equals_full_computation():
    edge_index, x = random_edges(12, 40), torch.randn(12, 8)
    conv = ColumnConv(8, 16, 12, weights="lowrank")
    torch.nn.init.normal_(conv.lin_value.up)
    nodes, local, _, mask = k_hop_subgraph([3, 7], 1, edge_index, relabel_nodes=True, num_nodes=12)
    assert len(nodes) < 12
    out = conv(x[nodes], local, column_id=nodes)
    same(out, conv(x, edge_index[:, mask])[nodes])
    graph = ColumnGraph.from_edge_index(local, len(nodes))
    same(conv(x[nodes], graph, column_id=nodes), out)
    same(conv(x[nodes].expand(2, -1, -1), local, column_id=nodes), out.expand(2, -1, -1))
    with pytest.raises(ValueError, match="subgraph pass column_id"):
        conv(x[nodes], local)


def test_edge_bias_accepts_its_topology_only():
    graph = random_graph(6, 15)
    conv = ColumnConv(4, 4, 6, heads=2, edge_bias=graph)
    x = torch.randn(6, 4)
    same(conv(x, graph), _without_bias(conv)(x, graph))  # scores start at zero

    torch.nn.init.normal_(conv.edge_bias.per_head)
    out, (_, alpha) = conv(x, graph, return_attention_weights=True)  # the propagate path
    same(conv(x, graph), out)
    assert alpha.size() == (15, 2)
    assert (out - _without_bias(conv)(x, graph)).abs().max() > 1e-3
    remade = ColumnGraph.from_edge_index(graph.edge_index, 6)
    same(conv(x, remade), out)

    same(conv(x, graph.edge_index), out)  # its own edges, in its order: what explainers pass
    same(conv(x, graph.to_edge_index()), out)
    for other in (graph.edge_index.flip(1), graph.edge_index[:, 1:], random_edges(6, 15)):
        with pytest.raises(ValueError, match="pass that graph, got Tensor"):
            conv(x, other)
    with pytest.raises(ValueError, match="pass that graph, got ColumnGraph"):
        conv(x, random_graph(6, 15))


def _without_bias(conv):
    plain = copy.deepcopy(conv)
    plain.edge_bias = plain.topology = None
    return plain


@pytest.mark.parametrize("edges", ["edge_index", "graph"])
def test_dropout_acts_in_training_only(edges):
    graph = random_graph(6, 25)
    given = graph if edges == "graph" else graph.edge_index
    conv = ColumnConv(4, 4, 6, dropout=0.5)
    x = torch.randn(400, 6, 4)[:1].expand(400, 6, 4)
    expected = conv.eval()(x, given)
    assert torch.equal(expected[0], expected[1])
    drawn = conv.train()(x, given)
    assert not torch.equal(drawn[0], drawn[1])
    scale = drawn.std(0) / math.sqrt(400)
    assert ((drawn.mean(0) - expected[0]).abs() <= 5 * scale + 1e-6).all()


def test_dropped_attention_is_zero_or_scaled_up():
    conv, x = ColumnConv(4, 4, 10, dropout=0.25), torch.randn(10, 4)
    edge_index = random_edges(10, 60)
    _, (_, alpha) = conv.eval()(x, edge_index, return_attention_weights=True)
    _, (_, drawn) = conv.train()(x, edge_index, return_attention_weights=True)
    kept = drawn > 0
    assert 0 < kept.sum() < 60
    same(drawn[kept], alpha[kept] / 0.75)


def test_other_aggregation_and_flow_take_propagate():
    graph, x = random_graph(6, 15), torch.randn(6, 4)
    for arguments in ({"aggr": "max"}, {"flow": "target_to_source"}):
        conv = ColumnConv(4, 4, 6, **arguments)
        assert torch.equal(conv(x, graph), conv(x, graph.edge_index))
        assert not torch.allclose(conv(x, graph), _as_sum(conv)(x, graph))


def _as_sum(conv):
    plain = ColumnConv(4, 4, 6)
    plain.load_state_dict(conv.state_dict())
    return plain


def test_decomposed_layers():
    x, conv = torch.randn(4, 8), ColumnConv(8, 16, 4, heads=2, decomposed_layers=2)
    whole = ColumnConv(8, 16, 4, heads=2)
    whole.load_state_dict(conv.state_dict())
    same(conv(x, EDGES), whole(x, EDGES))


@pytest.mark.parametrize("mode", MODES)
def test_reset_parameters_covers_all_and_is_deterministic(mode):
    graph = random_graph(6, 15)
    conv = ColumnConv(4, 4, 6, heads=2, weights=mode, edge_bias=graph, edge_dim=3)
    drawn = []
    for _ in range(2):
        for parameter in conv.parameters():
            torch.nn.init.constant_(parameter, torch.nan)
        seed_everything(12345)
        conv.reset_parameters()
        drawn.append(copy.deepcopy(conv.state_dict()))
    assert not any(value.isnan().any() for value in drawn[0].values())
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])
    seed_everything(12345)
    fresh = ColumnConv(4, 4, 6, heads=2, weights=mode, edge_bias=graph, edge_dim=3)
    assert fresh.state_dict().keys() == drawn[0].keys()


@pytest.mark.parametrize("mode", MODES)
def test_every_parameter_learns(mode):
    graph = random_graph(6, 15)
    conv = ColumnConv(4, 4, 6, weights=mode, edge_bias=graph, edge_dim=3)
    for parameter in conv.parameters():
        torch.nn.init.normal_(parameter)
    conv(torch.randn(3, 6, 4), graph, torch.randn(15, 3)).sin().sum().backward()
    for name, parameter in conv.named_parameters():
        # a bias of the keys moves all scores of a column alike only if keys share it
        if not (name == "lin_key.bias" and mode == "shared"):
            assert parameter.grad.abs().max() > 1e-6, name


def test_copies():
    conv, graph, x = ColumnConv(8, 16, 4), ColumnGraph.from_edge_index(EDGES, 4), torch.randn(4, 8)
    with_bias = ColumnConv(8, 16, 4, edge_bias=graph)
    for layer, edges in ((conv, EDGES), (conv, graph), (with_bias, graph)):
        out = layer(x, edges)
        assert torch.equal(copy.deepcopy(layer)(x, edges), out)
        assert torch.equal(pickle.loads(pickle.dumps(layer))(x, edges), out)


def test_sequential_and_summary():
    layers = [
        (ColumnConv(8, 16, 4, heads=2), "x, edge_index -> x"),
        torch.nn.ReLU(),
        (ColumnConv(32, 3, 4), "x, edge_index -> x"),
    ]
    model, x = Sequential("x, edge_index", layers), torch.randn(4, 8)
    graph = ColumnGraph.from_edge_index(EDGES, 4)
    assert model(x, EDGES).size() == (4, 3)
    same(model(x, graph), model(x, EDGES))
    for edges in (EDGES, graph):
        assert "ColumnConv" in summary(model, x, edges)


def test_wrong_sizes():
    for arguments, match in [
        ({"heads": 0}, "heads must be at least 1, got 0"),
        ({"out_channels": 0}, "out_channels must be at least 1"),
        ({"in_channels": 0}, "in_channels must be at least 1"),
        ({"num_columns": 0}, "num_columns must be at least 1"),
        ({"qk_channels": 0}, "qk_channels must be at least 1"),
        ({"edge_dim": 0}, "edge_dim must be at least 1"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"weights": "tied"}, "weights must be one of .*'lowrank'.* Got 'tied'"),
    ]:
        with pytest.raises(ValueError, match=match):
            ColumnConv(**{"in_channels": 8, "out_channels": 4, "num_columns": 4, **arguments})


def test_wrong_inputs():
    x, conv = torch.randn(4, 8), ColumnConv(8, 16, 4)
    with_edges = ColumnConv(8, 16, 4, edge_dim=3)
    graph = ColumnGraph.from_edge_index(EDGES, 4)
    ids = torch.arange(4)
    for error, match, call in [
        (ValueError, r"x must be \[N, C\] or \[B, N, C\]", lambda: conv(x[0], EDGES)),
        (ValueError, r"x must be \[N, C\] or \[B, N, C\]", lambda: conv(x[None, None], EDGES)),
        (ValueError, "both parts of a pair alike", lambda: conv((x, x[None]), EDGES)),
        (TypeError, r"got \(Tensor, NoneType\)", lambda: conv((x, None), EDGES)),
        (ValueError, r"in_channels = 8 channels, .* got \[4, 7\]", lambda: conv(x[:, :7], EDGES)),
        (ValueError, "built without edge_dim", lambda: conv(x, EDGES, torch.randn(5, 3))),
        (ValueError, r"= \[5, 3\], got None", lambda: with_edges(x, EDGES)),
        (ValueError, r"= \[5, 3\], got None", lambda: with_edges(x, graph)),
        (ValueError, r"got \[1, 3\]", lambda: with_edges(x, EDGES, torch.randn(1, 3))),
        (ValueError, r"got \[5, 2\]", lambda: with_edges(x, graph, torch.randn(5, 2))),
        (ValueError, r"got 0 to 4", lambda: conv(x, EDGES, column_id=ids + ids // 3)),
        (ValueError, "one column per node", lambda: conv(x, EDGES, column_id=ids[:3])),
        (TypeError, "got torch.float32", lambda: conv(x, EDGES, column_id=ids.float())),
        (ValueError, "not a pair", lambda: conv((x, x + 1), EDGES, column_id=ids)),
    ]:
        with pytest.raises(error, match=match):
            call()
