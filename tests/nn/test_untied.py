import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from graphcolumns.nn import Mixture, UntiedLayerNorm, UntiedLinear
from graphcolumns.ops.untied_linear import steps

MODES = ["untied", "shared", "mixture", "lowrank"]
N, CIN, COUT, RANK = 6, 5, 4, 3


def scrambled(module):
    """The module with every learned number drawn at random: nothing hides behind a zero."""
    for parameter in module.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter)
    return module


def linear(mode="untied", **arguments):
    return UntiedLinear(N, CIN, COUT, weights=mode, rank=RANK, **arguments)


def maps(layer):
    """The weights `[N, Cin, Cout]` and biases `[N, Cout]` that the docstring promises."""
    weight, bias = layer.weight, layer.bias
    if layer.weights == "mixture":
        c = layer.own_mixture()
        return torch.einsum("nr,rio->nio", c, weight), torch.einsum("nr,ro->no", c, bias)
    if layer.weights == "lowrank":
        weight = weight + torch.einsum("nir,nro->nio", layer.down, layer.up)
    return weight.expand(N, CIN, COUT), bias.expand(N, COUT)


@pytest.mark.parametrize("mode", MODES)
def test_linear_equals_a_loop_over_columns(mode):
    layer, x = scrambled(linear(mode)).double(), torch.randn(N, 2, CIN, dtype=torch.float64)
    weight, bias = maps(layer)
    expected = torch.stack([x[n] @ weight[n] + bias[n] for n in range(N)])
    out = layer(x)
    torch.testing.assert_close(out, expected, atol=1e-13, rtol=1e-12)
    grads = [torch.autograd.grad(y.sin().sum(), list(layer.parameters())) for y in (out, expected)]
    torch.testing.assert_close(*grads, atol=1e-12, rtol=1e-12)
    assert all(grad.abs().max() > 1e-6 for grad in grads[0])


@pytest.mark.parametrize("bias", [True, False])
def test_shared_is_a_linear_layer(bias):
    layer, x = linear("shared", bias=bias), torch.randn(N, 2, CIN)
    oracle = nn.Linear(CIN, COUT, bias=bias)
    oracle.weight.data = layer.weight.t()
    if bias:
        oracle.bias.data = nn.init.normal_(layer.bias)
    torch.testing.assert_close(layer(x), oracle(x))


def test_one_hot_mixture_is_one_map_per_group():
    group = torch.tensor([0, 0, 1, 2, 1, 2])
    layer = linear("mixture", mixture=Mixture(N, RANK, frozen=nn.functional.one_hot(group)))
    scrambled(layer)
    x = torch.randn(N, 2, CIN)
    out = layer(x)
    for n, g in enumerate(group):
        torch.testing.assert_close(out[n], x[n] @ layer.weight[g] + layer.bias[g])


def test_lowrank_starts_as_shared_and_leaves_it():
    layer, x = linear("lowrank"), torch.randn(N, 2, CIN)
    nn.init.normal_(layer.bias)
    torch.testing.assert_close(layer(x), x @ layer.weight + layer.bias[:, None])
    layer(x).sin().sum().backward()
    assert layer.up.grad.abs().max() > 1e-6  # zero itself, but not stuck there


@pytest.mark.parametrize(
    ("mode", "weights", "biases"),
    [
        ("untied", N * CIN * COUT, N * COUT),
        ("shared", CIN * COUT, COUT),
        ("mixture", RANK * CIN * COUT + N * RANK + N, RANK * COUT),
        ("lowrank", CIN * COUT + N * RANK * (CIN + COUT), N * COUT),
    ],
)
def test_parameter_counts(mode, weights, biases):
    for bias in (True, False):
        count = sum(p.numel() for p in linear(mode, bias=bias).parameters())
        assert count == weights + bias * biases


def test_initialisation():
    layer = UntiedLinear(50, 16, 16)
    assert layer.weight.abs().max() <= 0.25  # 16^-1/2
    assert layer.weight.std().item() == pytest.approx(0.25 / 3**0.5, rel=0.02)
    assert layer.bias.abs().max() == 0
    assert "bias" in layer.no_weight_decay
    drawn = UntiedLinear(50, 16, 16, std=0.02).weight
    assert drawn.abs().max() <= 0.04  # two deviations
    assert drawn.std().item() == pytest.approx(0.02 * 0.8796, rel=0.02)  # of a normal cut at two


