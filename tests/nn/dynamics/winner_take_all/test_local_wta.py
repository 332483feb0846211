"""Winner-take-all in windows: kernels, agreement between dimensions and graphs, wrong input."""

import numpy as np
import pytest
import torch

from geometries import grid
from graphcolumns import ColumnGraph, connect
from graphcolumns.nn.dynamics import (
    WTA,
    ConvWTA,
    Euler,
    GraphWTA,
    LocalWTA,
    Regime,
    RegimeWarning,
    solve,
)

DOUBLE = {"dtype": torch.float64}


def randoms(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), **DOUBLE)


def arrive(circuit, inputs, **options):
    """The output at the fixed point, to rounding."""
    solution = solve(circuit, inputs, **{"tolerance": 1e-11, "max_steps": 200_000, **options})
    assert solution.converged.all()
    return solution.output


def kernel(circuit, inputs):
    """The inhibition that every single active unit causes, one column per unit."""
    drive = circuit.drive(inputs)
    return circuit.inhibit(circuit.excite(torch.eye(inputs.shape[1], **DOUBLE), drive), drive).T


@pytest.mark.parametrize("halfwidth", [0, 1, 3])
@pytest.mark.parametrize("beta", [None, 0.7])
def test_the_effective_kernel_is_a_triangle(halfwidth, beta):
    size = 13
    distance = np.abs(np.arange(size)[:, None] - np.arange(size))
    strength = 1 / (2 * halfwidth + 1) if beta is None else beta
    triangle = strength * np.maximum(0, 2 * halfwidth + 1 - distance)
    inner = slice(halfwidth, size - halfwidth)
    got = kernel(LocalWTA(halfwidth, beta), torch.zeros(size, size, **DOUBLE))
    np.testing.assert_allclose(got[:, inner], triangle[:, inner], rtol=0, atol=1e-15)
    # At the borders: the windows that contain both units.
    window = distance <= halfwidth
    np.testing.assert_allclose(got, strength * (window.astype(float) @ window), atol=1e-15)
    circle = np.minimum(distance, size - distance)
    got = kernel(LocalWTA(halfwidth, beta, circular=True), torch.zeros(size, size, **DOUBLE))
    expected = strength * np.maximum(0, 2 * halfwidth + 1 - circle)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("sequential", [False, True])
def test_steps_are_those_of_the_source(sequential):
    tau, alpha, beta, te, ti, leak, h, n = 0.1, 0.5, 0.3, 0.01, 0.02, 1.1, 2, 9
    options = {"threshold": te, "inhibitory_threshold": ti, "leak": leak, "alpha": alpha}
    circuit = LocalWTA(h, beta, sequential=sequential, **options)
    inputs = randoms(1, n)
    place = np.arange(n)
    w = np.sqrt(beta) * (np.abs(place[:, None] - place) <= h)
    x, e, i = inputs[0].numpy(), np.zeros(n), np.zeros(n)
    for _ in range(25):
        new = i + tau * (np.maximum(w @ e - ti, 0) - leak * i)
        seen = new if sequential else i
        e = e + tau * (np.maximum(x + alpha * e - w @ seen - te, 0) - leak * e)
        i = new
    state = solve(circuit, inputs, tolerance=0.0, max_steps=25, method=Euler(tau)).state
    np.testing.assert_allclose(state[0][0], e, atol=1e-14)
    np.testing.assert_allclose(state[1][0], i, atol=1e-14)


def complementarity(x, inputs, w, alpha):
    """How far from x = f(I + alpha x - w w x), in the largest entry."""
    return (x - torch.relu(inputs + alpha * x - x @ w @ w)).abs().max().item()


