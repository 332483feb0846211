"""Options that PyG's attention layers have, on both forms, against those layers."""

import copy
import pickle

import pytest
import torch
from torch_geometric import EdgeIndex
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import TransformerConv
from torch_geometric.testing import assert_module
from torch_geometric.utils import (
    add_self_loops,
    remove_self_loops,
    to_torch_coo_tensor,
    to_torch_csr_tensor,
)

from graphcolumns import ColumnGraph
from graphcolumns.nn import ColumnConv
from graphcolumns.nn.recording import recording
from tests.nn.support.graphs import masked_softmax

N, C, D, F = 5, 4, 3, 2
# Shuffled; columns 0 and 2 hear themselves, column 4 hears nobody.
EDGES = torch.tensor([[2, 0, 4, 3, 0, 2, 1], [2, 0, 1, 2, 3, 0, 0]])
ORDER, GRAPH = ColumnGraph.edge_order(EDGES), ColumnGraph.from_edge_index(EDGES, N)
E = EDGES.shape[1]
FORMS = ["edge_index", "graph"]
MODES = ["untied", "shared", "mixture", "lowrank"]
MAPS = ["lin_query", "lin_key", "lin_value", "lin_skip", "lin_beta"]
EVERYTHING = {
    "keys and values": {
        "edge_dim": F,
        "edge_features": "keys_values",
        "add_self_loops": True,
        "root_weight": True,
        "beta": True,
    },
    "scores": {"edge_dim": F, "add_self_loops": True, "fill_value": 0.5, "root_weight": True},
    "no features": {"add_self_loops": True, "root_weight": True, "beta": True, "concat": False},
}


def same(a, b, atol=1e-10):
    torch.testing.assert_close(a, b, atol=atol, rtol=1e-8)


def layer(**options) -> ColumnConv:
    """In float64, with no parameter at zero."""
    conv = ColumnConv(C, D, N, **{"heads": 2, **options}).double()
    for parameter in conv.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return conv


def given(form: str, edge_attr: torch.Tensor | None) -> tuple:
    """The edges in that form, with features in their order."""
    if form == "edge_index":
        return EDGES, edge_attr
    return GRAPH, None if edge_attr is None else edge_attr[ORDER]


def draw(edge_dim: int | None = F):
    x = torch.randn(N, C, dtype=torch.float64, requires_grad=True)
    if edge_dim is None:
        return x, None
    return x, torch.randn(E, edge_dim, dtype=torch.float64, requires_grad=True)


def pyg_of(conv: ColumnConv) -> TransformerConv:
    """PyG's layer with the weights of ours."""
    options = {name: getattr(conv, name) for name in ("concat", "beta", "edge_dim", "root_weight")}
    theirs = TransformerConv(C, D, heads=conv.heads, **options).double()
    with torch.no_grad():
        for name in MAPS:
            ours = getattr(conv, name)
            if ours is not None:
                getattr(theirs, name).weight.copy_(ours.weight.t())
                if ours.bias is not None:
                    getattr(theirs, name).bias.copy_(ours.bias)
        if conv.lin_edge is not None:
            theirs.lin_edge.weight.copy_(conv.lin_edge.weight)
    return theirs


def with_loops(edge_attr, fill_value="mean"):
    """What PyG's layers make of the edges with add_self_loops=True."""
    edges, edge_attr = remove_self_loops(EDGES, edge_attr)
    return add_self_loops(edges, edge_attr, fill_value, N)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("edge_dim", [None, F])
