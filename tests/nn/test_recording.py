"""What layers compute along edges, as they record it."""

import pytest
import torch

from graphcolumns import ColumnGraph, column_attention, edge_linear
from graphcolumns.models.staged_columnformer.cross import CrossColumn
from graphcolumns.nn import ColumnAttention, EdgeBias, EdgeLinear, LearnedPool
from graphcolumns.nn.recording import AttentionRecord, LinearRecord, attention_mass, recording

# Column 0 hears 0 and 1, column 1 hears 0, column 2 hears nobody.
GRAPH = ColumnGraph.from_edge_index(torch.tensor([[0, 1, 0], [0, 0, 1]]), 3)


def test_mass_by_hand():
    """Scores 0 and log 3 with the first sample, 0 and 0 with the second."""
    q = torch.ones(3, 2, 1, 1)
    k = torch.zeros(3, 2, 1, 1)
    k[1, 0] = torch.tensor(3.0).log()
    exchange = AttentionRecord(GRAPH, q, k, k, None, 1.0, k, k[..., 0])
    torch.testing.assert_close(attention_mass(exchange), torch.tensor([0.375, 0.625, 1.0]))


@pytest.mark.parametrize("mode", ["attention", "selection", "identity"])
def test_mass_is_the_mean_of_the_weights(mode):
    torch.manual_seed(0)
    layer = ColumnAttention(3, 4, 2, mode, edge_bias=EdgeBias(GRAPH, 2, per_head=True))
    x = torch.randn(3, 5, 4)
    with recording(layer) as heard:
        layer(x, GRAPH)
    expected = layer.edge_weights(x, GRAPH).mean((1, 2))
    torch.testing.assert_close(attention_mass(heard[0]), expected)


def test_half_precision_is_summed_in_single():
    torch.manual_seed(0)
    q, k = (torch.randn(3, 2, 1, 4) for _ in range(2))
    exact, half = (
        attention_mass(AttentionRecord(GRAPH, x, y, y, None, None, y, y[..., 0]))
        for x, y in ((q, k), (q.bfloat16(), k.bfloat16()))
    )
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, exact, atol=0.02, rtol=0)


def test_who_listens_already_goes_on():
    layer, other = ColumnAttention(3, 4), ColumnAttention(3, 4)
    both, x, seen = torch.nn.ModuleList([layer, other]), torch.randn(3, 2, 4), []
    layer.recorder = other.recorder = seen.append
    with recording(both) as heard:
        layer(x, GRAPH)
        other(x, GRAPH)
    layer(x, GRAPH)
    assert len(heard) == 2
    assert [one is two for one, two in zip(heard, seen, strict=False)] == [True, True]
    assert len(seen) == 3


def test_afterwards_nobody_listens():
    layer = ColumnAttention(3, 4)
    with pytest.raises(RuntimeError, match="stop"), recording(layer):
        raise RuntimeError("stop")
    assert layer.recorder is None


def test_records_are_kept_along_one_graph_and_as_one_likes():
    other = ColumnGraph.from_edge_index(torch.tensor([[0], [2]]), 3)
    layer, x = ColumnAttention(3, 4), torch.randn(3, 2, 4)
    with recording(layer, GRAPH, keep=lambda record: record._replace(scale=7.0)) as records:
        layer(x, other)
        layer(x, GRAPH)
    assert [(record.graph, record.scale) for record in records] == [(GRAPH, 7.0)]


def test_a_linear_layer_shows_what_it_sums():
    layer, x = EdgeLinear(GRAPH, heads=2), torch.randn(3, 2, 4)
    with recording(layer) as records:
        out = layer(x, GRAPH)
    [record] = records
    assert record.out is out
    assert torch.equal(edge_linear(record.x, record.weight, record.graph), out)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mixing_is_attention_by_the_bias_alone(dtype):
    bias = EdgeBias(GRAPH, 2, per_head=True, std=1.0)
    layer = ColumnAttention(3, 4, 2, "mixing", edge_bias=bias).to(dtype)
    x = torch.randn(3, 2, 4, dtype=dtype)
    with recording(layer) as records:
        layer(x, GRAPH)
    [record] = records
    torch.testing.assert_close(again(record).out, record.out)
    torch.testing.assert_close(again(record).lse, record.lse)
    torch.testing.assert_close(attention_mass(record), layer.edge_weights(x, GRAPH).mean((1, 2)))


def test_linear_mixing_is_a_linear_layer():
    bias = EdgeBias(GRAPH, 2, per_head=True, std=1.0)
    layer = ColumnAttention(3, 4, 2, "linear_mixing", value="input", edge_bias=bias)
    x = torch.randn(3, 2, 4)
    with recording(layer) as records:
        out, _ = layer(x, GRAPH)
    assert isinstance(records[0], LinearRecord)
    assert torch.equal(edge_linear(*records[0][1:3], GRAPH), out)


def again(record: AttentionRecord):
    return column_attention(*record[1:4], record.graph, bias=record.bias, scale=record.scale)


BELOW = ColumnGraph.from_edge_index(
    torch.tensor([[0, 1, 2, 4, 3], [0, 0, 1, 1, 2]]), 3, num_sources=5
)


@pytest.mark.parametrize("static", [False, True])
def test_pooling_records_its_attention(static):
    pool, x = LearnedPool(3, 4), torch.randn(5, 2, 4)
    keys = torch.randn(5, 4) if static else None
    expected, _ = pool(x, BELOW, keys)
    with recording(pool) as records:
        out, _ = pool(x, BELOW, keys)
    assert torch.equal(out, expected)
    [record] = records
    torch.testing.assert_close(again(record).out[:, :, 0], out)
    torch.testing.assert_close(again(record).lse, record.lse)


def test_cross_attention_records():
    cross = CrossColumn(3, 5, 4, 2, 8)
    with recording(cross) as records:
        cross(torch.randn(3, 2, 4), torch.randn(5, 2, 4), BELOW)
    [record] = records
    torch.testing.assert_close(again(record).out, record.out)
    torch.testing.assert_close(again(record).lse, record.lse)


@pytest.mark.parametrize("mode", ["attention", "selection", "identity"])
def test_attention_to_other_columns_is_that_of_its_maps(mode):
    layer = ColumnAttention(3, 4, 2, mode, num_sources=5).double()
    x, below = torch.randn(3, 2, 4).double(), torch.randn(5, 2, 4).double()
    with recording(layer) as records:
        out, _ = layer(x, BELOW, below)
    [record] = records
    values = below if layer.value is None else layer.value(below)
    assert torch.equal(record.v.flatten(2), values)
    weights = layer.edge_weights(x, BELOW, below)
    dense = torch.zeros(3, 5, 2, 2).double()
    dense[BELOW.target.long(), BELOW.source.long()] = weights.double()
    heard = torch.einsum("nmbh,mbhd->nbhd", dense, values.unflatten(2, (2, 2))).flatten(2)
    expected = heard if layer.out is None else layer.out(heard)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
