"""Inhibition between columns, worked by hand and inside a sheet that is rewired."""

import pytest
import torch

from geometries import grid
from graphcolumns import ColumnGraph, connect
from graphcolumns.models.columnformer import sheet
from graphcolumns.models.options import DynamicsOptions
from graphcolumns.nn import EdgeLinear
from graphcolumns.nn.dynamics import ColumnDynamics, EdgeWTA, GraphWTA, solve
from graphcolumns.nn.recording import recording
from graphcolumns.ops import edge_linear
from graphcolumns.plasticity import Plasticity, presets

# 0 and 1 receive from each other, 2 from 0.
GRAPH = ColumnGraph.from_edge_index(torch.tensor([[1, 0, 0], [0, 1, 2]]), 3).named("lateral")
SHEET = grid.sheet(4, 4)
SIZES = {"image_size": 4, "in_channels": 1, "num_classes": 3, "channels": 4, "depth": 2}
LOSS = torch.nn.functional.cross_entropy


def layer(**options):
    return ColumnDynamics(GRAPH, **{"threshold": 0.5, **options})


def model(**dynamics):
    torch.manual_seed(0)
    graph = connect.nearest(SHEET, 8)
    return sheet(SHEET, graph, attention={"inhibition": {"threshold": 0.1, **dynamics}}, **SIZES)


def images(count=64, seed=1):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (count,), generator=generator)
    return torch.randn(count, 1, 4, 4, generator=generator), labels


def losses(output, labels):
    return LOSS(output.prediction, labels, reduction="none")


def test_one_step_by_hand():
    dynamics = layer(steps=1, dt=0.5)
    with torch.no_grad():
        dynamics.lateral.weight.copy_(torch.tensor([-1.0, -0.5, 2.0]))
    x = torch.tensor([[3.0, 4.0], [1.0, -1.0], [0.3, 0.3]])[:, None]
    # Root mean squares 12.5^.5, 1, .3; active beyond .5.
    b = torch.tensor([12.5**0.5, 1.0, 0.3])
    a = torch.relu(b - 0.5)
    u = b + 0.5 * torch.stack([-1.0 * a[1], -0.5 * a[0], 2.0 * a[0]])
    expected = x[:, 0] * (torch.relu(u - 0.5) / b)[:, None]
    torch.testing.assert_close(dynamics(x)[:, 0], expected)
    assert expected[1].eq(0).all()
    assert expected[2].gt(0).all()


def test_channels_compete_on_their_own_and_on_both_sides_of_zero():
    dynamics = layer(competition="channel", steps=2, dt=0.3)
    x = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    u = x
    for _ in range(2):
        a = torch.nn.functional.softshrink(u, 0.5)
        u = u + 0.3 * (x - u + edge_linear(a, dynamics.lateral.weight, GRAPH))
    torch.testing.assert_close(dynamics(x), torch.nn.functional.softshrink(u, 0.5))


def test_inhibition_at_the_start_sums_to_the_strength():
    weight = layer(strength=0.8).lateral.weight
    sums = torch.zeros(3).index_add(0, GRAPH.target, weight.detach())
    torch.testing.assert_close(sums, torch.full((3,), -0.8))


def test_the_stronger_of_two_silences_the_other():
    pair = ColumnGraph.from_edge_index(torch.tensor([[0, 1], [1, 0]]), 2)
    dynamics = ColumnDynamics(pair, threshold=0.1, steps=200, strength=1.5)
    output = dynamics(torch.tensor([[2.0, -2.0], [-1.9, 1.9]])[:, None])
    torch.testing.assert_close(output[0, 0], torch.tensor([1.9, -1.9]))
    assert output[1].eq(0).all()