@pytest.mark.parametrize("concat", [True, False])
@pytest.mark.parametrize("root", ["none", "root_weight", "beta"])
def test_with_shared_weights_it_is_pygs_transformer_conv(root, concat, edge_dim, form):
    options = {"root_weight": root != "none", "beta": root == "beta", "concat": concat}
    if edge_dim is not None:
        options |= {"edge_dim": edge_dim, "edge_features": "keys_values"}
    conv = layer(weights="shared", **options)
    theirs, (x, edge_attr) = pyg_of(conv), draw(edge_dim)
    out, expected = conv(x, *given(form, edge_attr)), theirs(x, EDGES, edge_attr)
    same(out, expected)

    used = [name for name in MAPS if getattr(conv, name) is not None]
    leaves = [x] if edge_attr is None else [x, edge_attr, conv.lin_edge.weight]
    ours = torch.autograd.grad(
        out.sin().sum(), [*(getattr(conv, name).weight for name in used), *leaves]
    )
    leaves = [x] if edge_attr is None else [x, edge_attr, theirs.lin_edge.weight]
    wanted = torch.autograd.grad(
        expected.sin().sum(), [*(getattr(theirs, name).weight for name in used), *leaves]
    )
    for which, (a, b) in enumerate(zip(ours, wanted, strict=True)):
        same(a, b.t() if which < len(used) else b)


def test_edges_in_any_order_and_more_than_once_as_in_pyg():
    options = {"edge_dim": F, "edge_features": "keys_values", "root_weight": True, "beta": True}
    conv = layer(weights="shared", **options)
    x, _ = draw()
    twice = torch.cat([EDGES, EDGES.flip(1)], 1)
    features = torch.randn(2 * E, F, dtype=x.dtype)
    same(conv(x, twice, features), pyg_of(conv)(x, twice, features))
    shuffled = torch.randperm(E)
    same(conv(x, EDGES[:, shuffled], features[:E][shuffled]), conv(x, EDGES, features[:E]))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("edge_features", ["scores", "keys_values"])
@pytest.mark.parametrize(
    "fill_value", ["mean", "add", "min", "max", "mul", 0.25, torch.tensor([1.0, -2.0])]
)
def test_self_loops_are_those_that_pyg_adds(fill_value, edge_features, form):
    options = {"edge_dim": F, "edge_features": edge_features}
    conv = layer(add_self_loops=True, fill_value=fill_value, **options)
    plain = layer(**options)
    plain.load_state_dict(conv.state_dict())
    x, edge_attr = draw()
    out, expected = conv(x, *given(form, edge_attr)), plain(x, *with_loops(edge_attr, fill_value))
    same(out, expected)
    leaves = [x, edge_attr]
    same(*(torch.autograd.grad(y.sin().sum(), leaves, retain_graph=True) for y in (out, expected)))
    grads = [
        torch.autograd.grad(y.sin().sum(), list(module.parameters()))
        for y, module in ((out, conv), (expected, plain))
    ]
    same(*grads)
    static = torch.stack([x, -x])
    same(conv(static, *given(form, edge_attr)), plain(static, *with_loops(edge_attr, fill_value)))


@pytest.mark.parametrize("form", FORMS)
def test_self_loops_without_edge_features(form):
    conv, (x, _) = layer(add_self_loops=True), draw(None)
    plain = layer()
    plain.load_state_dict(conv.state_dict())
    edges, _ = with_loops(None)
    out, expected = conv(x, given(form, None)[0]), plain(x, edges)
    same(out, expected)
    alone = conv.lin_value(x[:, None])[4, 0]  # whoever hears nobody else hears itself
    same(out[4], alone)
    same(*(torch.autograd.grad(y.sin().sum(), x, retain_graph=True)[0] for y in (out, expected)))
    assert torch.autograd.gradcheck(lambda x: conv(x, given(form, None)[0]), x)
    again, (edge_index, alpha) = conv(x, given(form, None)[0], return_attention_weights=True)
    same(again, out)
    assert edge_index.shape == (2, E - 2 + N)
    same(
        torch.zeros(N, 2, dtype=x.dtype).index_add(0, edge_index[1], alpha),
        torch.ones(N, 2, dtype=x.dtype),
    )
    nothing = torch.empty(2, 0, dtype=torch.long)
    empty = nothing if form == "edge_index" else ColumnGraph.from_edge_index(nothing, N)
    same(conv(x, empty), conv.lin_value(x[:, None])[:, 0])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shift", [1e4, -1e8])
