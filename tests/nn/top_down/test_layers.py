"""Every layer of two passes: the top-down pass is its adjoint, its products the gradient."""

import copy

import pytest
import torch

from graphcolumns import ColumnGraph
from graphcolumns.nn.top_down import (
    FrozenNorm,
    FrozenRMSNorm,
    Identity,
    TopDownAttention,
    TopDownAveragePool,
    TopDownBatchNorm,
    TopDownConv2d,
    TopDownEdges,
    TopDownLinear,
    TopDownUntied,
)
from graphcolumns.training.optim import parameters_without_decay

SAMPLES = 3


def graph(columns=7, sources=7, share=0.5):
    """A random graph, in which column 0 has no in-edge and source 1 no out-edge."""
    edges = torch.rand(columns, sources, generator=torch.Generator().manual_seed(3)) < share
    edges[0], edges[:, 1], edges[1, 0] = False, False, True
    return ColumnGraph.from_edge_index(edges.nonzero().T.flip(0), columns, num_sources=sources)


def known(norm):
    """With statistics other than 0 and 1."""
    norm.mean.normal_()
    norm.variance.uniform_(0.5, 2)
    return norm


def image(channels=4, height=9, width=8):
    return SAMPLES, channels, height, width


CASES = {
    "linear": (lambda f: TopDownLinear(12, 5, feedback=f), (SAMPLES, 3, 2, 2)),
    "edges": (lambda f: TopDownEdges(graph(5, 7), feedback=f), (7, SAMPLES, 4)),
    "edges, heads": (lambda f: TopDownEdges(graph(5, 7), heads=2, feedback=f), (7, SAMPLES, 4)),
    "edges, channels": (lambda f: TopDownEdges(graph(), heads=4, feedback=f), (7, SAMPLES, 4)),
    "untied": (lambda f: TopDownUntied(7, 4, 3, feedback=f), (7, SAMPLES, 4)),
    "conv": (lambda f: TopDownConv2d(4, 6, 3, feedback=f), image()),
    "conv, stride": (lambda f: TopDownConv2d(4, 6, 3, stride=(2, 3), feedback=f), image()),
    "conv, padding": (lambda f: TopDownConv2d(4, 2, (4, 3), 3, (2, 1), feedback=f), image()),
    "conv, dilation": (lambda f: TopDownConv2d(4, 2, 3, 2, dilation=2, feedback=f), image()),
    "conv, groups": (lambda f: TopDownConv2d(4, 6, 2, 2, groups=2, feedback=f), image()),
    "depth-wise": (lambda f: TopDownConv2d(4, 8, 3, 2, 1, groups=4, feedback=f), image()),
    "attention": (lambda f: TopDownAttention(graph(), 4, 6, 2, feedback=f), (7, SAMPLES, 4)),
    "attention, values": (
        lambda f: TopDownAttention(graph(), 4, 6, 2, coefficients="values", feedback=f),
        (7, SAMPLES, 4),
    ),
    "attention, queries": (
        lambda f: TopDownAttention(graph(5, 7), 4, 6, 3, "queries", qk_channels=5, feedback=f),
        (7, SAMPLES, 4),
    ),
    "frozen norm": (lambda f: known(FrozenNorm((4, 9, 8), feedback=f)), image()),
    "frozen norm, columns": (lambda f: known(FrozenNorm((7, 4), True)), (7, SAMPLES, 4)),
    "root mean square": (lambda f: FrozenRMSNorm((7, 4), True, feedback=f), (7, SAMPLES, 4)),
    "layer norm": (lambda f: FrozenRMSNorm((4, 9, 8), centred=True, feedback=f), image()),
    "batch norm in evaluation": (lambda f: known(TopDownBatchNorm(5)).eval(), (SAMPLES, 5)),
    "average": (lambda f: TopDownAveragePool(3, 2, 1), image()),
    "average of all": (lambda f: TopDownAveragePool((9, 8)), image()),
    "identity": (lambda f: Identity(), (SAMPLES, 5)),
}


@pytest.fixture(params=CASES)
def case(request):
    make, shape = CASES[request.param]
    layer = make("tied").double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return layer, torch.randn(shape, dtype=torch.float64)


def without_bias(layer):
    """The linear part: the layer without its bias, and for norms without the mean."""
    layer = copy.deepcopy(layer)
    if getattr(layer, "bias", None) is not None:
        layer.bias.data.zero_()
    if isinstance(layer, FrozenNorm):
        layer.mean.zero_()
    return layer


def test_the_top_down_pass_is_the_adjoint(case):
    layer, x = case
    linear = without_bias(layer)
    out = linear(x)
    y = torch.randn_like(out)
    back = layer.top_down(y, x.shape, x)
    assert back.shape == x.shape
    torch.testing.assert_close((out * y).sum(), (x * back).sum(), rtol=1e-12, atol=1e-12)


