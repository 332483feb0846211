"""Wrong layers, connections and inputs get exact errors."""

import pytest
import torch

from graphcolumns import ColumnGraph
from graphcolumns.nn.dynamics import (
    Convolution,
    Dense,
    DivergenceError,
    Edges,
    Euler,
    FixedPrediction,
    Layer,
    PredictiveCoding,
    Skip,
    discriminative,
    follow,
    generative,
    mupc_scales,
    solve,
    tanh,
    z_il,
)

W = torch.ones(2, 2)


def test_an_empty_batch_along_complete_and_sparse_edges():
    edges = torch.tensor([[0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 1]])
    for count in (6, 5):
        graph = ColumnGraph.from_edge_index(edges[:, :count], 2, 3)
        link = Edges("x", "h", tanh, graph=graph, weight=torch.ones(count))
        assert link.complete == (count == 6)
        x, delta = torch.zeros(3, 0, 4), torch.zeros(2, 0, 4)
        assert link.predict(x, link.tensors).shape == (2, 0, 4)
        assert link.pullback(x, delta, link.tensors).shape == (3, 0, 4)


def small(**options):
    layers = {"x": Layer(2), "h": Layer(2), "y": Layer(2)}
    links = [Dense("x", "h", weight=W), Dense("h", "y", weight=W)]
    return PredictiveCoding(layers, links, **{"clamped": ("x", "y"), **options})


def circle(**options):
    layers = {"x": Layer(2), "a": Layer(2), "b": Layer(2)}
    links = [Dense("x", "a", weight=W), Dense("a", "b", weight=W), Dense("b", "a", weight=W)]
    return PredictiveCoding(layers, links, ("x",), **options)


BUILDS = [
    (lambda: Layer(0), "shape must have one size or more"),
    (lambda: Layer(2, precision=-1.0), "precision must be finite and 0 or more"),
    (lambda: Layer(2, precision=float("nan")), "precision must be finite"),
    (lambda: Layer(2, precision=torch.ones(3)), "precision must be a number or have the shape"),
    (lambda: Layer(2, shrinkage=-0.1), "shrinkage must be finite and 0 or more"),
    (lambda: Layer(2, loss="hinge"), "loss must be 'squared' or 'cross_entropy'"),
    (lambda: small(clamped=("z",)), "clamped must name a layer. Expected one of 'x', 'h', 'y'"),
    (lambda: small(clamped=()), "one layer or more must be clamped"),
    (lambda: small(clamped=("x", "h", "y")), "one layer or more must be clamped"),
    (lambda: small(read="z"), "read must name a layer"),
    (lambda: small(form="both"), "form must be 'state' or 'error'"),
    (lambda: circle(form="error"), "Got the cycle"),
    (
        lambda: PredictiveCoding({"x": Layer(2), "y": Layer(2)}, [], ("x",)),
        "one connection or more",
    ),
    (
        lambda: PredictiveCoding(
            {"x": Layer(2), "y": Layer(2)}, [Dense("x", "z", weight=W)], ("x",)
        ),
        "target must name a layer",
    ),
    (
        lambda: PredictiveCoding(
            {"x": Layer(2), "y": Layer(3)}, [Dense("x", "y", weight=W)], ("x",)
        ),
        "Expected \\(2,\\) for the target of Dense",
    ),
    (
        lambda: PredictiveCoding({"x": Layer(2), "y": Layer(3)}, [Skip("x", "y")], ("x",)),
        "Expected \\(2,\\) for the target of Skip",
    ),
    (
        lambda: PredictiveCoding(
            {"x": Layer(2), "y": Layer(2)},
            [Convolution("x", "y", weight=torch.ones(1, 1, 2, 2))],
            ("x",),
        ),
        "must be an image",
    ),
    (
        lambda: PredictiveCoding(
            {"x": Layer(2), "y": Layer(2, loss="cross_entropy")},
            [Dense("x", "y", weight=W)],
            ("x",),
        ),
        "Got the free layer 'y'",
    ),
    (
        lambda: PredictiveCoding(
            {"x": Layer(2), "y": Layer(2), "z": Layer(2)}, [Dense("x", "y", weight=W)], ("x",)
        ),
        "Got 'z' without a connection",
    ),
    (
        lambda: PredictiveCoding(
            {"x": Layer(2), "y": Layer(2, precision=0.0)}, [Dense("x", "y", weight=W)], ("x",)
        ),
        "there is no energy",
    ),
    (
        lambda: generative([W, W], shrinkage=0.1, form="error"),
        "shrinkage and bounds are for layers that nothing predicts",
    ),
    (lambda: generative([W, W], shrinkage=[0.1]), "one number per layer above the input"),
    (lambda: discriminative([]), "one matrix or more"),
    (lambda: discriminative([W, torch.ones(2, 3)]), "sizes of neighbouring weights must fit"),
    (lambda: discriminative([W], scales=[1.0, 2.0]), "one number per weight"),
    (lambda: mupc_scales([3, 4]), "sizes must be three or more"),
    (lambda: FixedPrediction(circle()), "Got free layers in a cycle"),
    (lambda: FixedPrediction(generative([W])), "free layers that are predicted"),
]


