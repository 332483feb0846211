"""Layers of SoftHebb: dense is convolution at one place, learning by layers, and errors."""

import pytest
import torch
from torch.nn import functional as F

from graphcolumns.models.neurodynamics import SoftHebb, SoftHebbLayer


def images(count=20, seed=0):
    return torch.rand(count, 2, 6, 6, generator=torch.Generator().manual_seed(seed))


def layer(*args, **options):
    torch.manual_seed(0)
    return SoftHebbLayer(*args, **options)


def test_a_convolution_is_the_dense_layer_at_every_place():
    conv, dense = layer(2, 5, kernel=3, padding=1, stride=2), layer(18, 5)
    assert torch.equal(conv.weight, dense.weight)
    x = images()
    fields = F.unfold(x, 3, padding=1, stride=2).transpose(1, 2)
    expected = dense(fields.flatten(0, 1)).reshape(20, 3, 3, 5).permute(0, 3, 1, 2)
    assert torch.equal(conv(x), expected)
    conv.learn(x, 0.1)
    dense.learn(fields.flatten(0, 1), 0.1)
    assert torch.equal(conv.weight, dense.weight)


def test_activities_by_hand():
    dense = layer(2, 3)
    dense.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    # Of norm 1: (.6, .8); overlaps (.6, .8, -.6) have mean .8 / 3.
    assert dense(torch.tensor([[3.0, 4.0]]))[0].tolist() == pytest.approx([1 / 3, 1.6 / 3, 0])
    # Less the mean input (-2, 4): (1, 0).
    dense.centre(torch.tensor([[0.0, 5.0], [-4.0, 3.0]]))
    assert dense(torch.tensor([[3.0, 4.0]]))[0].tolist() == pytest.approx([1.0, 0, 0])


@pytest.mark.parametrize("anti", [False, True])
def test_norms_stay_one_and_units_move_to_clusters(anti):
    centres = F.normalize(torch.randn(4, 10, generator=torch.Generator().manual_seed(1)))
    noise = 0.05 * torch.randn(400, 10, generator=torch.Generator().manual_seed(2))
    x = centres.repeat(100, 1) + noise
    model = SoftHebb([layer(10, 12, anti_hebbian=anti)])

    def nearest():
        ready = F.normalize(centres - centres.mean(0))
        return (ready @ model.layers[0].weight.T).amax(1)

    before = nearest()
    model.fit(x, epochs=10, rate=0.3)
    torch.testing.assert_close(model.layers[0].weight.norm(dim=1), torch.ones(12))
    assert (nearest() > 0.97).all()
    assert (before < 0.97).any()


def test_layers_are_trained_upwards_and_the_same_for_a_seed():
    def build():
        return SoftHebb([layer(2, 6, kernel=3, padding=1), layer(54, 7)], pool=2)

    first, again = (build().fit(images(), epochs=2, seed=3) for _ in range(2))
    other = build().fit(images(), epochs=2, seed=4)
    for a, b, c in zip(first.layers, again.layers, other.layers, strict=True):
        assert torch.equal(a.weight, b.weight)
        assert not torch.equal(a.weight, c.weight)
    below = SoftHebb([build().layers[0]], pool=2).fit(images(), epochs=2, seed=3)
    assert torch.equal(below.layers[0].weight, first.layers[0].weight)
    assert first(images(3)).shape == (3, 7)
    assert first(images(0)).shape == (0, 7)


def test_float64_gradients_and_state():
    model = SoftHebb([layer(2, 4, kernel=2), layer(4 * 25, 3)]).double()
    model.fit(images().double(), epochs=1, batch=7)
    x = images(2).double().requires_grad_()
    model(x).sum().backward()
    assert x.grad.abs().sum() > 0
    other = SoftHebb([layer(2, 4, kernel=2), layer(4 * 25, 3)]).double()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(x), model(x))


BAD = [
    (lambda: layer(0, 3), "in_channels must be at least 1"),
    (lambda: layer(3, 0), "units must be at least 1"),
    (lambda: layer(3, 3, kernel=0), "kernel must be at least 1"),
    (lambda: layer(3, 3, padding=-1), r"padding must be 0 or more\. Got -1"),
    (lambda: layer(3, 3, beta=0.0), "beta must be positive"),
    (lambda: SoftHebb([]), "one layer or more"),
    (lambda: layer(3, 3)(torch.zeros(2, 4)), r"Expected \[B, 3\]\. Got \[2, 4\]"),
    (lambda: layer(3, 3, kernel=2)(torch.zeros(2, 3)), r"Expected \[B, 3, Y, X\]\. Got \[2, 3\]"),
    (lambda: SoftHebb([layer(3, 3)]).fit(torch.zeros(0, 3)), "one sample or more"),
    (lambda: SoftHebb([layer(3, 3)]).fit(torch.ones(2, 3) / 0), "inputs must be finite"),
    (lambda: SoftHebb([layer(3, 3)]).fit(torch.ones(2, 3), rate=0.0), "rate must be positive"),
    (lambda: SoftHebb([layer(3, 3)]).fit(torch.ones(2, 3), epochs=0), "epochs must be at least 1"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
    with pytest.raises(TypeError, match=r"layers must be SoftHebbLayers\. Got Linear"):
        SoftHebb([torch.nn.Linear(2, 2)])
