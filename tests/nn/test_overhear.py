"""What attention every edge gets, as a running model shows it."""

import pytest
import torch

from graphcolumns import ColumnGraph
from graphcolumns.nn import ColumnAttention, EdgeBias
from graphcolumns.nn.recording.overhear import attention_mass, recording
from graphcolumns.nn.recording.record import AttentionRecord

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
    layer.listener = other.listener = seen.append
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
    assert layer.listener is None