@pytest.mark.parametrize(("build", "message"), BUILDS)
def test_networks_that_do_not_go_together(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_edges_go_with_edges():
    graph = ColumnGraph.from_edge_index(torch.tensor([[0, 1], [1, 0]]), 2)
    layers = {"x": Layer((2, 1)), "h": Layer((2, 1)), "y": Layer(2)}
    along = Edges("x", "h", graph=graph, weight=torch.ones(2))
    with pytest.raises(ValueError, match=r"go with no others. Got Dense"):
        PredictiveCoding(layers, [along, Dense("h", "y", weight=W)], ("x",))
    with pytest.raises(ValueError, match=r"one number per edge. Expected \(2,\). Got \(3,\)"):
        PredictiveCoding(
            {"x": Layer((2, 1)), "h": Layer((2, 1))},
            [Edges("x", "h", graph=graph, weight=torch.ones(3))],
            ("x",),
        )
    with pytest.raises(ValueError, match="must have the shape \\(N, C\\)"):
        PredictiveCoding({"x": Layer(2), "h": Layer(2)}, [along], ("x",))


INPUTS = [
    ({"x": W}, ValueError, "Got none for 'y'"),
    ({"x": W, "y": W, "h": W}, ValueError, "Got the free layer 'h'"),
    ({"x": W, "y": W, "q": W}, ValueError, "Got the unknown layer 'q'"),
    ({"x": W, "y": torch.ones(3, 2)}, ValueError, "for the same samples"),
    ({"x": W, "y": torch.ones(2, 3)}, ValueError, "Expected \\[B, 2\\]"),
    ({"x": W, "y": torch.ones(2)}, ValueError, "Expected \\[B, 2\\]"),
    ({"x": W, "y": torch.ones(2, 2, dtype=torch.int64)}, TypeError, "must be a floating tensor"),
    ({"x": W, "y": W * float("nan")}, ValueError, "must be finite"),
    (W, TypeError, "inputs must be a mapping"),
]


@pytest.mark.parametrize(("inputs", "kind", "message"), INPUTS)
def test_inputs_that_do_not_fit(inputs, kind, message):
    with pytest.raises(kind, match=message):
        solve(small(), inputs)


def test_a_cycle_has_a_state_form():
    circuit = circle()
    scaled = PredictiveCoding(
        circuit.layers,
        [Dense(c.source, c.target, scale=0.2, weight=W) for c in circuit.connections],
        ("x",),
    )
    found = solve(scaled, torch.ones(1, 2), tolerance=1e-6)
    # a = .4 + .4 b and b = .4 a, in every unit.
    torch.testing.assert_close(found.state[0], torch.full((1, 2), 0.4 / 0.84), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.energy, torch.zeros(1), atol=1e-6, rtol=0)


def test_nonlinear_networks_need_a_time_step():
    circuit = discriminative([W, W], activation=tanh)
    inputs = {"layer0": W, "layer2": W}
    with pytest.raises(ValueError, match="no proven step limit"):
        solve(circuit, inputs)
    assert solve(circuit, inputs, method=Euler(0.1)).converged.all()
    with pytest.raises(DivergenceError):
        solve(small(), {"x": W, "y": W}, method=Euler(5.0, allow_unstable=True))


def test_timing_needs_precision_one_and_the_state_form():
    circuit = small(form="error")
    with pytest.raises(ValueError, match="exact in the state form"):
        z_il(circuit, circuit.drive({"x": W, "y": W}))


def test_any_layer_is_clamped_by_name():
    circuit = small().clamping("h")
    assert circuit.free == ("x", "y")
    found = solve(circuit, torch.ones(1, 2), tolerance=1e-5)
    torch.testing.assert_close(found.state[1], torch.full((1, 2), 2.0), atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="clamped must name a layer"):
        small().clamping("nothing")


def test_one_sample_and_none():
    found = solve(small(), {"x": torch.ones(1, 2), "y": torch.ones(1, 2)})
    assert found.output.shape == (1, 2)
    empty = solve(small(), {"x": torch.ones(0, 2), "y": torch.ones(0, 2)})
    assert empty.output.shape == (0, 2)


def test_columns_without_edges_are_predicted_to_be_zero():
    graph = ColumnGraph.from_edge_index(torch.zeros(2, 0, dtype=torch.int64), 3, 2)
    layers = {"x": Layer((2, 1)), "h": Layer((3, 1))}
    link = Edges("x", "h", graph=graph, weight=torch.zeros(0))
    found = solve(PredictiveCoding(layers, [link], ("x",)), torch.ones(2, 1, 1))
    assert torch.equal(found.output, torch.zeros(3, 1, 1))


def test_a_network_follows_inputs_that_change():
    circuit = generative([torch.eye(2)], shrinkage=0.1)
    frames = torch.stack([torch.ones(1, 2), torch.zeros(1, 2)]).repeat_interleave(40, 0)
    codes, _ = follow(circuit, frames, method=Euler(0.3))
    torch.testing.assert_close(codes[39], torch.full((1, 2), 0.9), atol=1e-4, rtol=0)
    torch.testing.assert_close(codes[-1], torch.zeros(1, 2), atol=1e-4, rtol=0)
    assert 0 < codes[40].max() < 0.9


def test_mupc_scales_by_hand():
    assert mupc_scales([4, 8, 8, 2]) == pytest.approx((0.5, 24**-0.5, 1 / 8))


def test_layers_with_time_constants_keep_their_bounds():
    circuit = generative([torch.eye(2), torch.ones(2, 1)], shrinkage=0.1, nonnegative=True)
    method = Euler(0.5, time_constants=(1.0, 4.0))
    found = solve(circuit, torch.tensor([[1.0, -1.0]]), method=method, record=1, tolerance=1e-6)
    assert all((part >= 0).all() for part in found.trajectory)
    plain = solve(circuit, torch.tensor([[1.0, -1.0]]), tolerance=1e-6)
    torch.testing.assert_close(found.output, plain.output, atol=1e-4, rtol=0)
