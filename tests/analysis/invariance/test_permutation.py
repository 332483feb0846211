"""Permutation equivariance: shared columns have it, untied ones only with their parameters."""

import re

import pytest
import torch
from torch import nn

from geometries import grid
from graphcolumns.analysis.invariance import permutation_error, permute_columns
from graphcolumns.connect import nearest
from graphcolumns.graph import ColumnGraph
from graphcolumns.models import sheet
from graphcolumns.nn import Column, ColumnAttention, EdgeBias
from graphcolumns.scaling.inherit import Origin, inherit

N, B, C = 36, 3, 8
PLACES = grid.sheet(6, 6)
SPARSE = nearest(PLACES, 5)
COMPLETE = ColumnGraph.from_edge_index(torch.cartesian_prod(torch.arange(N), torch.arange(N)).T, N)
GRAPHS = pytest.mark.parametrize("graph", [SPARSE, COMPLETE], ids=["sparse", "complete"])
HEADS = pytest.mark.parametrize("heads", [1, 4, 8])


def state(dtype=torch.float32):
    return torch.randn(N, B, C, generator=torch.Generator().manual_seed(0)).to(dtype)


def test_by_hand():
    x = torch.tensor([[1.0], [2.0]])
    scale = torch.tensor([[1.0], [3.0]])
    # f(Px) = (2, 3), P f(x) = (6, 1).
    assert permutation_error(lambda x: x * scale, x) == pytest.approx(4 / 6)
    assert permutation_error(lambda x: x - x.mean(0), x) == 0.0
    assert permutation_error(lambda x: 0 * x, x) == 0.0


@GRAPHS
@HEADS
def test_shared_attention_is_equivariant(graph, heads):
    torch.manual_seed(0)
    layer = ColumnAttention(N, C, heads, weights="shared")
    assert permutation_error(layer, state(), graph) < 1e-6
    assert permutation_error(layer.double(), state(torch.float64), graph) < 1e-14


@HEADS
def test_dense_attention_of_torch_is_equivariant(heads):
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(C, heads, batch_first=True)
    x = state().transpose(0, 1)
    assert permutation_error(lambda x: layer(x, x, x), x, dim=1) < 1e-6
    codes = torch.randn(N, C)
    assert permutation_error(lambda x: layer(x + codes, x, x), x, dim=1) > 0.01


@GRAPHS
@HEADS
@pytest.mark.parametrize("weights", ["untied", "mixture"])
def test_weights_per_column_break_it_unless_they_are_permuted(graph, heads, weights):
    torch.manual_seed(0)
    layer = ColumnAttention(N, C, heads, weights=weights)
    assert permutation_error(layer, state(), graph) > 0.1
    assert permutation_error(layer, state(), graph, parameters="permuted") < 1e-6


def test_a_whole_column_and_its_norms():
    torch.manual_seed(0)
    column = Column(N, ColumnAttention(N, C, 2), 2 * C, dropout=0.5)
    with torch.no_grad():
        for parameter in column.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    assert permutation_error(column, state(), SPARSE) > 0.1
    assert permutation_error(column, state(), SPARSE, parameters="permuted") < 1e-6
    assert column.training


def test_values_per_edge_follow_their_edges():
    torch.manual_seed(0)
    layer = ColumnAttention(N, C, 4, weights="shared", edge_bias=EdgeBias(SPARSE, 4, std=1.0))
    assert permutation_error(layer, state(), SPARSE, parameters="permuted") < 1e-6
    everywhere = EdgeBias(COMPLETE, 4, std=1.0)
    dense = ColumnAttention(N, C, 4, weights="shared", edge_bias=everywhere)
    assert permutation_error(dense, state(), COMPLETE) > 0.01
    assert permutation_error(dense, state(), COMPLETE, parameters="permuted") < 1e-6
    with pytest.raises(ValueError, match=r"^values per edge must be used on the edges"):
        permutation_error(layer, state(), SPARSE)


def test_permuted_columns_are_a_copy_and_the_inverse_brings_them_back():
    torch.manual_seed(0)
    layer = ColumnAttention(N, C, 2)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    order = torch.randperm(N)
    copied = permute_columns(layer, order)
    assert torch.equal(copied.query.weight, layer.query.weight[order])
    back = permute_columns(copied, order.argsort()).state_dict()
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name])
        assert torch.equal(back[name], value)


def test_a_parameter_of_two_modules_is_permuted_once():
    torch.manual_seed(0)
    layer = ColumnAttention(N, C, 2)
    layer.key.weight = layer.query.weight
    order = torch.randperm(N)
    copied = permute_columns(layer, order)
    assert copied.key.weight is copied.query.weight
    assert torch.equal(copied.key.weight, layer.query.weight[order])
    assert permutation_error(layer, state(), SPARSE, parameters="permuted") < 1e-6


