import math

import pytest
import torch

from graphcolumns.nn import Mixture


def test_by_hand():
    mixture = Mixture(1, 2)
    mixture.weight.data = torch.tensor([[3.0, 4.0]])  # direction (0.6, 0.8)
    odds = math.exp(0.2)
    torch.testing.assert_close(mixture(), torch.tensor([[1 / (1 + odds), odds / (1 + odds)]]))
    mixture.log_sharpness.data = torch.tensor([math.log(10)])
    odds = math.exp(2)
    torch.testing.assert_close(mixture(), torch.tensor([[1 / (1 + odds), odds / (1 + odds)]]))


def test_sharpness_stops_at_a_hundred():
    mixture = Mixture(1, 2)
    mixture.weight.data = torch.tensor([[0.6, 0.61]])
    mixture.log_sharpness.data = torch.tensor([50.0])
    odds = math.exp(100 * 0.01 / math.hypot(0.6, 0.61))
    expected = torch.tensor([[1 / (1 + odds), odds / (1 + odds)]])
    torch.testing.assert_close(mixture(), expected, atol=1e-4, rtol=1e-4)


def test_without_temperature():
    mixture = Mixture(3, 2, temperature=False)
    assert [name for name, _ in mixture.named_parameters()] == ["weight"]
    torch.testing.assert_close(mixture(), mixture.weight.softmax(-1))


@pytest.mark.parametrize("temperature", [True, False])
def test_rows_are_distributions_and_all_is_learned(temperature):
    mixture = Mixture(50, 4, temperature)
    c = mixture()
    assert c.shape == (50, 4)
    assert c.min() > 0
    torch.testing.assert_close(c.sum(-1), torch.ones(50))
    (c * torch.randn(50, 4)).sum().backward()
    assert all(p.grad.abs().max() > 0 for p in mixture.parameters())
    assert mixture.weight.std().item() == pytest.approx(
        0.5 * 0.8796, rel=0.15
    )  # 4^-1/2, cut at two


def test_scale_of_the_direction_does_not_matter():
    mixture = Mixture(5, 3)
    before = mixture()
    mixture.weight.data *= 7
    torch.testing.assert_close(mixture(), before)


def test_frozen():
    coefficients = torch.eye(3)[torch.tensor([0, 2, 2, 1])]
    mixture = Mixture(4, 3, frozen=coefficients)
    assert torch.equal(mixture(), coefficients)
    mixture.reset_parameters()
    assert torch.equal(mixture(), coefficients)
    assert not any(p.requires_grad for p in mixture.parameters())
    coefficients += 1  # a copy was taken
    assert mixture().sum() == 4


def test_reset_is_deterministic():
    mixture, drawn = Mixture(4, 3), []
    for _ in range(2):
        torch.manual_seed(3)
        mixture.reset_parameters()
        drawn.append(mixture().detach())
    assert torch.equal(*drawn)
    assert repr(mixture) == "Mixture(num_columns=4, num_sets=3)"


def test_errors():
    with pytest.raises(ValueError, match=r"frozen must be \[N, R\] = \[4, 3\], got \[3, 4\]"):
        Mixture(4, 3, frozen=torch.ones(3, 4))
    with pytest.raises(ValueError, match="got 4 and 0"):
        Mixture(4, 0)