@pytest.mark.parametrize("sequential", [False, True])
def test_the_soft_fixed_point_solves_its_equations_from_any_start(sequential):
    circuit = LocalWTA(2, 0.4, alpha=0.8, sequential=sequential)
    inputs, far = randoms(4, 15) + 0.5, 9 * randoms(4, 15, seed=1).abs()
    window = ((torch.arange(15)[:, None] - torch.arange(15)).abs() <= 2).double()
    output = arrive(circuit, inputs)
    assert complementarity(output, inputs, 0.4**0.5 * window, 0.8) < 1e-9
    start = (far, far.flip(1))
    torch.testing.assert_close(arrive(circuit, inputs, start=start), output, rtol=0, atol=1e-8)


def test_one_window_over_everything_is_one_inhibitory_unit_per_column():
    # n identical inhibitory units: beta1 beta2 = n beta.
    inputs = randoms(3, 6)
    local = LocalWTA(5, 0.2, alpha=0.6)
    one = WTA(alpha=0.6, beta1=1.0, beta2=6 * 0.2)
    torch.testing.assert_close(arrive(local, inputs), one.fixed_point(inputs), rtol=0, atol=1e-8)


@pytest.mark.parametrize(("alpha", "together"), [(1.1, True), (1.3, False)])
def test_two_equal_peaks_win_together_where_they_are_far_enough_apart(alpha, together):
    # Distance 1 in windows of 5 with beta = .2: stable for alpha < 1.2.
    inputs = torch.zeros(1, 13, **DOUBLE)
    inputs[0, 5:7] = torch.tensor([1.0, 1.0001])
    output = arrive(LocalWTA(2, alpha=alpha), inputs, tolerance=1e-9)
    assert (output[0, 5:7] > 1e-3).all().item() is together
    far = torch.zeros(1, 13, **DOUBLE)
    far[0, [3, 9]] = torch.tensor([1.0, 0.5], **DOUBLE)
    expected = far / (2 - alpha)
    torch.testing.assert_close(arrive(LocalWTA(2, alpha=alpha), far), expected, rtol=0, atol=1e-8)


def line(size):
    return grid.sheet(1, size)


@pytest.mark.parametrize("self_loops", [False, True])
@pytest.mark.parametrize("sequential", [False, True])
def test_on_the_graph_of_a_line_it_is_the_same(self_loops, sequential):
    graph = connect.within_radius(line(11), 2.0, self_loops=self_loops)
    options = {"alpha": 0.7, "threshold": 0.05, "sequential": sequential}
    inputs = randoms(11, 3, 2)
    output = arrive(GraphWTA(graph, 0.3, **options), inputs)
    rows = arrive(LocalWTA(2, 0.3, **options), inputs.permute(1, 2, 0).reshape(6, 11))
    expected = rows.reshape(3, 2, 11).permute(2, 0, 1)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-9)


def test_on_the_graph_of_a_sheet_it_is_the_convolution():
    graph = connect.within_radius(grid.sheet(4, 5), 1.5)
    inputs = randoms(20, 2, 3) + 0.3
    output = arrive(GraphWTA(graph, 0.1), inputs)
    maps = inputs.permute(1, 2, 0).reshape(2, 3, 4, 5)
    expected = arrive(ConvWTA((3, 3), beta=0.1), maps).reshape(2, 3, 20).permute(2, 0, 1)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("alpha", [0.6, 1.0])
def test_whole_columns_compete_by_their_norms(alpha):
    graph = connect.within_radius(line(9), 2.0)
    inputs = randoms(9, 3, 4)
    whole = GraphWTA(graph, 0.3, whole_columns=True, alpha=alpha, threshold=0.1)
    sizes = inputs.norm(dim=2, keepdim=True)
    scalar = arrive(GraphWTA(graph, 0.3, alpha=alpha, threshold=0.1), sizes)
    options = {"max_steps": 400_000, "tolerance": 1e-10}
    output = arrive(whole, inputs, **options)
    torch.testing.assert_close(output, inputs / sizes * scalar, rtol=0, atol=1e-7)
    assert (output.norm(dim=2) < 1e-9).any()
    assert solve(whole, inputs).state[1].shape == (9, 3, 1)


