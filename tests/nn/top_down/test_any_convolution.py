"""Convolutions and pooling of any geometry go back to exactly the shape of their source."""

import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from graphcolumns.nn.top_down import TopDownAveragePool, TopDownConv2d

PAIRS = st.tuples(st.integers(1, 4), st.integers(1, 4))
PADDING = st.tuples(st.integers(0, 3), st.integers(0, 3))
SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def check(layer, x, bias=None):
    """Adjoint, and equal to autograd."""
    x.requires_grad_()
    z = layer(x)
    assert z.shape[2:] == layer.windows.out_size(tuple(x.shape[2:]))
    counter = torch.randn_like(z)
    learned = list(layer.parameters())
    expected = torch.autograd.grad(z, [x, *learned], counter)
    with torch.no_grad():
        back = layer.top_down(counter, x.shape)
        found = [gradient for _, gradient in layer.counter_hebb(x.detach(), counter)]
        linear = z if bias is None else z - bias[:, None, None]
        assert back.shape == x.shape
        torch.testing.assert_close((linear * counter).sum(), (x * back).sum())
    for a, b in zip([back, *found], expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@given(PAIRS, PAIRS, PADDING, PAIRS, SIZES, st.integers(1, 3), st.integers(1, 2), st.booleans())
def test_convolutions(kernel, stride, padding, dilation, size, groups, width, depth_wise):
    channels = groups * (1 if depth_wise else 2)
    layer = TopDownConv2d(channels, groups * width, kernel, stride, padding, dilation, groups)
    layer = layer.double()
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    assume(all(r <= s + 2 * p for r, s, p in zip(reach, size, padding, strict=True)))
    torch.nn.init.normal_(layer.bias)
    check(layer, torch.randn(2, channels, *size, dtype=torch.float64), layer.bias)


@given(PAIRS, PAIRS, SIZES, st.booleans(), st.integers(1, 3))
def test_pooling(kernel, stride, size, padded, channels):
    padding = tuple(k // 2 if padded else 0 for k in kernel)
    assume(all(k <= s + 2 * p for k, s, p in zip(kernel, size, padding, strict=True)))
    layer = TopDownAveragePool(kernel, stride, padding)
    check(layer, torch.randn(2, channels, *size, dtype=torch.float64))
