"""Attention along edges, read-outs and fields equal their dense forms."""

from functools import partial

import pytest
import torch
from torch import nn

from graphcolumns.connect import complete_between
from graphcolumns.geometry import Regions
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.brain_encoder import (
    BrainEncoder,
    CrossAttentionDecoder,
    LinearEncoder,
    QueryAttention,
    QueryDecoder,
    SpatialDecoder,
    VertexReadout,
    one_per_vertex,
    region_edges,
    sine_positions,
)

R, M, B, C, H, V = 5, 12, 3, 16, 4, 40
close = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-12)


def tokens(seed=0):
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(2, M, B, C, generator=draws, dtype=torch.float64)


def some_regions():
    masks = torch.rand(R, V, generator=torch.Generator().manual_seed(1)) < 0.4
    masks[:, 0] = False  # a vertex in no region
    return Regions(masks, tuple("abcde"))


@pytest.mark.parametrize("edges", [None, complete_between(R, M)])
def test_attention_is_the_multi_head_attention_of_torch(edges):
    torch.manual_seed(0)
    attention = QueryAttention(C, H).double()
    dense = nn.MultiheadAttention(C, H, dtype=torch.float64)
    with torch.no_grad():
        maps = (attention.query, attention.key, attention.value)
        dense.in_proj_weight.copy_(torch.cat([m.weight for m in maps]))
        dense.in_proj_bias.copy_(torch.cat([m.bias for m in maps]))
        dense.out_proj.load_state_dict(attention.out.state_dict())
    keys, values = tokens()
    queries = torch.randn(R, 1, C, dtype=torch.float64, requires_grad=True)
    out = attention(queries, attention.project(keys, values), edges)
    expected, weights = dense(queries.expand(-1, B, -1), keys, values, average_attn_weights=False)
    close(out, expected)
    found = attention.weights(queries, attention.project(keys, values), edges)
    close(found, weights.permute(2, 0, 1, 3))
    probe = torch.randn_like(out)
    close(*(torch.autograd.grad((y * probe).sum(), queries)[0] for y in (out, expected)))


def test_attention_along_some_edges_is_masked_attention():
    torch.manual_seed(0)
    mask = torch.rand(R, M) < 0.5
    mask[:, 0] = True
    target, source = mask.nonzero().t()
    graph = ColumnGraph.from_edge_index(torch.stack([source, target]), R, M)
    attention = QueryAttention(C, H).double()
    keys, values = tokens()
    queries = torch.randn(R, 1, C, dtype=torch.float64)
    projected = attention.project(keys, values)
    q, k, v = (
        t.permute(1, 2, 0, 3) for t in (attention._heads(attention.query(queries)), *projected)
    )
    dense = nn.functional.scaled_dot_product_attention(q.expand(B, -1, -1, -1), k, v, mask)
    expected = attention.out(dense.permute(2, 0, 1, 3).flatten(2))
    close(attention(queries, projected, graph), expected)
    weights = attention.weights(queries, projected, graph)
    close(weights.sum(-1), torch.ones_like(weights.sum(-1)))
    assert not weights[~mask[:, None, None].expand_as(weights)].any()


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_decoder_layer_written_out(norm_first):
    torch.manual_seed(0)
    decoder = QueryDecoder(complete_between(R, M), C, H, 32, norm_first=norm_first).double()
    keys, values = tokens()
    layer, zero = decoder.layers[0], torch.zeros(R, B, C, dtype=torch.float64)
    embedding = decoder.embedding[:, None]
    received = layer.attention(
        (layer.norm1(zero) if norm_first else zero) + embedding,
        layer.attention.project(keys, values),
        None,
    )
    mlp = nn.Sequential(layer.hidden, nn.ReLU(), layer.mlp)
    if norm_first:
        state = received + mlp(layer.norm2(received))
    else:
        state = layer.norm1(received)
        state = layer.norm2(state + mlp(state))
    close(decoder(keys, values), decoder.norm(state))


@pytest.mark.parametrize("reduce", ["sum", "mean"])
@pytest.mark.parametrize("edge_weights", [False, True])
def test_the_read_out_is_the_masked_dense_one(reduce, edge_weights):
    regions = some_regions()
    read = VertexReadout(region_edges(regions), C, reduce, edge_weights).double()
    read.reset_parameters()  # shares of a third, to the last digit
    states = torch.randn(R, B, C, dtype=torch.float64, requires_grad=True)
    dense = torch.einsum("rbc,vc->bvr", states, read.weight) + read.bias[None, :, None]
    masked = dense * regions.masks.t()
    count = regions.masks.sum(0).clamp(min=1) if reduce == "mean" else 1
    expected = masked.sum(2) / count
    found = read(states)
    close(found, expected)
    assert not found[:, 0].any()
    probe = torch.randn_like(found)
    wanted = [states, read.weight, read.bias]
    for one, other in zip(
        *(torch.autograd.grad((y * probe).sum(), wanted) for y in (found, expected)), strict=True
    ):
        close(one, other)