def test_a_column_without_input_has_no_direction_and_stays_silent():
    graph = connect.within_radius(line(3), 1.0)
    inputs = torch.zeros(3, 1, 2, **DOUBLE)
    inputs[0, 0, 0] = 1
    inputs.requires_grad_()
    output = solve(GraphWTA(graph, whole_columns=True), inputs).output
    output.sum().backward()
    assert output[1:].eq(0).all()
    assert inputs.grad.isfinite().all()


def test_a_graph_without_edges_leaves_every_column_to_itself():
    graph = ColumnGraph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), 1)
    output = arrive(GraphWTA(graph, 1.0), torch.ones(1, 2, 1, **DOUBLE))
    torch.testing.assert_close(output, torch.full((1, 2, 1), 1 / 1.5, **DOUBLE))


def test_convolution_in_one_row_is_the_local_circuit():
    inputs = randoms(3, 14) + 0.2
    local = arrive(LocalWTA(2, 0.3, alpha=0.7), inputs)
    conv = arrive(ConvWTA((1, 5), beta=0.3, alpha=0.7), inputs[:, None, None])
    torch.testing.assert_close(conv[:, 0, 0], local, rtol=0, atol=1e-9)
    deep = arrive(ConvWTA((1, 1), depth=5, beta=0.3, alpha=0.7), inputs[:, :, None, None])
    torch.testing.assert_close(deep[:, :, 0, 0], local, rtol=0, atol=1e-9)
    around = arrive(LocalWTA(2, 0.3, circular=True, alpha=0.7), inputs)
    conv = arrive(ConvWTA((5, 1), beta=0.3, circular=True, alpha=0.7), inputs[:, None, :, None])
    torch.testing.assert_close(conv[:, 0, :, 0], around, rtol=0, atol=1e-9)


def test_one_feature_per_place():
    maps = randoms(2, 5, 3, 4).abs()
    soft = arrive(ConvWTA((1, 1), depth=None, alpha=0.5), maps)
    expected = WTA(alpha=0.5, dims=(1,)).fixed_point(maps)
    torch.testing.assert_close(soft, expected, rtol=0, atol=1e-9)
    hard = arrive(ConvWTA((1, 1), depth=None, alpha=1.2), maps)
    assert (hard > 1e-9).sum(1).eq(1).all()
    assert torch.equal(hard.argmax(1), maps.argmax(1))


def test_windows_over_place_and_all_channels_against_a_dense_matrix():
    channels, height, width, beta, alpha = 2, 3, 4, 0.15, 0.4
    inputs = randoms(2, channels, height, width) + 0.4
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    y, x = y.flatten(), x.flatten()
    near = ((y[:, None] - y).abs() <= 1) & ((x[:, None] - x).abs() <= 1)
    w = beta**0.5 * near.double().repeat(1, channels)
    output = arrive(ConvWTA((3, 3), depth=None, beta=beta, alpha=alpha), inputs).flatten(1)
    back = torch.relu(inputs.flatten(1) + alpha * output - output @ w.T @ w)
    torch.testing.assert_close(output, back, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("circuit", "shape"),
    [
        (LocalWTA(2, 0.4), (1, 9)),
        (LocalWTA(3, 0.4, circular=True), (1, 9)),
        (LocalWTA(9, 0.4), (1, 4)),
        (GraphWTA(connect.within_radius(grid.sheet(3, 4), 1.5), 0.3), (12, 1, 1)),
        (ConvWTA((3, 3), beta=0.3), (1, 1, 4, 5)),
        (ConvWTA((3, 5), depth=3, beta=0.3, circular=True), (1, 4, 5, 6)),
        (ConvWTA((3, 3), depth=None, beta=0.3), (1, 2, 4, 3)),
    ],
)
def test_strengths_of_loops_are_bounds(circuit, shape):
    drive = circuit.drive(torch.zeros(shape, **DOUBLE))
    size = int(np.prod(shape))

    def loop(x):
        inhibition = circuit.inhibit(circuit.excite(x.reshape(shape), drive), drive)
        return inhibition.expand(shape).flatten()

    matrix = torch.stack([loop(e) for e in torch.eye(size, **DOUBLE)])
    torch.testing.assert_close(matrix, matrix.T)
    least, largest = circuit.loop(drive)
    assert matrix.diagonal().min().item() == pytest.approx(least)
    norm = torch.linalg.eigvalsh(matrix)[-1].item()
    assert norm <= largest * (1 + 1e-12)
    if getattr(circuit, "circular", False) is True and shape == (1, 9):
        assert norm == pytest.approx(largest)