def test_large_scores_of_all_edges_alike_change_nothing(shift, form):
    conv, (x, _) = layer(edge_dim=1, add_self_loops=True).float(), draw(None)
    torch.nn.init.ones_(conv.lin_edge.weight)
    edge_attr = torch.randint(-2, 3, (E, 1)).float() * 16  # their sums with shifts are exact
    conv.fill_value = 16.0 + shift
    shifted = conv(x.float(), *given(form, edge_attr + shift))
    conv.fill_value = 16.0
    expected = conv(x.float(), *given(form, edge_attr))
    torch.testing.assert_close(shifted, expected, atol=1e-5, rtol=1e-5)


def test_self_loops_of_other_kinds_of_edges():
    x, edge_attr = draw()
    for options in ({}, {"edge_dim": F}, {"edge_dim": F, "edge_features": "keys_values"}):
        conv = layer(add_self_loops=True, **options)
        features = edge_attr if options else torch.ones(E, dtype=x.dtype)
        adj = to_torch_coo_tensor(EDGES.flip(0), features, size=(N, N))
        attr = edge_attr if options else None
        expected = conv(x, EDGES, attr)
        same(conv(x, adj), expected)
        same(conv(x, EdgeIndex(EDGES, sparse_size=(N, N)), attr), expected)
        same(conv(x, EDGES.int(), attr), expected)
    conv = layer(add_self_loops=True)
    same(conv(x, to_torch_csr_tensor(EDGES.flip(0), size=(N, N))), conv(x, EDGES))


@pytest.mark.parametrize("form", FORMS)
def test_dropout_reaches_self_loops(form):
    conv, x = layer(add_self_loops=True, dropout=0.5, heads=1), torch.randn(2000, N, C).double()
    x = x[:1].expand_as(x)
    edges = given(form, None)[0]
    drawn, kept = conv(x, edges)[:, 4], conv.eval()(x, edges)[:, 4]  # column 4 hears itself only
    dropped = (drawn == 0).all(-1)
    same(drawn[~dropped], 2 * kept[~dropped])
    assert 800 < dropped.sum() < 1200


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", MODES)
def test_every_option_at_once_equals_the_formula(mode, form):
    conv = layer(
        weights=mode,
        rank=2 if mode in ("mixture", "lowrank") else None,
        **EVERYTHING["keys and values"],
    )
    x, edge_attr = draw()

    def apply(linear, x):
        weight, bias, *_ = linear._effective()
        weight = weight + linear.down @ linear.up if mode == "lowrank" else weight
        y = torch.einsum("nc,nco->no", x, weight.expand(N, -1, -1))
        return y if bias is None else y + bias

    q, k, v = (apply(m, x).view(N, 2, D) for m in (conv.lin_query, conv.lin_key, conv.lin_value))
    (source, target), features = with_loops(edge_attr)
    e = torch.zeros(N, N, 2, D, dtype=x.dtype)
    e[target, source] = (features @ conv.lin_edge.weight.t()).view(-1, 2, D)
    graph = ColumnGraph.from_edge_index(torch.stack([source, target]), N)
    scores = torch.einsum("ihd,ijhd->hij", q, k[None] + e) / D**0.5
    received = torch.einsum("hij,ijhd->ihd", masked_softmax(scores, graph), v[None] + e).flatten(1)
    root = apply(conv.lin_skip, x)
    gate = apply(conv.lin_beta, torch.cat([received, root, received - root], -1)).sigmoid()
    same(conv(x, *given(form, edge_attr)), gate * root + (1 - gate) * received)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("options", EVERYTHING.values(), ids=EVERYTHING)
