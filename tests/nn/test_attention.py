import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import ColumnAttention, EdgeBias, Mixture, UntiedLinear
from graphcolumns.nn.attention import ATTENTION_MODES
from graphcolumns.ops import edge_linear
from tests.nn.support.graphs import dense, masked_softmax, random_graph

N, B, C, H = 7, 3, 6, 2


def attention(mode, graph, **arguments):
    """A layer with every learned number drawn at random."""
    if mode in ("mixing", "linear_mixing"):
        arguments.setdefault("edge_bias", EdgeBias(graph, H, per_head=True))
    layer = ColumnAttention(N, C, H, mode, **arguments).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    return layer


def heads(x):
    """`[N, B, C]` to `[B, H, N, D]`."""
    return x.unflatten(-1, (H, -1)).permute(1, 2, 0, 3)


def mapped(linear, x):
    return torch.einsum("nbi,nio->nbo", x, linear.weight) + linear.bias[:, None]


def coefficients(layer, x, graph, scale):
    """`a_ij` of every mode, `[B, H, N, N]`, as the docstring defines them."""
    bias = torch.zeros(H, N, N, dtype=x.dtype)
    if layer.edge_bias is not None:
        edges = layer.edge_bias()
        edges = edges[:, None].expand(-1, H) if edges.dim() == 1 else edges
        bias = torch.stack([dense(edges[:, h], graph) for h in range(H)])
    if layer.mode == "linear_mixing":
        return bias.expand(B, H, N, N)
    if layer.mode == "mixing":
        return masked_softmax(bias, graph).expand(B, H, N, N)
    if layer.mode == "attention":
        q, k = heads(mapped(layer.query, x)), heads(mapped(layer.key, x))
        scale = scale or q.shape[-1] ** -0.5
    elif layer.mode == "selection":
        q, k = layer.selector.permute(1, 2, 0, 3), heads(x)
        scale = scale or (C // H) ** -0.5
    else:
        q = k = heads(x)
        scale = scale or C**-0.5
    return masked_softmax(scale * q @ k.mT + bias, graph)


def expected(layer, x, graph, cost, scale=None):
    a = coefficients(layer, x, graph, scale)
    v = heads(x if layer.value is None else mapped(layer.value, x))
    y = (a @ v).permute(2, 0, 1, 3).flatten(2)
    y = y if layer.out is None else mapped(layer.out, y)
    return y, (a.abs() * dense(cost, graph)).sum(-1).permute(2, 0, 1)


@pytest.mark.parametrize("edges", [5, 20])  # both sides of the density where backends change
@pytest.mark.parametrize("value", ["linear", "input"])
@pytest.mark.parametrize("mode", ATTENTION_MODES)
def test_modes_equal_dense_formulas(mode, value, edges):
    graph = random_graph(N, edges)
    arguments = {} if mode == "identity" else {"edge_bias": EdgeBias(graph, H, per_head=True)}
    layer = attention(mode, graph, value=value, qk_channels=4, **arguments)
    x = torch.randn(N, B, C, dtype=torch.float64, requires_grad=True)
    cost = torch.rand(edges, dtype=torch.float64, requires_grad=True)
    results = []
    for y, total in (layer(x, graph, cost=cost), expected(layer, x, graph, cost)):
        loss = y.sin().sum() + total.cos().sum()
        results.append((y, total, *torch.autograd.grad(loss, [x, cost, *layer.parameters()])))
    torch.testing.assert_close(*results, atol=1e-11, rtol=1e-9)
    assert torch.equal(layer(x, graph)[0], results[0][0])
    assert layer(x, graph)[1] is None


@pytest.mark.parametrize("mode", ATTENTION_MODES)
def test_one_score_for_all_heads(mode):
    graph, x = random_graph(N, 20), torch.randn(N, B, C, dtype=torch.float64)
    layer = attention(mode, graph, edge_bias=EdgeBias(graph))
    cost = torch.rand(20, dtype=torch.float64)
    torch.testing.assert_close(layer(x, graph, cost=cost), expected(layer, x, graph, cost))


@pytest.mark.parametrize("mode", ["attention", "selection", "identity"])
def test_scale(mode):
    graph, x = random_graph(N, 20), torch.randn(N, B, C, dtype=torch.float64)
    layer = attention(mode, graph, scale=0.3)
    cost = torch.rand(20, dtype=torch.float64)
    torch.testing.assert_close(layer(x, graph, cost=cost), expected(layer, x, graph, cost, 0.3))


def test_parameters():
    graph = random_graph(N, 20)
    count = {m: sum(p.numel() for p in attention(m, graph).parameters()) for m in ATTENTION_MODES}
    maps, bias = 2 * N * (C * C + C), 20 + 20 * H
    assert count == {
        "attention": 2 * maps,
        "selection": maps + N * C,
        "mixing": maps + bias,
        "linear_mixing": maps + bias,
        "identity": 0,
    }
    biases = ColumnAttention(N, C, H, value="input", qk_channels=2, qkv_bias=(True, False, False))
    assert {name for name, _ in biases.named_parameters()} == {
        "query.weight", "query.bias", "key.weight"
    }  # fmt: skip


@pytest.mark.parametrize("mode", ATTENTION_MODES)
def test_uniform_attention_costs_the_mean(mode):
    graph = random_graph(N, 20)
    layer = attention(mode, graph, value="input")
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    x = torch.zeros(N, B, C, dtype=torch.float64)
    cost = layer(x, graph, cost=graph.distance.double())[1]
    total = torch.zeros(N, dtype=torch.float64)
    total = total.index_add(0, graph.target, graph.distance.double())
    mean = total / graph.in_degree.clamp(min=1)
    mean = torch.zeros(N).double() if mode == "linear_mixing" else mean
    torch.testing.assert_close(cost, mean[:, None, None].expand(N, B, H))


@pytest.mark.parametrize("mode", ATTENTION_MODES)
def test_dropout_in_training_only(mode):
    graph, x = random_graph(N, 20), torch.randn(N, B, C, dtype=torch.float64)
    layer = attention(mode, graph, dropout=0.5)
    silent = copy.deepcopy(layer)
    silent.dropout = 0.0
    assert torch.equal(layer.eval()(x, graph)[0], silent(x, graph)[0])
    assert not torch.equal(layer.train()(x, graph)[0], silent(x, graph)[0])


@pytest.mark.parametrize("mode", ATTENTION_MODES)
def test_reset_covers_all_and_is_deterministic(mode):
    graph, drawn = random_graph(N, 20), []
    layer = attention(mode, graph)
    for _ in range(2):
        for parameter in layer.parameters():
            nn.init.constant_(parameter, torch.nan)
        torch.manual_seed(2)
        layer.reset_parameters()
        drawn.append(copy.deepcopy(layer.state_dict()))
    assert not any(value.isnan().any() for value in drawn[0].values())
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])