def test_a_model_on_permuted_columns_gives_the_same_answers():
    def build(geometry, graph, receptive):
        return sheet(
            geometry,
            graph,
            image_size=6,
            in_channels=1,
            num_classes=4,
            channels=C,
            depth=3,
            interface={"receptive": receptive},
        )

    torch.manual_seed(0)
    order = torch.randperm(N)
    model = build(PLACES, SPARSE, torch.arange(N))
    other = build(PLACES.permute(order), SPARSE.permute(order), order)
    images = torch.randn(5, 1, 6, 6)
    assert (other(images).prediction - model(images).prediction).abs().max() > 0.01
    inherit(other, model, Origin(order, SPARSE.permuted_edges(order)))
    torch.testing.assert_close(other(images).prediction, model(images).prediction)
    torch.testing.assert_close(other(images).state, model(images).state[order])


def test_seeds_and_permutations():
    torch.manual_seed(0)
    layer = ColumnAttention(N, C, 2)
    errors = [permutation_error(layer, state(), SPARSE, seed=seed) for seed in (0, 0, 1)]
    assert errors[0] == errors[1] != errors[2]
    # Two columns exchange places, whatever the seed.
    gain = torch.tensor([[1.0], [3.0]])
    for seed in range(5):
        found = permutation_error(lambda x: x * gain, torch.ones(2, 1), seed=seed)
        assert found == pytest.approx(2 / 3)


X = torch.ones(3, 2)
WRONG = [
    (
        lambda: permutation_error(nn.Identity(), torch.ones(3, dtype=torch.int64)),
        TypeError,
        "x must be a floating tensor. Got torch.int64; call .float() on a tensor.",
    ),
    (
        lambda: permutation_error(nn.Identity(), torch.ones(1, 4)),
        ValueError,
        "at least two columns can exchange places. Got 1 in dimension 0 of [1, 4].",
    ),
    (
        lambda: permutation_error(nn.Identity(), X, dim=2),
        ValueError,
        "dim must be a dimension of x, [3, 2]. Got 2.",
    ),
    (
        lambda: permutation_error(nn.Identity(), X, SPARSE),
        ValueError,
        "the graph must join the 3 columns of x. Got 36 sources and 36 columns.",
    ),
    (
        lambda: permutation_error(nn.Identity(), X, permutation=torch.arange(3)),
        ValueError,
        "permutation must change the order of the columns. Got the identity, for which every "
        "layer has error 0.",
    ),
    (
        lambda: permutation_error(nn.Identity(), X, permutation=torch.tensor([0, 0, 1])),
        ValueError,
        "permutation must hold every id below 3 once. Got tensor([0, 0, 1]).",
    ),
    (
        lambda: permutation_error(nn.Identity(), X, permutation=torch.ones(3)),
        TypeError,
        "permutation must be an int64 tensor. Got torch.float32.",
    ),
    (
        lambda: permutation_error(nn.Identity(), X, parameters="moved"),
        ValueError,
        "parameters must be one of 'fixed', 'permuted'. Got 'moved'.",
    ),
    (
        lambda: permutation_error(lambda x: x, X, parameters="permuted"),
        TypeError,
        "parameters of a torch.nn.Module can be permuted. Got function; pass parameters='fixed'.",
    ),
    (
        lambda: permutation_error(lambda x: x.mean(0), X),
        ValueError,
        "the output must have the 3 columns in dimension 0. Got [2]; what has no columns can only "
        "be invariant.",
    ),
    (
        lambda: permutation_error(lambda x: x / 0, X),
        ValueError,
        "the output must be finite. Got 6 values of 6 that are not.",
    ),
    (
        lambda: permutation_error(lambda x: "x", X),
        TypeError,
        "the output must be a tensor of the columns, or have one named prediction. Got str.",
    ),
    (
        lambda: permute_columns(ColumnAttention(4, C), torch.tensor([1, 0])),
        ValueError,
        "query.weight must have one entry per column, 2. Got shape [4, 8, 8].",
    ),
    (
        lambda: permute_columns(ColumnAttention(4, C), torch.tensor([0, 0, 1, 2])),
        ValueError,
        "permutation must hold every id below 4 once. Got tensor([0, 0, 1, 2]).",
    ),
    (
        lambda: permute_columns(EdgeBias(SPARSE), torch.arange(N).flip(0)),
        ValueError,
        "values per edge follow their edges. Got EdgeBias and no graph; pass graph.",
    ),
]


@pytest.mark.parametrize(("call", "kind", "message"), WRONG)
def test_wrong_input(call, kind, message):
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        call()


def test_a_model_that_keeps_its_graph_is_refused():
    model = sheet(PLACES, SPARSE, image_size=6, in_channels=1, num_classes=4)
    with pytest.raises(TypeError, match=r"^a layer must take its graph with every call\. Got Col"):
        permute_columns(model, torch.arange(N).flip(0), SPARSE)