def test_gradients_reach_weights_and_silent_columns_have_none_that_is_nan():
    dynamics = layer().double()
    x = torch.randn(3, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    x[2] = 0
    x.requires_grad_()
    dynamics(x).square().sum().backward()
    assert x.grad.isfinite().all()
    assert dynamics.lateral.weight.grad.abs().sum() > 0
    channel = layer(competition="channel").double()
    assert torch.autograd.gradcheck(channel, (x.detach().requires_grad_(),))


def test_empty_graphs_batches_and_single_columns():
    none = ColumnGraph.from_edge_index(torch.zeros(2, 0, dtype=torch.int64), 1)
    alone = ColumnDynamics(none, threshold=0.5)
    torch.testing.assert_close(alone(torch.tensor([[[2.0]]])), torch.tensor([[[1.5]]]))
    assert layer()(torch.zeros(3, 0, 4)).shape == (3, 0, 4)


def test_every_step_is_recorded_on_the_lateral_graph():
    dynamics = layer(steps=3)
    with recording(dynamics) as records:
        dynamics(torch.ones(3, 2, 4))
    assert [record.graph.name for record in records] == ["lateral"] * 3
    assert records[0].x.shape == (3, 2, 1)


def test_a_sheet_without_a_threshold_has_no_second_graph():
    plain = sheet(
        SHEET, connect.nearest(SHEET, 8), attention={"inhibition": DynamicsOptions()}, **SIZES
    )
    assert list(plain.graphs) == ["graph"]
    assert not any("dynamics" in name for name in plain.state_dict())
    assert "inhibits" not in plain.describe()


def test_a_sheet_is_the_same_up_to_its_first_inhibition():
    torch.manual_seed(0)
    plain = sheet(SHEET, connect.nearest(SHEET, 8), **SIZES)
    inhibited, (inputs, _) = model(threshold=0.3), images(5)
    before = plain(inputs, depth=1).state
    torch.testing.assert_close(inhibited(inputs, depth=1).state, inhibited.dynamics(before))
    state = inhibited(inputs).state
    assert 0 < state.norm(dim=2).eq(0).float().mean() < 1
    assert "and 128 which inhibits which." in inhibited.describe()


RULES = {
    "set": lambda: presets.set(steps=100, every=10),
    "rigl": lambda: presets.rigl(steps=100, every=10, samples=48, check_samples=16),
    "exact": lambda: presets.exact(steps=100, every=10, samples=48, check_samples=16),
}


@pytest.mark.parametrize("name", RULES)
def test_lateral_edges_are_rewired_and_those_of_attention_stay(name):
    inhibited, rule = model(), RULES[name]()
    before = inhibited.graphs
    inputs, labels = images(rule.num_samples)
    plasticity = Plasticity(rule, SHEET, graph="lateral")
    update = plasticity.update(inhibited, None, 10, inputs, labels, losses)
    assert inhibited.graphs["graph"] is before["graph"]
    assert inhibited.graphs["lateral"].name == "lateral"
    assert inhibited.graphs["lateral"].num_edges == len(inhibited.dynamics.lateral.weight)
    if name != "exact":
        assert len(update.rewiring.born) > 0
        assert not inhibited.graphs["lateral"].same_graph(before["lateral"])
    inhibited(inputs).prediction.sum().backward()
    again = model()
    again.load_state_dict(inhibited.state_dict())
    assert again.graphs["lateral"].same_graph(inhibited.graphs["lateral"])
    torch.testing.assert_close(again(inputs).prediction, inhibited(inputs).prediction)


def test_the_gradient_of_an_absent_edge_is_that_of_a_weight_of_zero():
    # All edges, one of them with weight zero, against the graph without it.
    complete = connect.complete(SHEET).named("lateral")
    x = torch.randn(16, 6, 4, generator=torch.Generator().manual_seed(3))
    whole = ColumnDynamics(complete, threshold=0.1, steps=1)
    with torch.no_grad():
        whole.lateral.weight[5] = 0
    whole(x).square().sum().backward()
    keep = torch.arange(complete.num_edges) != 5
    pairs = torch.stack([complete.source.long()[keep], complete.target.long()[keep]])
    part = ColumnDynamics(ColumnGraph.from_edge_index(pairs, 16), threshold=0.1, steps=1)
    with torch.no_grad():
        part.lateral.weight.copy_(whole.lateral.weight[keep])
    with recording(part) as records:
        output = part(x)
        (rate,) = torch.autograd.grad(output.square().sum(), records[0].out)
    target, source = int(complete.target[5]), int(complete.source[5])
    absent = (rate[target] * records[0].x[source]).sum()
    torch.testing.assert_close(absent, whole.lateral.weight.grad[5])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.0}, "threshold must be positive"),
        ({"threshold": float("nan")}, "threshold must be positive"),
        ({"competition": "row"}, "competition must be one of"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"dt": 2.0}, "dt must be above 0 and below 2"),
        ({"dt": 0.0}, "dt must be above 0 and below 2"),
        ({"strength": -1.0}, "strength must be 0 or more"),
    ],
)
def test_wrong_numbers(options, message):
    with pytest.raises(ValueError, match=message):
        layer(**options)
    with pytest.raises(ValueError, match=message):
        DynamicsOptions(**{"threshold": 0.5, **options})