def grid(height, width):
    """Every pixel listens to its 3 x 3 neighbourhood: the graph and the offset of each edge."""
    edges, offsets = [], {}
    for y in range(height):
        for x in range(width):
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    if 0 <= y + dy < height and 0 <= x + dx < width:
                        pair = ((y + dy) * width + x + dx, y * width + x)
                        edges.append(pair)
                        offsets[pair] = (dy + 1, dx + 1)
    graph = ColumnGraph.from_edge_index(torch.tensor(edges).t(), height * width)
    rows = [offsets[source, target] for source, target in graph.edge_index.t().tolist()]
    return graph, torch.tensor(rows)


def mixer(graph, mode, kernel, offsets):
    """One head per channel and the weights of an edge those of its offset."""
    bias = EdgeBias(graph, len(kernel), common=False, per_head=True)
    bias.per_head.data = kernel[:, offsets[:, 0], offsets[:, 1]].t().clone()
    count, channels = graph.num_columns, len(kernel)
    return ColumnAttention(count, channels, channels, mode, value="input", edge_bias=bias)


def columns(images):
    """`[B, C, Y, X]` to `[N, B, C]`."""
    return images.flatten(2).permute(2, 0, 1)


def test_linear_mixing_on_a_grid_is_a_depthwise_convolution():
    graph, offsets = grid(7, 5)
    images, kernel = torch.randn(2, 4, 7, 5), torch.randn(4, 3, 3, requires_grad=True)
    layer = mixer(graph, "linear_mixing", kernel.detach(), offsets)
    out = layer(columns(images), graph)[0]
    convolved = columns(F.conv2d(images, kernel[:, None], padding=1, groups=4))
    torch.testing.assert_close(out, convolved, atol=1e-6, rtol=1e-6)

    (by_edge,) = torch.autograd.grad(out.sin().sum(), layer.edge_bias.per_head)
    (by_kernel,) = torch.autograd.grad(convolved.sin().sum(), kernel)
    flat = offsets[:, 0] * 3 + offsets[:, 1]
    summed = torch.zeros(9, 4).index_add(0, flat, by_edge)  # the weights are shared by offset
    torch.testing.assert_close(summed.t().view(4, 3, 3), by_kernel, atol=1e-4, rtol=1e-5)