def test_regimes_of_windows():
    # A winner reaches 5 inhibitory units, of 0.2 each; 3 at a border.
    inputs = torch.ones(1, 9)
    inner = LocalWTA(2, 0.2, alpha=1.5, circular=True)
    assert inner.regime(inner.drive(inputs)) is Regime.SINGLE_WINNER
    with pytest.warns(RegimeWarning, match="LocalWTA in the regime 'unbounded'"):
        LocalWTA(2, 0.2, alpha=1.7).drive(inputs)


def one_way():
    return ColumnGraph.from_edge_index(torch.tensor([[0, 1, 1], [1, 0, 2]]), 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GraphWTA(one_way()), "Got 1 of 3 without, such as from 1 to 2; call connect.un"),
        (lambda: GraphWTA(connect.bipartite(line(3), line(2), 1)), "Got 3 sources and 2 columns"),
        (lambda: GraphWTA(connect.nearest(line(3), 3), -1.0), "beta must be 0 or more"),
        (lambda: LocalWTA(-1), "halfwidth must be 0 or more and finite. Got -1"),
        (lambda: LocalWTA(1, float("nan")), "beta must be 0 or more and finite. Got nan"),
        (lambda: LocalWTA(1, alpha=-1.0), "alpha must be 0 or more"),
        (lambda: ConvWTA((2, 3)), r"windows must have odd sizes.*Got size=\(2, 3\), depth=1"),
        (lambda: ConvWTA((3, 3), depth=0), "windows must have odd sizes"),
        (lambda: ConvWTA((3, -1)), "windows must have odd sizes"),
        (lambda: ConvWTA((3,)), "windows must have odd sizes"),
    ],
)
def test_wrong_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_wrong_types():
    with pytest.raises(TypeError, match=r"halfwidth must be a whole number. Got 1.5"):
        LocalWTA(1.5)
    with pytest.raises(TypeError, match="ColumnGraph"):
        GraphWTA(torch.ones(2, 3))


@pytest.mark.parametrize(
    ("circuit", "inputs", "message"),
    [
        (LocalWTA(1), torch.ones(3), r"inputs must be \[B, n\]. Got \[3\]"),
        (LocalWTA(2, circular=True), torch.ones(1, 4), "Expected n of at least 5. Got 4"),
        (LocalWTA(1), torch.full((1, 3), float("nan")), "inputs must be finite. Got 3"),
        (GraphWTA(connect.nearest(line(3), 3)), torch.ones(2, 1, 1), "with N = 3 columns"),
        (GraphWTA(connect.nearest(line(3), 3)), torch.ones(3, 1), r"inputs must be \[N, B, C\]"),
        (ConvWTA((3, 3)), torch.ones(1, 3, 3), r"inputs must be \[B, C, H, W\]"),
        (ConvWTA((3, 5), circular=True), torch.ones(1, 1, 3, 4), "must not overlap themselves"),
    ],
)
def test_wrong_inputs(circuit, inputs, message):
    with pytest.raises(ValueError, match=message):
        solve(circuit, inputs)


def test_the_remedy_for_one_way_edges_is_right():
    graph = one_way()
    both = connect.union(graph, graph.reverse())
    assert both.same_topology(both.reverse())
    inputs = torch.tensor([1.0, 2.0, 0.5]).reshape(3, 1, 1)
    assert GraphWTA(both).drive(inputs).samples[0].shape == (3, 1, 1)
