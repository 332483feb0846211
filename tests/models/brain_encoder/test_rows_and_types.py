"""Some of the queries by any slice; tokens of another type; queries and vertices without edges."""

import copy
import pickle

import pytest
import torch

from graphcolumns.graph import ColumnGraph
from graphcolumns.models.brain_encoder import (
    brain_encoder,
    cross_attention_encoder,
    linear_encoder,
    region_edges,
    spatial_feature_encoder,
)
from graphcolumns.plasticity import carry, rewire
from tests.models.brain_encoder.support.small import DECODER, F, M, V, encoder, regions

KNOWN = {"regions": regions(), "tokens": (M, F)}
ENCODERS = {
    "listed": lambda: encoder(decoder=DECODER | {"edge_bias": True}),
    "norm last": lambda: encoder(decoder=DECODER | {"norm_first": False, "layers": 2}),
    "learned weights": lambda: encoder(edge_weights=True),
    "vertices": lambda: encoder(queries="vertices", edges=5, chunk=8),
    "cross": lambda: cross_attention_encoder(V, **KNOWN, heads=2),
    "field": lambda: spatial_feature_encoder(V, **KNOWN),
}
UNLISTED = {"unlisted": lambda: encoder(edges="unlisted")}
LINEAR = {"linear": lambda: linear_encoder(V, tokens=(M, F), channels=4)}
TOKENS = torch.randn(3, M, F, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", [*ENCODERS, *UNLISTED])
@pytest.mark.parametrize("rows", [(1, None), (None, 2), (-2, None), (-3, -1), (1, 1000)])
def test_a_slice_of_queries_is_that_slice_of_all(name, rows):
    """Slices mean what they mean of a list: without a start or an end, and counted from the end."""
    model = (ENCODERS | UNLISTED)[name]().eval()
    whole = model.attention(TOKENS)
    torch.testing.assert_close(model.attention(TOKENS, slice(*rows)), whole[slice(*rows)])


@pytest.mark.parametrize("rows", [slice(0, 3, 2), slice(2, 2), slice(3, 0, -1)])
@pytest.mark.parametrize("name", ["listed", "vertices", "cross", "unlisted"])
def test_queries_that_are_not_in_a_row_are_refused(name, rows):
    model = (ENCODERS | UNLISTED)[name]()
    with pytest.raises(ValueError, match=r"one after the other, at least one of \d+\. Got slice"):
        model.attention(TOKENS, rows)


@pytest.mark.parametrize("name", [*ENCODERS, *UNLISTED, *LINEAR])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int64])
def test_tokens_of_another_type_are_refused(name, dtype):
    """Cached features are float16: the remedy is said, where torch would speak of two matrices."""
    model = (ENCODERS | UNLISTED | LINEAR)[name]()
    with pytest.raises(TypeError, match=rf"float32\. Got {dtype}; call \.to\(torch\.float32\)"):
        model(TOKENS.to(dtype))


@pytest.mark.parametrize("name", [*ENCODERS, *UNLISTED, *LINEAR])
def test_autocast_takes_tokens_of_half_precision(name):
    model = (ENCODERS | UNLISTED | LINEAR)[name]().eval()
    with torch.autocast("cpu", torch.bfloat16):
        half = model(TOKENS.bfloat16()).prediction
    torch.testing.assert_close(half.float(), model(TOKENS).prediction, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("name", ["listed", "cross", "field", "unlisted", "linear"])
def test_shapes_are_known_without_values(name):
    model = (ENCODERS | UNLISTED | LINEAR)[name]().to("meta")
    assert model(TOKENS.to("meta")).prediction.shape == (3, V)


def test_the_linear_encoder_says_what_it_takes():
    model = LINEAR["linear"]()
    with pytest.raises(ValueError, match=r"at least 16 and F = 8\. Got \[3, 16, 9\]"):
        model(torch.randn(3, M, F + 1))
    with pytest.raises(KeyError, match=r"inputs must have 'features'\. Got 'image'"):
        model({"image": TOKENS})


@pytest.mark.parametrize("queries", [[], None, ()])
def test_no_queries_are_no_kind_of_queries(queries):
    with pytest.raises(ValueError, match=r"queries must be 'regions', .* Got"):
        brain_encoder(V, **KNOWN, queries=queries, decoder=DECODER)


def pruned(model, query: int):
    """The model without any edge to one query."""
    graph = model.graphs["tokens"]
    none = torch.empty(0, dtype=torch.int64)
    carry(rewire(graph, (graph.target == query).nonzero()[:, 0], (none, none)), model)
    return model


@pytest.mark.parametrize("name", list(ENCODERS))
def test_a_query_without_edges_receives_nothing(name):
    """What it receives is 0, and so is its state here: values and gradients are never NaN."""
    model, tokens = pruned(ENCODERS[name](), 1), TOKENS.clone().requires_grad_()
    out = model(tokens)
    out.prediction.square().sum().backward()
    assert out.prediction.isfinite().all()
    assert tokens.grad.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert not model.attention(TOKENS)[1].any()
    assert model.attention(TOKENS)[2].any()
    if out.state is not None:
        assert not out.state[1].any()
    x = TOKENS
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(again(x).prediction, model(x).prediction)
    fresh = ENCODERS[name]()
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh(x).prediction, model(x).prediction)


@pytest.mark.parametrize("reduce", ["sum", "mean"])
@pytest.mark.parametrize("weights", [True, False])
def test_a_vertex_that_reads_no_query_is_0(reduce, weights):
    """The last vertex is in no region, the query of the last region is read by none."""
    edges = region_edges(regions())
    keep = (edges.target < V - 1) & (edges.source < edges.num_sources - 1)
    pairs = torch.stack([edges.source[keep], edges.target[keep]]).long()
    graph = ColumnGraph.from_edge_index(pairs, V, edges.num_sources)
    model = encoder(queries=graph, reduce=reduce, edge_weights=weights)
    out = model(TOKENS).prediction
    out.square().sum().backward()
    assert not out[:, -1].any()
    assert out[:, :2].all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