def test_wrong_graphs_and_states():
    with pytest.raises(TypeError, match="ColumnGraph"):
        ColumnDynamics(None, threshold=0.5)
    pool = ColumnGraph.from_edge_index(torch.tensor([[2], [0]]), 2, num_sources=3)
    with pytest.raises(ValueError, match="must join columns with columns"):
        ColumnDynamics(pool, threshold=0.5)
    with pytest.raises(ValueError, match=r"inputs must be \[3, B, C\]"):
        layer()(torch.zeros(2, 1, 4))
    with pytest.raises(ValueError, match="inputs must be finite"):
        layer()(torch.full((3, 1, 4), float("nan")))
    with pytest.raises(ValueError, match="degree must be at least 1"):
        DynamicsOptions(degree=0)
    with pytest.raises(TypeError, match=r"Got 'treshold'\. Did you mean 'threshold'\?"):
        model(treshold=0.5)


@pytest.mark.parametrize("competition", ["column", "channel"])
def test_autocast_is_off_inside(competition):
    torch.manual_seed(0)
    options = {"attention": {"inhibition": {"threshold": 0.1, "competition": competition}}}
    whole = sheet(
        SHEET,
        connect.nearest(SHEET, 8),
        interface={"position_embedding": False},
        **options,
        **SIZES,
    )
    x, labels = images(4)
    with torch.autocast("cpu", torch.bfloat16):
        loss = LOSS(whole(x).prediction, labels)
    loss.backward()
    assert loss.item() == pytest.approx(LOSS(whole(x).prediction, labels).item(), rel=0.02)
    part, state = layer(competition=competition), torch.rand(3, 2, 4)
    expected = part(state)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(part(state), expected, rtol=0, atol=0)
        assert part(state.bfloat16()).dtype == torch.bfloat16


def test_winner_take_all_by_hand():
    dynamics = layer(circuit="wta", steps=2, dt=0.5, threshold=0.2, excitation=0.4, strength=0.9)
    w = torch.tensor([-1.0, -0.5, 2.0])
    with torch.no_grad():
        dynamics.lateral.weight.copy_(w)
    x = torch.tensor([[3.0, 4.0], [1.0, -1.0], [0.3, 0.3]])[:, None]
    b = torch.tensor([12.5**0.5, 1.0, 0.3])
    # Every column has one in-edge: its own coupling is 0.9 / 2.
    coupling = 0.45 * torch.eye(3)
    coupling[0, 1], coupling[1, 0], coupling[2, 0] = -w
    rate, inhibition = b, torch.zeros(3)
    for _ in range(2):
        total = b + 0.4 * rate - coupling @ inhibition - 0.2
        new = rate + 0.5 * (torch.relu(total) - rate)
        inhibition = inhibition + 0.5 * (torch.relu(coupling @ rate) - inhibition)
        rate = new
    rate = torch.relu(b + 0.4 * rate - coupling @ inhibition - 0.2)
    torch.testing.assert_close(dynamics(x)[:, 0], x[:, 0] * (rate / b)[:, None])


def test_edge_wta_with_equal_weights_is_graph_wta():
    graph = connect.within_radius(grid.sheet(1, 6), 1.0, self_loops=False)
    weights = EdgeLinear(graph).double()
    torch.nn.init.constant_(weights.weight, -(0.3**0.5))
    own = torch.full((6,), 0.3**0.5, dtype=torch.float64)
    inputs = torch.rand(6, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    ours = solve(EdgeWTA(weights, graph, own), inputs, tolerance=1e-10)
    theirs = solve(GraphWTA(graph, beta=0.3), inputs, tolerance=1e-10)
    torch.testing.assert_close(ours.output, theirs.output, rtol=0, atol=1e-9)


def test_winner_take_all_channels_keep_their_signs_and_start_at_equal_weights():
    dynamics = layer(circuit="wta", competition="channel", strength=0.6)
    torch.testing.assert_close(dynamics.lateral.weight.data, torch.full((3,), -0.3))
    x = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    after = dynamics(x)
    assert (after * x >= 0).all()
    assert 0 < (after == 0).sum() < after.numel()


def test_a_sheet_with_winner_take_all_learns_its_lateral_weights():
    trained = model(circuit="wta", degree=4)
    x, labels = images(16)
    LOSS(trained(x).prediction, labels).backward()
    assert trained.dynamics.lateral.weight.grad.abs().max() > 0
    rule = presets.rigl(steps=10, every=1, samples=48, check_samples=16)
    more, more_labels = images()
    update = Plasticity(rule, SHEET, graph="lateral").update(
        trained, None, 1, more, more_labels, losses
    )
    assert len(update.rewiring.born) > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [({"circuit": "hopfield"}, "circuit must be"), ({"excitation": 1.0}, "excitation must be in")],
)
def test_wrong_circuits(options, message):
    with pytest.raises(ValueError, match=message):
        layer(**options)
    with pytest.raises(ValueError, match=message):
        DynamicsOptions(threshold=0.1, **options)
