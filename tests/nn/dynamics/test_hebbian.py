"""Local learning rules against answers worked by hand and the singular value decomposition."""

import numpy as np
import pytest
import torch

from graphcolumns.nn.dynamics import (
    hebbian_step,
    oja_step,
    sanger_step,
    soft_hebb_step,
    soft_winners,
)


def samples(count=300, size=6, seed=0):
    """Correlated inputs with mean zero and well separated variances."""
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64, generator=generator))[0]
    scale = torch.tensor([3.0, 2.0, 1.3, 0.8, 0.4, 0.2], dtype=torch.float64)[:size]
    x = torch.randn(count, size, dtype=torch.float64, generator=generator) * scale @ basis
    return x - x.mean(0)


def components(x):
    """Principal components, `[size, size]`, the largest first."""
    return torch.from_numpy(np.linalg.svd(x.numpy(), full_matrices=False)[2])


def weights(units, size=6, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return 0.3 * torch.randn(units, size, dtype=torch.float64, generator=generator)


def test_by_hand():
    weight = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    x = torch.tensor([[1.0, 1.0], [0.0, -1.0]])
    # y = [[1, 2], [0, -2]]
    hebb = [[1 + 0.1 * 0.5, 0.1 * 0.5], [0.1 * 1.0, 2 + 0.1 * 2]]
    torch.testing.assert_close(hebbian_step(weight, x, 0.1), torch.tensor(hebb))
    # Mean squares of y are 1/2 and 4: the first decays by .05, the second by .1 * 4 * 2.
    oja = [[1.0, 0.05], [0.1, 2.2 - 0.8]]
    torch.testing.assert_close(oja_step(weight, x, 0.1), torch.tensor(oja))
    # <y1 y2> = 1, so the second unit also loses .1 of the first.
    sanger = [[1.0, 0.05], [0.0, 1.4]]
    torch.testing.assert_close(sanger_step(weight, x, 0.1), torch.tensor(sanger))


def test_soft_hebb_by_hand():
    weight, x = torch.eye(2), torch.tensor([[2.0, 0.0]])
    # u = (2, 0); with beta = ln 3 / 2 the winner gets 3/4.
    beta = float(np.log(3) / 2)
    y = soft_winners(x @ weight.T, beta)
    torch.testing.assert_close(y, torch.tensor([[0.75, 0.25]]))
    torch.testing.assert_close(
        soft_winners(x @ weight.T, beta, anti_hebbian=True), torch.tensor([[0.75, -0.25]])
    )
    # w1 += .1 * .75 ((2, 0) - 2 (1, 0)) = 0; w2 += .1 * .25 ((2, 0) - 0).
    expected = torch.tensor([[1.0, 0.0], [0.05, 1.0]])
    torch.testing.assert_close(soft_hebb_step(weight, x, 0.1, beta), expected)
    expected = torch.tensor([[1.0, 0.0], [-0.05, 1.0]])
    torch.testing.assert_close(soft_hebb_step(weight, x, 0.1, beta, True), expected)


def test_oja_converges_to_the_first_principal_component():
    x, weight = samples(), weights(3)
    for _ in range(400):
        weight = oja_step(weight, x, 0.05)
    torch.testing.assert_close(weight.norm(dim=1), torch.ones(3, dtype=torch.float64))
    cosine = (weight @ components(x)[0]).abs()
    assert (1 - cosine < 1e-9).all()


def test_sanger_converges_to_the_principal_components_in_order():
    x, weight = samples(), weights(4)
    for _ in range(3000):
        weight = sanger_step(weight, x, 0.05)
    overlap = (weight @ components(x)[:4].T).abs()
    torch.testing.assert_close(overlap, torch.eye(4, dtype=torch.float64), rtol=0, atol=1e-6)


def test_hebb_grows_where_oja_does_not():
    x, weight = samples(), weights(2)
    grown = weight
    for _ in range(20):
        grown = hebbian_step(grown, x, 0.05)
    assert (grown.norm(dim=1) > 50).all()
    direction = torch.nn.functional.normalize(grown)
    assert ((direction @ components(x)[0]).abs() > 0.99).all()


def test_soft_hebb_finds_the_centres_of_clusters_and_unit_norms():
    centres = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64, generator=gen(3)))[0][:3]
    noise = 0.1 * torch.randn(300, 8, dtype=torch.float64, generator=gen(4))
    x = torch.nn.functional.normalize(centres.repeat(100, 1) + noise)
    weight = centres + 0.4 * torch.randn(3, 8, dtype=torch.float64, generator=gen(5))
    for _ in range(500):
        weight = soft_hebb_step(weight, x, 0.5, beta=12.0)
    assert ((weight.norm(dim=1) - 1).abs() < 0.01).all()
    mean = torch.nn.functional.normalize(x.reshape(100, 3, 8).mean(0))
    assert ((torch.nn.functional.normalize(weight) * mean).sum(1) > 0.999).all()


def gen(seed):
    return torch.Generator().manual_seed(seed)


def test_a_fixed_point_of_oja_is_an_eigenvector_and_gradients_pass():
    x = samples()
    first = components(x)[:1]
    torch.testing.assert_close(oja_step(first, x, 0.1), first)
    weight = weights(2).requires_grad_()
    for rule in (hebbian_step, oja_step, sanger_step, soft_hebb_step):
        assert torch.autograd.gradcheck(lambda w, rule=rule: rule(w, x[:5], 0.1), weight)


@pytest.mark.parametrize("rule", [hebbian_step, oja_step, sanger_step, soft_hebb_step])
def test_bad_arguments(rule):
    weight, x = weights(2), samples(4)
    assert rule(weight.float(), x.float(), 0.1).dtype == torch.float32
    assert rule(weight[:1], x[:1], 0.1).shape == (1, 6)
    with pytest.raises(ValueError, match=r"inputs must .* Expected \[B, 6\]\. Got \[4, 5\]"):
        rule(weight, x[:, :5], 0.1)
    with pytest.raises(ValueError, match=r"Expected one or more\. Got none"):
        rule(weight, x[:0], 0.1)
    with pytest.raises(ValueError, match=r"rate must be positive and finite\. Got 0"):
        rule(weight, x, 0.0)
    with pytest.raises(ValueError, match="inputs must be finite"):
        rule(weight, x * float("nan"), 0.1)
    with pytest.raises(ValueError, match="weight must be finite"):
        rule(weight / 0, x, 0.1)
    with pytest.raises(TypeError, match=r"weight must be a floating tensor\. Got torch.int64"):
        rule(weight.long(), x, 0.1)


def test_beta_must_be_positive():
    with pytest.raises(ValueError, match="beta must be positive"):
        soft_winners(torch.zeros(1, 2), 0.0)
