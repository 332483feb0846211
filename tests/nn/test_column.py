import copy
import pickle

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import Column, ColumnAttention, EdgeBias, Mixture
from tests.nn.support.graphs import random_graph

MODES = ["untied", "shared", "mixture", "lowrank"]
N, B, C, H = 6, 2, 16, 4


def column(weights="untied", graph=None, skip_attention=True, dropout=0.0):
    """A column with every learned number drawn at random, in float64."""
    mixture = Mixture(N, 3) if weights == "mixture" else None
    bias = None if graph is None else EdgeBias(graph, H, per_head=True)
    attention = ColumnAttention(
        N, C, H, weights=weights, rank=3, mixture=mixture, edge_bias=bias, dropout=dropout
    )
    made = Column(
        N, attention, 32, weights, weights, 3, mixture, skip_attention, dropout=dropout
    ).double()  # fmt: skip
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.3)
    return made


def state(requires_grad=False):
    return torch.randn(N, B, C, dtype=torch.float64, requires_grad=requires_grad)


def run(made, graph, x, uses, step=lambda made, *args: made(*args)):
    """Four steps; what they give, and all gradients."""
    cost, total, y = graph.distance.double(), 0.0, x
    for use in uses:
        y, expected = step(made, y, graph, cost, use)
        total = total + expected.sum()
    return y, *torch.autograd.grad(y.sin().sum() + total, [x, *made.parameters()])


def test_shared_weights_on_the_complete_graph_are_a_transformer_layer():
    pairs = torch.cartesian_prod(torch.arange(N), torch.arange(N)).t()
    graph = ColumnGraph.from_edge_index(pairs, N)
    made, x = column("shared"), state()
    oracle = nn.TransformerEncoderLayer(
        C, H, 32, dropout=0.0, activation="gelu", norm_first=True, dtype=torch.float64
    )
    exchange = made.attention
    inputs = (exchange.query, exchange.key, exchange.value)
    oracle.load_state_dict(
        {
            "self_attn.in_proj_weight": torch.cat([m.weight.t() for m in inputs]),
            "self_attn.in_proj_bias": torch.cat([m.bias for m in inputs]),
            "self_attn.out_proj.weight": exchange.out.weight.t(),
            "self_attn.out_proj.bias": exchange.out.bias,
            "linear1.weight": made.hidden.weight.t(),
            "linear1.bias": made.hidden.bias,
            "linear2.weight": made.out.weight.t(),
            "linear2.bias": made.out.bias,
            "norm1.weight": made.norm1.weight,
            "norm1.bias": made.norm1.bias,
            "norm2.weight": made.norm2.weight,
            "norm2.bias": made.norm2.bias,
        }
    )
    out, cost = made(x, graph)
    assert cost is None
    torch.testing.assert_close(out, oracle(x), atol=1e-12, rtol=1e-10)


def test_without_skip_the_state_is_what_was_heard():
    graph, x = random_graph(N, 15), state()
    made = column(skip_attention=False)
    for linear in (made.hidden, made.out):
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
    heard, _ = made.attention(made.norm1(x), graph)
    torch.testing.assert_close(made(x, graph)[0], heard)
    made.skip_attention = True
    torch.testing.assert_close(made(x, graph)[0], x + heard)


@pytest.mark.parametrize("weights", MODES)
def test_unrolled_equals_plain(weights):
    graph = random_graph(N, 15)
    made, x = column(weights, graph), state(requires_grad=True)
    plain = run(made, graph, x, [None] * 4)
    torch.testing.assert_close(
        run(made, graph, x, made.unroll(4, B)), plain, atol=1e-12, rtol=1e-10
    )
    assert all(grad.abs().max() > 0 for grad in plain)