class TestEveryOption:
    def run(self, options, form):
        conv = layer(**options)
        x, edge_attr = draw(conv.edge_dim)
        return conv, x.detach(), given(form, None if edge_attr is None else edge_attr.detach())

    def test_shape_repr_and_reset(self, options, form):
        conv, x, edges = self.run(options, form)
        width = D if options.get("concat") is False else 2 * D
        assert conv(x, *edges).shape == (N, width)
        assert str(conv) == "ColumnConv(4, 3, heads=2)"
        for parameter in conv.parameters():
            torch.nn.init.constant_(parameter, torch.nan)
        conv.reset_parameters()
        assert not any(parameter.isnan().any() for parameter in conv.parameters())

    def test_both_forms_are_equal(self, options, form):
        conv, x, edges = self.run(options, form)
        other = FORMS[1 - FORMS.index(form)]
        attr = edges[1]
        if attr is not None and form == "graph":  # back into the order of EDGES
            attr = torch.empty_like(attr).index_copy(0, ORDER, attr)
        same(conv(x, *edges), conv(x, *given(other, attr)))

    def test_every_parameter_learns(self, options, form):
        conv, x, edges = self.run(options, form)
        conv(torch.stack([x, x.flip(0)]), *edges).sin().sum().backward()
        for name, parameter in conv.named_parameters():
            assert parameter.grad.abs().max() > 1e-8, name

    def test_copies(self, options, form):
        conv, x, edges = self.run(options, form)
        out = conv(x, *edges)
        assert torch.equal(copy.deepcopy(conv)(x, *edges), out)
        assert torch.equal(pickle.loads(pickle.dumps(conv))(x, *edges), out)
        fresh = ColumnConv(-1, D, N, heads=2, **options).double()
        fresh.load_state_dict(conv.state_dict())
        assert torch.equal(fresh(x, *edges), out)

    def test_batch_of_copies(self, options, form):
        conv, x, edges = self.run(options, form)
        samples = torch.stack([x, -x, x.flip(0)])
        edge_index = edges[0] if form == "edge_index" else edges[0].edge_index
        data = [
            Data(x=one, edge_index=edge_index, edge_attr=edges[1], column_id=torch.arange(N))
            for one in samples
        ]
        (batch,) = DataLoader(data, batch_size=3)
        together = batch.edge_index, batch.edge_attr
        if form == "graph":
            together = ColumnGraph.from_edge_index(batch.edge_index, 3 * N), batch.edge_attr
        out = conv(batch.x, *together, column_id=batch.column_id)
        same(out, conv(samples, *edges).flatten(0, 1))

    def test_what_a_listener_hears_is_softmax_with_self_loops(self, options, form):
        conv, x, edges = self.run(options, form)
        with recording(conv) as heard:
            conv(x, *edges)
        if options.get("edge_features") == "keys_values":
            assert heard == []  # keys and values per edge are nothing that a listener knows
            return
        [exchange] = heard
        _, (edge_index, alpha) = conv(x, *edges, return_attention_weights=True)
        scores = torch.einsum("nhd,mhd->nmh", exchange.q[:, 0], exchange.k[:, 0]) / D**0.5
        scores = scores[GRAPH.target, GRAPH.source] + exchange.bias
        mass = torch.exp(scores - exchange.lse[:, 0][GRAPH.target])
        expected = torch.zeros(N, N, 2, dtype=x.dtype)
        expected[edge_index[1], edge_index[0]] = alpha
        own = GRAPH.source == GRAPH.target
        same(mass[~own], expected[GRAPH.target, GRAPH.source][~own])
        assert not mass[own].any()
        received = torch.einsum("nmh,mhd->nhd", expected, exchange.v[:, 0])
        same(exchange.out[:, 0], received)


