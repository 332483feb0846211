"""A columnformer under torch.func and with batched gradients."""

import pytest
import torch
from torch.autograd.functional import jacobian
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, vmap

from tests.models.support.variants import VARIANTS, make


@pytest.fixture(params=VARIANTS)
def model(request):
    return make(**VARIANTS[request.param]).double().eval()


@pytest.fixture
def images():
    return torch.randn(3, 1, 4, 4, dtype=torch.float64)


def test_gradients_per_sample_add_up(model, images):
    parameters, buffers = dict(model.named_parameters()), dict(model.named_buffers())

    def loss(parameters, x):
        logits = functional_call(model, (parameters, buffers), (x,)).prediction
        return logits.square().sum()

    per_sample = vmap(grad(loss), (None, 0))(parameters, images[:, None])
    together = grad(loss)(parameters, images)
    out = loss(parameters, images)
    expected = torch.autograd.grad(out, list(parameters.values()), allow_unused=True)
    for name, gradient in zip(parameters, expected, strict=True):
        gradient = torch.zeros_like(parameters[name]) if gradient is None else gradient
        torch.testing.assert_close(together[name], gradient)
        torch.testing.assert_close(per_sample[name].sum(0), gradient)


def test_jacobians_and_hessians(model, images):
    def logits(x):
        return model(x[None]).prediction.sin().squeeze(0)

    x = images[0]
    expected = jacobian(logits, x)
    torch.testing.assert_close(jacrev(logits)(x), expected)
    torch.testing.assert_close(jacfwd(logits)(x), expected)
    torch.testing.assert_close(jacobian(logits, x, vectorize=True), expected)
    curvature = torch.autograd.functional.hessian(lambda x: logits(x).sum(), x)
    torch.testing.assert_close(hessian(lambda x: logits(x).sum())(x), curvature)
