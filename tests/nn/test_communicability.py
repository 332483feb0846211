"""Communicability: by hand, then against scipy and networkx, then its derivative."""

import math

import networkx as nx
import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphcolumns import ColumnGraph
from graphcolumns.nn.communicability import LIMIT, communicability, edge_communicability


def weights_of(size: int, seed: int, share: float = 0.5) -> torch.Tensor:
    """Signed weights of some of the pairs."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(size, size, generator=generator, dtype=torch.float64)
    there = torch.rand(size, size, generator=generator) < share
    return values * there


class TestByHand:
    def test_two_columns(self):
        """S = 3 for both, so the matrix is [[0, 1], [1, 0]]: its exponential has sinh 1 beside."""
        weights = torch.tensor([[0.0, -3.0], [3.0, 0.0]], dtype=torch.float64)
        expected = math.sinh(1) * torch.tensor([[0, 1], [1, 0]], dtype=torch.float64)
        torch.testing.assert_close(communicability(weights), expected)

    def test_a_chain_is_a_sum_of_walks(self):
        """0 sends 12 to 1, which sends 3 to 2, which sends nothing: S = 12, 3 and their mean, 7.5.

        The matrix has 12 / 6 = 2 and 3 / sqrt(22.5), and one walk of two steps, over 2!.
        """
        weights = torch.zeros(3, 3)
        weights[0, 1], weights[1, 2] = 12, 3
        last = 3 / 22.5**0.5
        expected = torch.tensor([[0.0, 2, last], [0, 0, last], [0, 0, 0]])
        torch.testing.assert_close(communicability(weights), expected)

    def test_an_edge_leads_from_its_source_to_its_target(self):
        graph = ColumnGraph.from_edge_index(torch.tensor([[0, 1, 2], [1, 2, 2]]), 3)
        found = edge_communicability(torch.tensor([4.0, 1.0, 1.0]), graph)
        # Column 2 hears itself with weight 1: S = 1, and walks 0 -> 1 -> 2 -> 2 -> ... add up.
        assert found[0] == pytest.approx(2)
        assert found[1] == pytest.approx(math.e - 1)
        assert found[2] == 0  # itself


@given(st.integers(1, 8), st.integers(0, 99), st.sampled_from([0.2, 0.5, 1.0]))
def test_equals_scipy(size, seed, share):
    weights = weights_of(size, seed, share)
    sizes = weights.abs().numpy()
    strength = sizes.sum(1)
    strength[strength == 0] = strength[strength > 0].mean() if strength.any() else 1
    root = np.sqrt(strength)
    expected = scipy.linalg.expm(sizes / np.outer(root, root))
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(communicability(weights).numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("graph", [nx.cycle_graph(7), nx.petersen_graph(), nx.hypercube_graph(3)])
def test_equals_networkx_where_all_have_as_many_neighbours(graph):
    """There S = d, and exp(A) = exp(A / d)^d."""
    degree, nodes = graph.degree[next(iter(graph))], list(graph)
    table = nx.communicability_exp(graph)
    theirs = np.array([[table[u][v] for v in nodes] for u in nodes])
    expected = scipy.linalg.fractional_matrix_power(theirs, 1 / degree).real
    np.fill_diagonal(expected, 0)
    found = communicability(torch.from_numpy(nx.to_numpy_array(graph)))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("least", [1e-4, 1e-8, 1e-12])
def test_to_a_column_that_sends_little_it_grows_with_the_root(least):
    """C = S^(1/2) exp(P) S^(-1/2), and every row of P adds up to 1."""
    weights = weights_of(4, 0, 1.0).abs()
    weights[3] *= least / weights[3].sum()
    strength = weights.sum(1)
    walks = torch.from_numpy(scipy.linalg.expm((weights / strength[:, None]).numpy()))
    expected = (strength[:, None] / strength).sqrt() * walks.fill_diagonal_(0)
    torch.testing.assert_close(communicability(weights), expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("seed", range(3))
def test_its_derivative(seed):
    weights = weights_of(4, seed, 0.8) + 0.5  # no weight at 0, where the size has no derivative
    assert torch.autograd.gradcheck(communicability, weights.requires_grad_())


@given(st.integers(0, 99), st.floats(0.1, 10))
def test_a_unit_of_the_weights_does_not_matter(seed, unit):
    weights = weights_of(5, seed)
    torch.testing.assert_close(communicability(unit * weights), communicability(weights))


class TestErrors:
    def test_not_square(self):
        with pytest.raises(ValueError, match=r"must be square, \[N, N\]. Got \[2, 3\]"):
            communicability(torch.ones(2, 3))

    def test_too_many_columns(self):
        many = LIMIT + 1
        with pytest.raises(ValueError, match=f"at most {LIMIT}. Got {many}; use wiring='distance'"):
            communicability(torch.ones(1, 1).expand(many, many))
        alone = torch.arange(many).expand(2, -1)
        graph = ColumnGraph.from_edge_index(alone, many)
        with pytest.raises(ValueError, match="at most"):
            edge_communicability(torch.ones(many), graph)

    def test_sources_that_are_no_columns(self):
        graph = ColumnGraph.from_edge_index(torch.tensor([[0], [0]]), 2, 3)
        with pytest.raises(ValueError, match="between columns and columns"):
            edge_communicability(torch.ones(1), graph)