def test_assert_module():
    conv = ColumnConv(8, 16, 10, heads=2, root_weight=True, beta=True)
    pairs = torch.randperm(100)[:40]
    edges = torch.stack([pairs % 10, pairs // 10])
    assert_module(conv, torch.randn(10, 8), edges, expected_size=(10, 32), atol=1e-6)


def test_bipartite_layers_keep_the_root_of_targets():
    pair = torch.randn(6, 4), torch.randn(3, 2)
    edges = torch.tensor([[0, 5, 2], [0, 0, 1]])
    for sizes in ((4, 2), (-1, -1)):
        conv = ColumnConv(sizes, 3, (6, 3), heads=2, root_weight=True)
        out = conv(pair, edges)
        assert conv.lin_skip.weight.shape == (3, 2, 6)
        same(out[2], conv.lin_skip(pair[1][:, None])[2, 0], atol=1e-6)
        same(conv(pair, ColumnGraph.from_edge_index(edges, 3, 6)), out, atol=1e-6)


def test_an_edge_feature_may_be_a_number():
    conv, (x, edge_attr) = layer(edge_dim=1, edge_features="keys_values"), draw(1)
    same(conv(x, EDGES, edge_attr[:, 0]), conv(x, GRAPH, edge_attr[ORDER]))


class TestRank:
    @pytest.mark.parametrize(("rank", "sets"), [(None, 4), (1, 1), (7, 7)])
    def test_of_shared_sets_and_low_rank_parts(self, rank, sets):
        mixture = ColumnConv(C, D, N, weights="mixture", rank=rank, root_weight=True)
        assert mixture.lin_query.weight.shape == (sets, C, D)
        assert mixture.lin_skip.own_mixture().shape == (N, sets)
        lowrank = ColumnConv(C, D, N, weights="lowrank", rank=rank)
        assert lowrank.lin_value.down.shape == (N, C, sets)
        assert lowrank.lin_value.up.shape == (N, sets, D)
        for conv in (mixture, lowrank):
            torch.nn.init.normal_(next(conv.lin_value.parameters()))
            x = torch.randn(N, C)
            same(conv(x, GRAPH), conv(x, EDGES), atol=1e-5)

    @pytest.mark.parametrize("weights", ["untied", "shared"])
    def test_is_refused_where_there_is_none(self, weights):
        with pytest.raises(ValueError, match=f"got rank=2 with weights='{weights}'"):
            ColumnConv(C, D, N, weights=weights, rank=2)
        with pytest.raises(ValueError, match="rank must be at least 1"):
            ColumnConv(C, D, N, weights="lowrank", rank=0)


def test_options_that_make_no_sense_together():
    keys_values = {"edge_dim": F, "edge_features": "keys_values"}
    for options, match in [
        ({"beta": True}, "needs root_weight=True, got False"),
        ({"edge_features": "keys_values"}, "pass their size as edge_dim, got None"),
        ({"edge_features": "values"}, "edge_features must be one of .*'keys_values'"),
        ({**keys_values, "qk_channels": D + 1}, "qk_channels equal to out_channels"),
        ({**keys_values, "decomposed_layers": 3}, "needs decomposed_layers=1, got 3"),
        ({"add_self_loops": True, "fill_value": "median"}, "one of .*'mean'.*, got 'median'"),
        ({"add_self_loops": True, "fill_value": 1.0}, "and edge_dim=None"),
        ({"edge_dim": F, "fill_value": 1.0}, "got add_self_loops=False"),
        ({"num_columns": (N, N + 1), "add_self_loops": True}, "in a bipartite graph"),
        ({"edge_bias": GRAPH, "add_self_loops": True}, "put self-edges into the graph itself"),
    ]:
        with pytest.raises(ValueError, match=match):
            ColumnConv(**{"in_channels": C, "out_channels": D, "num_columns": N, **options})


@pytest.mark.parametrize("form", FORMS)
def test_missing_edge_features_are_said_with_the_number_of_edges(form):
    x, edges, wrong = (
        torch.randn(N, C).double(),
        given(form, None)[0],
        torch.randn(E - 1, F).double(),
    )
    for options in (EVERYTHING["scores"], EVERYTHING["keys and values"]):
        conv = layer(**options)
        with pytest.raises(ValueError, match=r"= \[7, 2\], got None"):
            conv(x, edges)
        with pytest.raises(ValueError, match=r"= \[7, 2\], got \[6, 2\]"):
            conv(x, edges, wrong)
