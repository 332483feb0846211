"""What a listener hears of ColumnConv: the same in every form that attends along one graph."""

import pytest
import torch
from torch_geometric.utils import to_torch_csr_tensor

from graphcolumns import ColumnGraph, column_attention
from graphcolumns.nn import ColumnConv
from graphcolumns.nn.recording import attention_mass, recording

# Shuffled on purpose: column 3 hears nobody.
EDGES = torch.tensor([[2, 0, 1, 3, 0, 2], [1, 0, 0, 2, 2, 0]])
GRAPH = ColumnGraph.from_edge_index(EDGES, 4)
FORMS = {
    "graph": (GRAPH, False),
    "graph and weights": (GRAPH, True),
    "edge index": (EDGES, False),
    "edge index and weights": (EDGES, True),
}


def layer_of(**options) -> ColumnConv:
    torch.manual_seed(0)
    return ColumnConv(3, 5, num_columns=4, heads=2, edge_dim=1, qk_channels=2, **options)


@pytest.fixture(params=[(), (6,)], ids=["nodes", "static"])
def x(request) -> torch.Tensor:
    return torch.randn(*request.param, 4, 3, requires_grad=True)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_heard_alike(form, x):
    edges, weights = FORMS[form]
    layer, attributes = layer_of().eval(), torch.randn(6, 1)
    order = ColumnGraph.edge_order(EDGES)
    given = attributes[order] if isinstance(edges, ColumnGraph) else attributes
    with recording(layer) as heard:
        result = layer(x, edges, given, return_attention_weights=weights or None)
    out = result[0] if weights else result
    [exchange] = heard
    assert exchange.graph.same_topology(GRAPH)
    torch.testing.assert_close(exchange.bias, layer.lin_edge(attributes[order]))
    again = column_attention(exchange.q, exchange.k, exchange.v, GRAPH, bias=exchange.bias)
    torch.testing.assert_close(exchange.out, again.out)
    torch.testing.assert_close(exchange.lse, again.lse)
    shaped = exchange.out.transpose(0, 1) if x.dim() == 3 else exchange.out.squeeze(1)
    assert torch.equal(shaped.flatten(-2), out)
    # What was heard lies on the way to the loss: its gradient is that of each sample.
    [gradient] = torch.autograd.grad(out.square().sum(), exchange.out)
    torch.testing.assert_close(gradient, 2 * exchange.out)


@pytest.mark.parametrize(
    "options",
    [
        {"add_self_loops": True, "edge_dim": 1},
        {"root_weight": True, "beta": True},
        {"weights": "lowrank", "rank": 2, "concat": False},
    ],
    ids=["self-loops", "root weight", "low rank"],
)
def test_what_a_target_keeps_of_itself_is_no_edge(options, x):
    """Self-loops are in what is received and in its normaliser, in both forms."""
    torch.manual_seed(0)
    layer = ColumnConv(3, 5, num_columns=4, heads=2, **options).eval()
    attributes = torch.randn(6, 1) if "edge_dim" in options else None
    order = ColumnGraph.edge_order(EDGES)
    heard = []
    for edges in (GRAPH, EDGES):
        sort = attributes is not None and isinstance(edges, ColumnGraph)
        with recording(layer) as one:
            layer(x, edges, attributes[order] if sort else attributes)
        heard += one
    assert all(exchange.graph.same_topology(GRAPH) for exchange in heard)
    for name in ("q", "k", "v", "out", "lse"):
        torch.testing.assert_close(*(getattr(exchange, name) for exchange in heard))
    assert bool((heard[0].lse[3] == -torch.inf).all()) == (not options.get("add_self_loops"))


def test_the_mass_of_an_edge_is_its_mean_attention(x):
    layer = layer_of(edge_bias=GRAPH).eval()
    torch.nn.init.normal_(layer.edge_bias.per_head)
    attributes = torch.randn(6, 1)
    with recording(layer) as heard:
        layer(x, GRAPH, attributes)
    _, (_, alpha) = layer(x, GRAPH, attributes, return_attention_weights=True)
    expected = alpha.mean(-1) if x.dim() == 2 else alpha.mean((0, 2))
    torch.testing.assert_close(attention_mass(heard[0]), expected)


def test_a_bipartite_layer_is_heard():
    edges = torch.tensor([[4, 0, 2], [1, 1, 0]])
    layer = ColumnConv((3, 2), 4, num_columns=(5, 2))
    pair = torch.randn(5, 3), torch.randn(2, 2)
    for form in (edges, ColumnGraph.from_edge_index(edges, 2, 5)):
        with recording(layer) as heard:
            layer(pair, form)
        assert heard[0].graph.num_sources == 5
        assert heard[0].k.shape == (5, 1, 1, 4)


@pytest.mark.parametrize(
    ("options", "edges", "column_id"),
    [
        ({}, to_torch_csr_tensor(EDGES.flip(0), size=(4, 4)), None),
        ({}, torch.cat([EDGES, EDGES], 1), None),
        ({}, EDGES, torch.arange(4)),
        ({"aggr": "max"}, EDGES, None),
        ({"flow": "target_to_source"}, EDGES, None),
        ({"edge_dim": 1, "edge_features": "keys_values"}, EDGES, None),
    ],
    ids=["torch.sparse", "parallel", "copies", "max", "backwards", "keys and values"],
)
def test_other_forms_run_unheard(options, edges, column_id):
    layer = ColumnConv(3, 5, num_columns=4, **options)
    x, attributes = torch.randn(4, 3), torch.randn(6, 1) if "edge_dim" in options else None
    expected = layer(x, edges, attributes, column_id=column_id)
    with recording(layer) as heard:
        assert torch.equal(layer(x, edges, attributes, column_id=column_id), expected)
    assert heard == []


def test_afterwards_nobody_listens():
    layer = layer_of()
    with recording(layer):
        pass
    assert layer.recorder is None
