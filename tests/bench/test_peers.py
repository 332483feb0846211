"""Every peer solves the same problem as we do: a ratio to something else says nothing."""

import pytest
import torch

from graphcolumns.bench import peers
from graphcolumns.bench.peers import PEERS
from graphcolumns.bench.problem import Shape, draw

SHAPE = Shape(24, 5, 3, heads=2, width=4)
SLOW = "PyG compiled"  # minutes to compile


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.scatter) if name == "torch-scatter" else name
        for name in PEERS
        if name != SLOW and PEERS[name].restore is None
    ],
)
def test_the_same_gradients(name):
    """In whatever layout: the sorted numbers agree. Some peers have no bias, so it is zero."""
    problem = draw(SHAPE)
    with torch.no_grad():
        problem.bias.zero_()
    assert PEERS[name].missing(problem, "cpu") == ""
    ours = peers.ours(problem, "reference")()
    theirs = PEERS[name].build(problem)()
    for mine, other in zip(ours[:3], theirs[:3], strict=True):
        expected = mine.flatten().sort().values
        torch.testing.assert_close(other.flatten().sort().values, expected, atol=1e-5, rtol=1e-4)
    assert len({round(float(g.abs().sum()), 3) for g in ours[:3]}) == 3  # q, k, v differ


@pytest.mark.parametrize("name", ["torch.sparse", "embedding_bag", "gather, softmax, scatter"])
def test_the_same_gradient_of_the_bias(name):
    problem = draw(SHAPE)
    ours, theirs = peers.ours(problem, "reference")(), PEERS[name].build(problem)()
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(other, mine, atol=1e-5, rtol=1e-4)


def test_what_cannot_run_says_why():
    problem = draw(SHAPE)
    assert PEERS["FlexAttention"].missing(problem, "cpu") == "no backward pass on the CPU"
    huge = problem.__class__(
        Shape(2**20, 5, 8), *(getattr(problem, n) for n in ("graph", "q", "k", "v", "bias", "grad"))
    )
    assert PEERS["masked SDPA"].missing(huge, "cpu").startswith("its matrix would take")
