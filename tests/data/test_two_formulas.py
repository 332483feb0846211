import pytest
import torch

from graphcolumns.data import two_formulas
from graphcolumns.data.two_formulas import FORMULA_INPUTS, formula_values


def test_the_formulas_by_hand():
    """(.5 + .5)^3 = 1 and .25 + sin(pi / 2) = 1.25."""
    x = torch.tensor([[0.5, 0.5, 0.5, 0.5], [-1.0, 1.0, 0.0, 0.0]])
    torch.testing.assert_close(formula_values(x), torch.tensor([[1.0, 1.25], [-1.0, 1.0]]))


def test_each_target_depends_on_its_inputs_alone():
    x = torch.full((1, 4), 0.3, requires_grad=True)
    for target, own in enumerate(FORMULA_INPUTS):
        gradient = torch.autograd.grad(formula_values(x)[0, target], x)[0][0]
        assert tuple(gradient.nonzero()[:, 0].tolist()) == own


def test_samples_cover_the_range_and_depend_on_the_seed():
    data = two_formulas(train=500, test=30)
    assert data.train_inputs.shape == (500, 4)
    assert data.test_targets.shape == (30, 2)
    assert data.train_inputs.min() < -0.9
    assert data.train_inputs.max() > 0.9
    assert float(data.train_inputs.abs().max()) <= 1
    assert torch.equal(data.test_targets, formula_values(data.test_inputs))
    assert not torch.equal(data.train_inputs, two_formulas(train=500, seed=1).train_inputs)


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match=r"train >= 2 and test >= 2. Got 1 and 5"):
        two_formulas(train=1, test=5)
