"""The largest curvature of a quadratic energy."""

from __future__ import annotations

from collections.abc import Callable

import torch

from graphcolumns.nn.dynamics.core.states import (
    State,
    flatten_samples,
    unflatten_samples,
)

# The estimate is refined until its residual is below this share of it, which is then added.
ACCURACY, MOST = 1e-3, 2_000


@torch.no_grad()
def largest_curvature(rate: Callable[[State], State], like: State, batch_dim: int) -> float:
    r"""An upper estimate of :math:`\lambda_{max}` of the Hessian H of a quadratic energy.

    Power iteration on products :math:`H v = f(0) - f(v)` with the flow :math:`f(x) = g - H x`. The
    norm of the residual :math:`H v - \lambda v` is added to :math:`\lambda`.

    Args:
        rate: Flow of a single sample.
        like: A state of a single sample, for its shapes.
        batch_dim: Dimension of samples.
    """
    zero = flatten_samples(like, batch_dim) * 0
    offset = flatten_samples(rate(unflatten_samples(zero, like, batch_dim)), batch_dim)
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(zero.shape, generator=generator, dtype=torch.float64).to(zero)
    value = residual = zero.new_zeros(())
    for iteration in range(MOST):
        v = v / torch.linalg.vector_norm(v)
        product = offset - flatten_samples(rate(unflatten_samples(v, like, batch_dim)), batch_dim)
        value = (v * product).sum()
        residual = torch.linalg.vector_norm(product - value * v)
        # One transfer from the device in every 20 iterations.
        if iteration % 20 == 19 and bool(residual <= ACCURACY * value):
            break
        v = torch.where(product.abs().sum() > 0, product, v)
    return float(value + residual)
