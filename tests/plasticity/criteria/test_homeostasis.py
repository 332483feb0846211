"""Growth curves, worked by hand. The rule at work is tested with the presets."""

import math

import pytest
import torch

from graphcolumns.plasticity.criteria.homeostasis import growth_curve, update_memory
from tests.plasticity.support.eight import GRAPH
from tests.plasticity.support.stand_in import edges

CALCIUM = torch.tensor([0.0, 0.5, 1.0, 2.0])


def test_linear():
    assert growth_curve(CALCIUM, target=1.0, rate=2.0).tolist() == [2, 1, 0, -2]


def test_gaussian():
    gaussian = growth_curve(CALCIUM, target=1.0, curve="gaussian", rate=2.0)
    assert gaussian[:3].tolist() == pytest.approx([0, 2, 0], abs=1e-6)
    assert -2.0 < float(gaussian[3]) < -1.9


def test_sigmoid():
    sigmoid = growth_curve(CALCIUM, target=1.0, curve="sigmoid", width=0.5)
    expected = [math.tanh(1), math.tanh(0.5), 0, -math.tanh(1)]
    assert sigmoid.tolist() == pytest.approx(expected, abs=1e-6)


def test_another_curve():
    with pytest.raises(ValueError, match=r"curve must be one of .*Got 'step'"):
        growth_curve(CALCIUM, 1.0, curve="step")


@pytest.mark.parametrize("curve", ["linear", "gaussian", "sigmoid"])
def test_elements_follow_the_curve(curve):
    """From the degrees at the first update, by the curve of the first activity."""
    of = edges(graph=GRAPH, activity=CALCIUM[:, None], memory={})
    memory = update_memory(of, rate=0.25, activity=1.0, curve=curve)
    change = growth_curve(CALCIUM.double(), 1.0, 0.25, curve)
    assert memory["set_point"].tolist() == [1.0]
    for name, degree in (("in", [3, 2, 2, 1]), ("out", [2, 2, 2, 2])):
        expected = torch.tensor(degree) + change
        torch.testing.assert_close(memory[f"synaptic_elements_{name}"], expected)