def test_the_read_out_of_vertex_queries_is_the_diagonal():
    read = VertexReadout(one_per_vertex(V), C).double()
    states = torch.randn(V, B, C, dtype=torch.float64)
    full = torch.einsum("rbc,vc->bvr", states, read.weight)
    close(read(states), full.diagonal(dim1=1, dim2=2) + read.bias)
    close(read(states[3:9], slice(3, 9)), read(states)[:, 3:9])


def test_a_field_is_attention_whose_scores_do_not_depend_on_the_image():
    torch.manual_seed(0)
    graph = complete_between(R, M)
    decoder = SpatialDecoder(graph, C).double()
    nn.init.normal_(decoder.field.edge_bias.common)
    keys, values = tokens()
    scores = decoder.field.edge_bias.common.view(R, M)
    close(decoder(keys, values), torch.einsum("rm,mbc->rbc", scores.softmax(1), values))
    close(decoder.attention(keys, values)[:, 1, 0], scores.softmax(1))
    attention = QueryAttention(C, 1, project_values=False).double()
    nn.init.zeros_(attention.query.weight)
    nn.init.zeros_(attention.query.bias)
    queries = torch.randn(R, 1, C, dtype=torch.float64)
    bias = decoder.field.edge_bias()
    close(attention(queries, attention.project(keys, values), graph, bias), decoder(keys, values))


def test_single_cross_attention_passes_tokens_on():
    torch.manual_seed(0)
    decoder = CrossAttentionDecoder(complete_between(R, M), C, H).double()
    keys, values = tokens()
    weights = decoder.attention(keys, values)
    expected = torch.einsum("rbhm,mbhc->rbhc", weights, values.unflatten(2, (H, -1))).flatten(2)
    close(decoder(keys, values), expected)


@pytest.mark.parametrize(
    "edges",
    [
        complete_between(V, 4),
        ColumnGraph.from_edge_index(torch.stack([torch.arange(V) % 4, torch.arange(V)]), V, 4),
    ],
)
def test_a_linear_encoder_is_a_convolution_and_a_masked_product(edges):
    torch.manual_seed(0)
    model = LinearEncoder(edges, C, (6, 8), channels=5).double()
    x = torch.randn(B, 49, C, dtype=torch.float64)  # a class token first, which is not read
    places = model.conv(x[:, 1:].view(B, 6, 8, C).movedim(3, 1)).flatten(2)
    dense = torch.zeros(V, 4, 5, dtype=torch.float64)
    dense[edges.target.long(), edges.source.long()] = model.weight.detach()
    expected = torch.einsum("bcp,vpc->bv", places, dense) + model.bias
    close(model(x).prediction, expected)


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("layers", [1, 2])
def test_parts_give_what_all_queries_at_once_give(listed, layers):
    torch.manual_seed(0)
    edges = complete_between(V, M) if listed else V
    decoder = QueryDecoder(edges, C, H, 32, layers=layers, edge_bias=listed).double()
    whole = BrainEncoder(decoder, VertexReadout(one_per_vertex(V), C).double())
    x = torch.randn(B, M, C, dtype=torch.float64)
    parts = BrainEncoder(decoder, whole.readout, chunk=7)
    probe = torch.randn(B, V, dtype=torch.float64)
    found = []
    for model in (whole, parts):
        model.zero_grad()
        prediction = model(x).prediction
        (prediction * probe).sum().backward()
        found.append([prediction, *(p.grad.clone() for p in model.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_sines_by_hand():
    code = sine_positions(2, 3, 8).double()
    # The first of two rows, the second of three tokens in it.
    place = 2 * torch.pi * torch.tensor([1 / 2, 2 / 3], dtype=torch.float64)
    rate = torch.tensor([1.0, 1e4**-0.5], dtype=torch.float64)
    angles = place[:, None] * rate
    expected = torch.stack([angles.sin(), angles.cos()], 2).flatten()
    torch.testing.assert_close(code[1], expected, rtol=0, atol=1e-7)
    with pytest.raises(ValueError, match="multiple of 4"):
        sine_positions(2, 2, 6)