def test_mixing_on_a_grid_is_a_normalised_convolution():
    graph, offsets = grid(7, 5)
    images, kernel = torch.randn(2, 4, 7, 5), torch.randn(4, 3, 3)
    out = mixer(graph, "mixing", kernel, offsets)(columns(images), graph)[0]
    weight = kernel.exp()[:, None]
    sums = [F.conv2d(y, weight, padding=1, groups=4) for y in (images, torch.ones_like(images))]
    torch.testing.assert_close(out, columns(sums[0] / sums[1]), atol=1e-6, rtol=1e-6)


def test_a_shared_map_per_offset_is_a_convolution():
    graph, offsets = grid(7, 5)
    images, conv = torch.randn(2, 4, 7, 5), nn.Conv2d(4, 3, 3, padding=1, bias=False)
    out = torch.zeros(35, 2, 3)
    for dy in range(3):
        for dx in range(3):
            linear = UntiedLinear(35, 4, 3, bias=False, weights="shared")
            linear.weight.data = conv.weight[:, :, dy, dx].t()
            here = (offsets == torch.tensor([dy, dx])).all(1)
            out = out + edge_linear(linear(columns(images)), here.float(), graph)
    torch.testing.assert_close(out, columns(conv(images)), atol=1e-6, rtol=1e-6)


def test_errors():
    graph = random_graph(N, 20)
    bias = EdgeBias(graph, 3, per_head=True)
    for match, call in [
        (
            "mode must be one of .*'identity'.* Got 'soft'",
            lambda: ColumnAttention(N, C, mode="soft"),
        ),
        ("value must be one of .* Got 'x'", lambda: ColumnAttention(N, C, value="x")),
        ("heads must divide channels, got 4 heads and 6", lambda: ColumnAttention(N, C, 4)),
        (r"pass edge_bias=EdgeBias\(graph\)", lambda: ColumnAttention(N, C, mode="mixing")),
        (
            "must have heads=2 like the attention, got 3",
            lambda: attention("mixing", graph, edge_bias=bias),
        ),
        (
            "num_sets=rank=4",
            lambda: ColumnAttention(N, C, weights="mixture", mixture=Mixture(N, 2)),
        ),
        (
            "After a change of topology",
            lambda: attention("mixing", graph)(_x(), random_graph(N, 9)),
        ),
    ]:
        with pytest.raises(ValueError, match=match):
            call()


def _x():
    return torch.randn(N, B, C, dtype=torch.float64)