def test_the_adjoint_and_the_products_are_what_autograd_computes(case):
    layer, x = case
    x.requires_grad_()
    out = layer(x)
    counter = torch.randn_like(out)
    learned = list(layer.parameters())
    expected = torch.autograd.grad(out, [x, *learned], counter)
    with torch.no_grad():
        found = {id(p): g for p, g in layer.counter_hebb(x.detach(), counter)}
        back = layer.top_down(counter, x.shape, x.detach())
    torch.testing.assert_close(back, expected[0], rtol=1e-12, atol=1e-13)
    assert found.keys() == {id(p) for p in learned}
    for parameter, gradient in zip(learned, expected[1:], strict=True):
        assert found[id(parameter)].shape == parameter.shape
        torch.testing.assert_close(found[id(parameter)], gradient, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", CASES)
def test_dtypes_follow(name):
    make, shape = CASES[name]
    for dtype in (torch.float32, torch.float64):
        layer, x = make("tied").to(dtype), torch.randn(shape, dtype=dtype)
        out = layer(x)
        for given in (None, x):
            assert layer.top_down(out, x.shape, given).dtype == dtype
        assert all(g.dtype == dtype for _, g in layer.counter_hebb(x, out))


@pytest.mark.parametrize(
    "name", [n for n in CASES if n not in ("identity",) and "average" not in n]
)
def test_own_top_down_weights(name):
    make, shape = CASES[name]
    tied, x = make("tied"), torch.randn(shape)
    torch.manual_seed(5)
    copied = make("copied")
    if copied.top_down_weight is None:
        pytest.skip("the case has no feedback")
    assert torch.equal(copied.weight, copied.top_down_weight)
    out = copied(x)
    before = copied.top_down(out, x.shape, x)
    with torch.no_grad():
        copied.top_down_weight.mul_(2)
    torch.testing.assert_close(copied.top_down(out, x.shape, x), 2 * before)
    torch.testing.assert_close(copied(x), out)
    sign = make("sign")
    assert torch.equal(sign.feedback_weight.sign(), sign.weight.sign())
    assert tied.feedback_weight is tied.weight


def test_the_gradient_is_that_of_frozen_coefficients():
    """Attention with the same coefficients as plain numbers, on a dense matrix."""
    layer = TopDownAttention(graph(), 4, 6, heads=2, bias=False).double()
    x = torch.randn(7, 2, 4, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        q, k = (
            torch.einsum("nbc,ncd->nbd", x, m).unflatten(2, (2, 3))
            for m in (layer.query, layer.key)
        )
        scores = torch.einsum("nbhd,mbhd->nmbh", q, k) / 3**0.5
        edges = torch.zeros(7, 7, dtype=torch.bool)
        edges[layer.graph.target.long(), layer.graph.source.long()] = True
        mask = edges[:, :, None, None]
        p = scores.masked_fill(~mask, -torch.inf).softmax(1).nan_to_num() * mask
    values = torch.einsum("nbc,ncd->nbd", x, layer.weight).unflatten(2, (2, 3))
    expected = torch.einsum("nmbh,mbhd->nbhd", p, values).flatten(2)
    out = layer(x)
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-13)
    counter = torch.randn_like(out)
    (gradient,) = torch.autograd.grad(expected, x, counter)
    torch.testing.assert_close(layer.top_down(counter, x.shape, x), gradient)
    # Before a bottom-up pass every in-edge counts the same.
    uniform = edges / edges.sum(1, keepdim=True).clamp(min=1)
    shared = torch.einsum("nm,nbd->mbd", uniform.double(), counter)
    expected = torch.einsum("mbd,mcd->mbc", shared, layer.weight)
    torch.testing.assert_close(layer.top_down(counter, x.shape), expected)


@pytest.mark.parametrize("coefficients", ["fixed", "values", "queries"])
def test_attention_in_inference_mode(coefficients):
    layer = TopDownAttention(graph(), 4, 6, 2, coefficients=coefficients)
    x, counter = torch.randn(7, SAMPLES, 4), torch.randn(7, SAMPLES, 6)
    expected = [layer.top_down(counter, x.shape, given) for given in (x, None)]
    with torch.inference_mode():
        inside = x.clone(), counter.clone()
        found = [layer.top_down(inside[1], x.shape, given) for given in (inside[0], None)]
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other.detach())


@pytest.mark.parametrize("name", CASES)
def test_biases_do_not_decay_whatever_their_shape(name):
    layer = CASES[name][0]("independent")
    kept = {p for n, p in layer.named_parameters() if n == "bias"}
    assert kept <= parameters_without_decay(layer)


def test_pixels_that_no_window_sees_get_nothing():
    layer = TopDownConv2d(1, 1, 2, stride=3, bias=False)
    back = layer.top_down(torch.ones(1, 1, 2, 2), (1, 1, 7, 6))
    assert back.shape == (1, 1, 7, 6)
    assert not back[..., 2, :].any()
    assert not back[..., 5:, :].any()
    assert torch.equal(back[0, 0, 3:5, 3:5], layer.weight[0, 0].detach())


def test_statistics_move_once_in_a_step():
    norm = FrozenNorm(3, momentum=0.25)
    parts = [torch.randn(size, 3) * 2 + 5 for size in (4, 10, 1)]
    outputs = [norm(part) for part in parts]
    torch.testing.assert_close(outputs[0], parts[0] * (1 + norm.eps) ** -0.5)
    norm.after_step()
    seen = torch.cat(parts)
    torch.testing.assert_close(norm.mean[None], 0.25 * seen.mean(0, keepdim=True))
    variance = 0.75 + 0.25 * seen.var(0, correction=0)
    torch.testing.assert_close(norm.variance, variance)
    norm.eval()(seen)
    norm.after_step()
    torch.testing.assert_close(norm.variance, variance)


def test_batch_norm_normalises_as_torch():
    for shape, x, torchs in (
        ((4, 5, 6), torch.randn(*image(4, 5, 6)) + 2, torch.nn.BatchNorm2d(4)),
        (4, torch.randn(9, 4) + 2, torch.nn.BatchNorm1d(4)),
    ):
        norm = TopDownBatchNorm(shape)
        torch.testing.assert_close(norm(x), torchs(x))


def test_the_root_mean_square_is_torchs():
    x = torch.randn(7, 3, 4)
    torch.testing.assert_close(
        FrozenRMSNorm((7, 4), columns=True, eps=1e-6)(x),
        torch.nn.functional.rms_norm(x, (4,), eps=1e-6),
    )
    torch.testing.assert_close(
        FrozenRMSNorm((7, 4), columns=True, centred=True)(x),
        torch.nn.functional.layer_norm(x, (4,)),
    )
