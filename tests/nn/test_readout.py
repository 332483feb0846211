import copy

import pytest
import torch
from torch import nn

from graphcolumns.nn import ColumnReadout, MeanReadout, SpatialReadout

N, B, C, K = 6, 3, 5, 4
COLUMNS = torch.tensor([4, 1, 2])


def scrambled(module):
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


def normed(norm, x):
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
    return (x - mean) / torch.sqrt(variance + 1e-5) * norm.weight + norm.bias


@pytest.mark.parametrize("norm", ["before", "after", "none"])
@pytest.mark.parametrize("columns", [None, COLUMNS])
def test_mean_equals_its_formula(norm, columns):
    readout, state = scrambled(MeanReadout(C, K, columns, norm)), torch.randn(N, B, C)
    chosen = [state[n] for n in (range(N) if columns is None else columns.tolist())]
    if norm == "before":
        chosen = [normed(readout.norm, x) for x in chosen]
    mean = sum(chosen) / len(chosen)
    if norm == "after":
        mean = normed(readout.norm, mean)
    expected = mean @ readout.linear.weight.t() + readout.linear.bias
    torch.testing.assert_close(readout(state), expected, atol=1e-5, rtol=1e-5)
    count = K * C + K + (0 if norm == "none" else 2 * C)
    assert sum(p.numel() for p in readout.parameters()) == count


@pytest.mark.parametrize("columns", [None, COLUMNS])
def test_spatial_equals_its_formula(columns):
    ids = list(range(N)) if columns is None else columns.tolist()
    readout = scrambled(SpatialReadout(len(ids), C, K, columns))
    state, expected = torch.randn(N, B, C), torch.zeros(B, K)
    for k in range(K):
        share = torch.exp(readout.map[k]) / torch.exp(readout.map[k]).sum()
        seen = sum(share[o] * normed(readout.norm, state[n]) for o, n in enumerate(ids))
        expected[:, k] = seen @ readout.linear.weight[k] + readout.linear.bias[k]
    torch.testing.assert_close(readout(state), expected, atol=1e-5, rtol=1e-5)
    count = K * len(ids) + 2 * C + K * C + K
    assert sum(p.numel() for p in readout.parameters()) == count


@pytest.mark.parametrize("weights", ["shared", "untied"])
def test_columns_answer_for_themselves(weights):
    readout, state = scrambled(ColumnReadout(C, COLUMNS, weights)), torch.randn(N, B, C)
    weight, bias = readout.linear.weight, readout.linear.bias
    answers = []
    for k, n in enumerate(COLUMNS.tolist()):
        w, c = (weight, bias) if weights == "shared" else (weight[k], bias[k])
        answers.append(normed(readout.norm, state[n]) @ w[:, 0] + c[0])
    torch.testing.assert_close(readout(state), torch.stack(answers, 1), atol=1e-5, rtol=1e-5)
    sets = 1 if weights == "shared" else 3
    assert sum(p.numel() for p in readout.parameters()) == sets * (C + 1) + 2 * C


def test_an_answer_hears_its_own_column_only():
    state = torch.randn(N, B, C, requires_grad=True)
    for k, n in enumerate(COLUMNS.tolist()):
        answer = ColumnReadout(C, COLUMNS)(state)[:, k]
        (grad,) = torch.autograd.grad(answer.sin().sum(), state)
        assert (grad.abs().amax((1, 2)) > 0).nonzero().flatten().tolist() == [n]


def test_uniform_map_is_the_mean_of_normed_columns():
    spatial, mean = SpatialReadout(N, C, K), MeanReadout(C, K, norm="before")
    mean.load_state_dict({k: v for k, v in spatial.state_dict().items() if k != "map"})
    nn.init.zeros_(spatial.map)
    state = torch.randn(N, B, C)
    torch.testing.assert_close(spatial(state), mean(state), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MeanReadout(C, K),
        lambda: SpatialReadout(N, C, K),
        lambda: ColumnReadout(C, COLUMNS),
        lambda: ColumnReadout(C, COLUMNS, "untied"),
    ],
)
def test_gradients_and_reset(make):
    readout, drawn = scrambled(make()), []
    readout(torch.randn(N, B, C)).sin().sum().backward()
    assert all(p.grad.abs().max() > 0 for p in readout.parameters())
    for _ in range(2):
        for parameter in readout.parameters():
            nn.init.constant_(parameter, torch.nan)
        torch.manual_seed(6)
        readout.reset_parameters()
        drawn.append(copy.deepcopy(readout.state_dict()))
    assert not any(value.isnan().any() for value in drawn[0].values())
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])


def test_other_columns_are_not_read():
    state = torch.randn(N, B, C, requires_grad=True)
    for readout in (
        MeanReadout(C, K, COLUMNS),
        SpatialReadout(3, C, K, COLUMNS),
        ColumnReadout(C, COLUMNS),
    ):
        (grad,) = torch.autograd.grad(readout(state).sin().sum(), state)
        read = grad.abs().amax((1, 2)) > 0
        assert read.nonzero().flatten().tolist() == [1, 2, 4]
        assert "columns" not in readout.state_dict()


def test_errors():
    for match, call in [
        ("norm must be one of .* Got 'first'", lambda: MeanReadout(C, K, norm="first")),
        ("num_classes must be at least 1, got 0", lambda: MeanReadout(C, 0)),
        (r"ids \[O\] of columns, got \[0\]", lambda: MeanReadout(C, K, torch.arange(0))),
        (r"ids \[O\] of columns, got \[\]", lambda: MeanReadout(C, K, torch.tensor(3))),
        (r"must name 4 columns, got \[3\]", lambda: SpatialReadout(4, C, K, COLUMNS)),
        ("num_columns must be at least 1, got 0", lambda: SpatialReadout(0, C, K)),
        (r"ids \[O\] of columns, got \[0\]", lambda: ColumnReadout(C, torch.arange(0))),
        ("weights must be one of .* Got 'tied'", lambda: ColumnReadout(C, COLUMNS, "tied")),
        ("channels must be at least 1, got 0", lambda: ColumnReadout(0, COLUMNS)),
    ]:
        with pytest.raises(ValueError, match=match):
            call()