def mixes_inputs(layer: UntiedLinear, batch: int) -> bool:
    return layer.unroll(1, batch)[0].mix is not None


def test_few_inputs_are_mixed_instead_of_weights():
    """R B Cin numbers of a column against Cin Cout."""
    layer = scrambled(UntiedLinear(N, 5, 12, weights="mixture", rank=3)).double()
    assert mixes_inputs(layer, 4)
    assert not mixes_inputs(layer, 5)
    x = torch.randn(N, 5, 5, dtype=torch.float64)
    torch.testing.assert_close(layer(x[:, :4]), layer(x)[:, :4], atol=1e-12, rtol=1e-12)
    without = scrambled(UntiedLinear(N, 5, 12, bias=False, weights="mixture", rank=3)).double()
    torch.testing.assert_close(without(x[:, :4]), without(x)[:, :4], atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_unrolled_equals_plain(mode, monkeypatch):
    monkeypatch.setattr(steps, "SMALLEST", 0)  # also for small weights
    layer = scrambled(UntiedLinear(N, 16, 16, weights=mode, rank=4)).double()
    x = torch.randn(N, 5, 16, dtype=torch.float64, requires_grad=True)
    results = []
    for uses in (layer.unroll(steps=4, batch=5), [None] * 4):
        y = x
        for use in uses:
            y = torch.tanh(layer(y, use))
        results.append((y, *torch.autograd.grad(y.sum(), [x, *layer.parameters()])))
    torch.testing.assert_close(*results, atol=1e-12, rtol=1e-12)
    batched = [use.step is not None and use.step.batched for use in layer.unroll(4, 5)]
    assert batched == [mode in ("untied", "mixture")] * 4


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ids", [[0, 1, 2, 3, 4, 5], [5, 0, 3], [2, 2, 5, 2, 0], [4], []])
def test_rows_take_the_map_of_their_column(mode, ids):
    layer, x = scrambled(linear(mode)), torch.randn(len(ids), 2, CIN)
    weight, bias = maps(layer)
    out = layer.rows(x, torch.tensor(ids, dtype=torch.long))
    assert out.shape == (len(ids), 2, COUT)
    for k, n in enumerate(ids):
        torch.testing.assert_close(out[k], x[k] @ weight[n] + bias[n], atol=1e-5, rtol=1e-5)


def test_shared_mixture_belongs_to_whoever_shares_it():
    mixture = Mixture(N, RANK)
    layer = linear("mixture", mixture=mixture)
    assert layer.shared_mixture is mixture
    assert {name for name, _ in layer.named_parameters()} == {"weight", "bias"}
    before = mixture.weight.clone()
    layer.reset_parameters()
    assert torch.equal(mixture.weight, before)
    layer(torch.randn(N, 2, CIN)).sin().sum().backward()
    assert mixture.weight.grad.abs().max() > 0
    assert linear("untied", mixture=mixture).shared_mixture is None


@pytest.mark.parametrize("mode", MODES)
def test_lazy_layer(mode):
    lazy, x = UntiedLinear(N, -1, COUT, weights=mode, rank=RANK), torch.randn(N, 2, CIN)
    assert lazy.lazy
    optimizer = torch.optim.SGD(lazy.parameters(), lr=1.0)
    copies = [copy.deepcopy(lazy), pickle.loads(pickle.dumps(lazy))]
    lazy(x).sin().sum().backward()
    assert not lazy.lazy
    assert lazy.in_channels == CIN
    before = lazy.weight.clone()
    optimizer.step()  # made before the first input, it moves the weights that came with it
    torch.testing.assert_close(before - lazy.weight, lazy.weight.grad, atol=1e-6, rtol=1e-4)
    for other in copies:
        assert other.lazy
        assert other(x).shape == (N, 2, COUT)


def test_lazy_rows():
    lazy = UntiedLinear(N, -1, COUT)
    assert lazy.rows(torch.randn(3, 2, CIN), torch.tensor([5, 0, 0])).shape == (3, 2, COUT)
    assert lazy.weight.shape == (N, CIN, COUT)


def test_lazy_layer_keeps_its_dtype():
    lazy = UntiedLinear(N, -1, COUT).double()
    assert lazy(torch.randn(N, 2, CIN, dtype=torch.float64)).dtype == torch.float64
    assert lazy.weight.dtype == torch.float64


@pytest.mark.parametrize("mode", MODES)
def test_lazy_state_dict(mode):
    full, x = scrambled(linear(mode)), torch.randn(N, 2, CIN)
    lazy = UntiedLinear(N, -1, COUT, weights=mode, rank=RANK)
    lazy.load_state_dict(full.state_dict())
    assert lazy.in_channels == CIN
    assert torch.equal(lazy(x), full(x))

    waiting = UntiedLinear(N, -1, COUT, weights=mode, rank=RANK)
    assert isinstance(waiting.state_dict()["weight"], UninitializedParameter)
    other = UntiedLinear(N, -1, COUT, weights=mode, rank=RANK)
    other.load_state_dict(waiting.state_dict())
    assert other.lazy
    full.load_state_dict(waiting.state_dict())  # as PyG's Linear: waits again
    assert full.lazy
    assert full(torch.randn(N, 2, 9)).shape == (N, 2, COUT)


NORMS = {"untied": 2 * N * 8, "shared": 16, "mixture": 2 * RANK * 8 + N * RANK + N}
NORMS["lowrank"] = 16 + N * RANK + 2 * RANK * 8


@pytest.mark.parametrize(("mode", "count"), NORMS.items())
def test_layer_norm_equals_a_loop_over_columns(mode, count):
    layer = UntiedLayerNorm(N, 8, weights=mode, rank=RANK)
    x = 3 * torch.randn(N, 2, 8) + 1
    assert sum(p.numel() for p in layer.parameters()) == count
    plain = nn.LayerNorm(8)
    torch.testing.assert_close(layer(x), plain(x), atol=1e-6, rtol=1e-5)

    scrambled(layer)
    gain, bias = layer.weight, layer.bias
    if mode == "mixture":
        gain, bias = layer.own_mixture() @ gain, layer.own_mixture() @ bias
    if mode == "lowrank":
        gain = gain + layer.coefficient @ layer.direction[0]
        bias = bias + layer.coefficient @ layer.direction[1]
    gain, bias = gain.expand(N, 8), bias.expand(N, 8)
    out = layer(x)
    for n in range(N):
        expected = nn.functional.layer_norm(x[n], (8,), gain[n], bias[n])
        torch.testing.assert_close(out[n], expected, atol=1e-5, rtol=1e-5)
    out.sin().sum().backward()
    assert all(p.grad.abs().max() > 0 for p in layer.parameters())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("make", [linear, lambda mode: UntiedLayerNorm(N, 8, mode, RANK)])
def test_reset_covers_all_and_is_deterministic(make, mode):
    layer, drawn = make(mode), []
    for _ in range(2):
        for parameter in layer.parameters():
            nn.init.constant_(parameter, torch.nan)
        torch.manual_seed(1)
        layer.reset_parameters()
        drawn.append(copy.deepcopy(layer.state_dict()))
    assert not any(value.isnan().any() for value in drawn[0].values())
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])


