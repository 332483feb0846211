"""Networks of winner-take-all circuits: gains, bounds, memory, wrong input."""

import pytest
import torch

from geometries import grid
from graphcolumns import ColumnGraph, connect
from graphcolumns.nn.dynamics import WTA, Regime, RegimeWarning, WTANetwork, solve

DOUBLE = {"dtype": torch.float64}


def pair():
    return ColumnGraph.from_edge_index(torch.tensor([[0, 1], [1, 0]]), 2)


def randoms(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), **DOUBLE)


def arrive(circuit, inputs, **options):
    solution = solve(circuit, inputs, **{"tolerance": 1e-10, "max_steps": 100_000, **options})
    assert solution.converged.all()
    return solution.output


@pytest.mark.parametrize("sequential", [False, True])
def test_without_coupling_every_column_is_a_circuit_of_its_own(sequential):
    inputs = randoms(3, 2, 4)
    network = WTANetwork(connect.nearest(grid.sheet(1, 3), 2), 0.0, sequential=sequential)
    alone = WTA(dims=(2,), batch_dim=1).fixed_point(inputs)
    torch.testing.assert_close(arrive(network, inputs), alone, rtol=0, atol=1e-8)


def test_coupled_columns_with_the_same_winner_have_more_self_excitation():
    # Gain 1 / (1 + beta - alpha - w).
    inputs = torch.tensor([[1.0, 0.6], [1.0, 0.2]], **DOUBLE)[:, None]
    network = WTANetwork(pair(), 0.3, beta1=0.8, alpha=1.2)
    expected = torch.tensor([[1.0, 0], [1.0, 0]], **DOUBLE)[:, None] / (1.8 - 1.2 - 0.3)
    torch.testing.assert_close(arrive(network, inputs), expected, rtol=0, atol=1e-7)


def test_winners_stay_in_columns_on_their_own_and_are_overwritten_by_coupled_ones():
    ring, seen = connect.nearest(grid.ring(6), degree=3, self_loops=False), randoms(6, 20, 3)

    def winners(weight):
        network = WTANetwork(ring, weight, alpha=1.2, beta1=0.8, inhibitory_threshold=0.5)
        shown = solve(network, seen)
        kept = solve(network, 0 * seen, start=shown.state)
        assert kept.converged.all()
        return shown.output.argmax(2), kept.output.argmax(2), kept.output.amax(2) > 0.1

    before, after, active = winners(0.0)
    assert torch.equal(before[active], after[active])
    # Strong inputs that end at once leave inhibition that silences a column.
    assert active[seen.amax(2) < 0.9].all()
    assert not active[seen.amax(2) > 0.99].any()
    before, after, active = winners(0.1)
    assert active.all()
    assert (before != after).any(0).float().mean() > 0.5

    def agreement(x):
        return (x[ring.source] == x[ring.target]).float().mean()

    assert agreement(after) > agreement(before) + 0.1


def test_a_network_remembers_what_was_shown():
    network = WTANetwork(pair(), 0.2, beta1=0.8, alpha=1.2, inhibitory_threshold=0.5)
    inputs = torch.tensor([[0.3, 1.0, 0.2], [0.3, 0.2, 0.1]], **DOUBLE)[:, None]
    shown = solve(network, inputs, tolerance=1e-10, max_steps=100_000)
    kept = arrive(network, 0 * inputs, start=shown.state)
    expected = torch.tensor([0.0, 0.8 * 0.5 / (1.8 - 1.2 - 0.2), 0.0], **DOUBLE)
    torch.testing.assert_close(kept[:, 0], expected.expand(2, 3), rtol=0, atol=1e-7)
    # Column 1 was shown something else alone: the excitation of column 0 decided.
    alone = WTANetwork(pair(), 0.0, beta1=0.8, alpha=1.2, inhibitory_threshold=0.5)
    assert arrive(alone, inputs)[1, 0].argmax() == 0