@pytest.mark.parametrize("weights", ["untied", "mixture"])
def test_recomputed_equals_stored(weights):
    graph = random_graph(N, 15)
    made, x = column(weights, graph), state(requires_grad=True)

    def recompute(made, *args):
        return checkpoint(made, *args, use_reentrant=False)

    results = run(made, graph, x, made.unroll(4, B), recompute)
    plain = run(made, graph, x, [None] * 4)
    torch.testing.assert_close(results, plain, atol=1e-12, rtol=1e-10)


# dynamo itself makes an instance of an autograd.Function, which torch warns about
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiles():
    torch._dynamo.reset()
    graph = random_graph(N, 15)
    made, x = column("untied", graph), state(requires_grad=True)

    @torch.compile(fullgraph=True, backend="aot_eager")
    def forward(x, graph, cost):
        y, total = x, 0.0
        for uses in made.unroll(2, B):
            y, expected = made(y, graph, cost, uses)
            total = total + expected.sum()
        return y, total

    y, total = forward(x, graph, graph.distance.double())
    compiled = (y, *torch.autograd.grad(y.sin().sum() + total, [x, *made.parameters()]))
    plain = run(made, graph, x, [None] * 2)
    torch.testing.assert_close(compiled, plain, atol=1e-11, rtol=1e-9)


def test_dropout_in_training_only():
    graph, x, made = random_graph(N, 15), state(), column(dropout=0.5)
    assert not torch.equal(made(x, graph)[0], made(x, graph)[0])
    made.eval()
    out = made(x, graph)[0]
    made.dropout = made.attention.dropout = 0.0
    assert torch.equal(made.train()(x, graph)[0], out)


def test_mixture_is_shared_and_learned_once():
    made = column("mixture")
    names = [name for name, _ in made.named_parameters() if "mixture" in name]
    assert names == ["mixture.weight", "mixture.log_sharpness"]
    assert list(made.state_dict()) == [name for name, _ in made.named_parameters()]
    copied = copy.deepcopy(made)
    assert copied.attention.query.shared_mixture is copied.mixture
    assert copied.norm2._mixture[0] is copied.mixture


@pytest.mark.parametrize("weights", MODES)
def test_copies_and_reset(weights):
    graph, x = random_graph(N, 15), state()
    made, drawn = column(weights, graph), []
    out = made(x, graph)[0]
    assert torch.equal(copy.deepcopy(made)(x, graph)[0], out)
    assert torch.equal(pickle.loads(pickle.dumps(made))(x, graph)[0], out)
    for _ in range(2):
        for parameter in made.parameters():
            nn.init.constant_(parameter, torch.nan)
        torch.manual_seed(4)
        made.reset_parameters()
        drawn.append(made(x, graph)[0])
    assert torch.equal(*drawn)
    assert not drawn[0].isnan().any()


def test_parameter_count():
    made = Column(N, ColumnAttention(N, C, 1, value="input", qk_channels=8), 5, out_bias=False)
    attention, norms, mlp = 2 * (C * 8 + 8), 4 * C, C * 5 + 5 + 5 * C
    assert sum(p.numel() for p in made.parameters()) == N * (attention + norms + mlp)


def test_errors():
    mixture = Mixture(N, 4)
    sharing = ColumnAttention(N, C, weights="mixture", mixture=mixture)
    for match, call in [
        ("num_columns=7, got 6", lambda: Column(7, ColumnAttention(N, C), 8)),
        ("pass the same mixture to the column", lambda: Column(N, sharing, 8)),
        ("pass the same mixture", lambda: Column(N, sharing, 8, mixture=Mixture(N, 4))),
        ("Got 'tied'", lambda: Column(N, ColumnAttention(N, C), 8, weights="tied")),
        ("Got 'tied'", lambda: Column(N, ColumnAttention(N, C), 8, norm_weights="tied")),
        ("hidden must be at least 1", lambda: Column(N, ColumnAttention(N, C), 0)),
        (r"\[6, B, 16\], got \[5, 2, 16\]", lambda: column()(state()[1:], random_graph(N, 15))),
    ]:
        with pytest.raises(ValueError, match=match):
            call()