def test_errors():
    norm, wide = UntiedLayerNorm(N, 8), torch.randn(N, 2, 9)
    for match, call in [
        ("weights must be one of .* Got 'tied'", lambda: linear("tied")),
        ("in_channels must be at least 1, got 0", lambda: UntiedLinear(N, 0, 4)),
        ("rank must be at least 1, got 0", lambda: UntiedLinear(N, 4, 4, rank=0)),
        ("got 6 and 4", lambda: linear("mixture", mixture=Mixture(N, 4))),
        ("got 5 and 3", lambda: linear("mixture", mixture=Mixture(5, RANK))),
        ("got 6 and 5", lambda: UntiedLayerNorm(N, 8, "mixture", 4, Mixture(N, 5))),
        (r"\[6, B, 5\], got \[6, 2, 9\]", lambda: linear()(wide)),
        (r"\[6, B, 5\], got \[6, 2, 9\]", lambda: linear("shared")(wide)),
        (r"\[6, B, 8\], got \[6, 2, 9\]", lambda: norm(wide)),
        ("channels must be at least 1, got 0", lambda: UntiedLayerNorm(N, 0)),
    ]:
        with pytest.raises(ValueError, match=match):
            call()
    with pytest.raises(RuntimeError, match="no weights to unroll: call it once"):
        UntiedLinear(N, -1, COUT).unroll(2, 1)