def random_network(seed, alpha, strength, columns=8, channels=3):
    """Directed random edges with random weights, scaled so that the bound is ``strength``."""
    graph = connect.random(grid.sheet(2, columns // 2), degree=3, seed=seed)
    weight = randoms(graph.num_edges, channels, seed=seed)
    bound = WTANetwork(graph, weight).coupling
    options = {"alpha": alpha, "beta1": 0.9, "beta2": 0.9}
    return WTANetwork(graph, weight * (strength / bound), **options)


@pytest.mark.parametrize("alpha", [0.3, 1.1])
def test_random_networks_in_the_stable_regimes_stay_bounded(alpha):
    for seed in range(2):
        network = random_network(seed, alpha, 0.5)
        inputs = randoms(8, 4, 3, seed=seed)
        drive = network.drive(inputs)
        stable = (Regime.SOFT, Regime.SINGLE_WINNER)
        assert network.regime(drive) in stable
        start = (5 * randoms(8, 4, 3, seed=seed + 50), torch.zeros(8, 4, 1, **DOUBLE))
        solution = solve(
            network, inputs, start=start, record=20, every=1000, max_steps=1000, tolerance=0.0
        )
        late = solution.trajectory[0][40:]
        # With the largest sum of in-weights, which the mean with the out-weights does not bound.
        graph = network.graph
        into = torch.zeros(8, 3, **DOUBLE).index_add(0, graph.target.long(), network.weight)
        room = 1 + 0.81 - alpha - into.max().item()
        assert late.max() < inputs.max() / room if room > 0 else late.max() < 100
        if network.regime(drive) is Regime.SOFT:
            assert (late[-1] - late[0]).abs().max() < 1e-5


def test_the_soft_network_forgets_its_start():
    network, inputs = random_network(1, 0.2, 0.6), randoms(8, 2, 3)
    far = (20 * randoms(8, 2, 3, seed=7), 20 * randoms(8, 2, 1, seed=8))
    first, second = arrive(network, inputs), arrive(network, inputs, start=far)
    torch.testing.assert_close(first, second, rtol=0, atol=1e-7)


def test_coupling_bounds_the_largest_eigenvalue():
    graph = connect.within_radius(grid.sheet(3, 4), 1.5)
    weight = randoms(graph.num_edges)
    matrix = torch.zeros(12, 12, **DOUBLE)
    matrix[graph.target.long(), graph.source.long()] = weight
    largest = torch.linalg.eigvalsh((matrix + matrix.T) / 2)[-1]
    assert largest <= WTANetwork(graph, weight).coupling
    # The bound is met by equal weights on a ring.
    assert WTANetwork(connect.nearest(grid.ring(9), 3), 0.2).coupling == pytest.approx(0.6)


def test_too_much_coupling_is_a_warning():
    with pytest.warns(RegimeWarning, match="WTANetwork in the regime 'unbounded' with alpha=2.3"):
        WTANetwork(pair(), 1.1, alpha=1.2).drive(torch.ones(2, 1, 1))


def test_a_graph_without_edges_and_one_channel():
    graph = ColumnGraph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), 1)
    output = arrive(WTANetwork(graph, torch.empty(0, **DOUBLE)), torch.ones(1, 1, 1, **DOUBLE))
    assert output.item() == pytest.approx(1 / 1.5)


def test_weights_have_gradients():
    weight = torch.full((2,), 0.2, requires_grad=True, **DOUBLE)
    inputs = torch.tensor([[1.0, 0.1], [1.0, 0.1]], **DOUBLE)[:, None]
    network = WTANetwork(pair(), weight, beta1=0.8, alpha=1.2)
    solve(network, inputs, tolerance=1e-11, max_steps=100_000).output[0].sum().backward()
    # x0 = (1 + w x1) / .6 and x1 = (1 + w' x0) / .6, at w = w' = .2.
    rest, x = 0.6, 1 / 0.4
    by_own = x / rest / (1 - (0.2 / rest) ** 2)
    expected = torch.tensor([0.2 / rest * by_own, by_own], **DOUBLE)
    torch.testing.assert_close(weight.grad.sort().values, expected.sort().values, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WTANetwork(pair(), -0.1), r"must be excitatory.*Got -0.1"),
        (lambda: WTANetwork(pair(), torch.tensor([1.0, float("nan")])), "must be excitatory"),
        (lambda: WTANetwork(pair(), torch.ones(3)), r"with E = 2 edges. Got \[3\]"),
        (lambda: WTANetwork(pair(), torch.ones(2, 1, 1)), r"weight must be \[E\] or \[E, C\]"),
        (lambda: WTANetwork(pair(), 0.1, beta1=-1.0), "beta1 must be 0 or more"),
        (
            lambda: WTANetwork(connect.bipartite(grid.sheet(1, 3), grid.sheet(1, 2), 1), 0.1),
            "Got 3 sources and 2 columns",
        ),
        (lambda: solve(WTANetwork(pair(), 0.1), torch.ones(3, 1, 1)), "with N = 2 columns"),
        (lambda: solve(WTANetwork(pair(), 0.1), torch.full((2, 1, 1), torch.nan)), "finite. Got 2"),
    ],
)
def test_wrong_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()
