"""Builders of instructed networks: what an instruction does, what a task costs, bad input."""

import pytest
import torch
from torch.amp import GradScaler
from torch.nn import functional as F

from geometries import grid
from graphcolumns.connect import complete_between, field_edges, nearest
from graphcolumns.data import two_digits
from graphcolumns.learning import backprop, counter_hebb
from graphcolumns.models.bottom_up_top_down import (
    BottomUpTopDown,
    layered_top_down,
    residual_top_down,
    simple_net,
    task_memory,
    top_down_sheet,
)
from graphcolumns.nn.top_down import (
    Identity,
    Population,
    Projection,
    Reshape,
    TopDownEdges,
    TopDownLinear,
    TopDownNetwork,
)
from graphcolumns.training import train

ROLES = ("gates", "gates_and_heads", "input", "heads", "separate", "none")
TERMS = {"task": (1.0, lambda model, output, y: F.cross_entropy(output.prediction, y))}


def layers(role="gates", **options):
    torch.manual_seed(0)
    return layered_top_down([12, 16, 8, 5], num_instructions=3, instruction=role, **options)


def sheet(role="gates", **options):
    torch.manual_seed(0)
    places = grid.sheet(4, 5)
    options = {"image_size": (4, 5), "geometry": places, "field": 3, "steps": 2} | options
    return top_down_sheet(nearest(places, 5), 5, 3, instruction=role, **options)


def wide_sheet(role="gates", **options):
    return sheet(role, channels=3, **options)


def attentive_sheet(role="gates"):
    sweeps = 2 if role.startswith("gates") else 1
    return sheet(role, channels=3, layer="attention", sweeps=sweeps)


def simple(role="gates", **options):
    torch.manual_seed(0)
    options = {"image_size": 18, "channels": 4, "hidden": 6} | options
    return simple_net(5, 3, instruction=role, **options)


def residual(role="gates"):
    torch.manual_seed(0)
    return residual_top_down(
        5, 3, image_size=(6, 5), channels=(2, 2, 4), hidden=6, instruction=role
    )


def batch(model, samples=9):
    generator = torch.Generator().manual_seed(1)
    shape = model.network.populations[model.input].sizes
    image = torch.randn(samples, *shape, generator=generator, dtype=torch.float64)
    given = {"image": image, "instruction": torch.arange(samples) % 3}
    return given, torch.arange(samples) % 5


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("build", [layers, sheet, wide_sheet, attentive_sheet, simple, residual])
def test_counter_hebbian_learning_is_backpropagation_whatever_the_instruction_does(build, role):
    model, found = build(role).double(), []
    for rule in (backprop, counter_hebb):
        model.zero_grad()
        rule(model, batch(model), TERMS, scaler=GradScaler(enabled=False))
        found.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    assert found[0]
    for name in found[0]:
        torch.testing.assert_close(found[1][name], found[0][name], rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("role", ROLES)
def test_an_instruction_changes_the_answer_unless_it_is_not_seen(role):
    model = layers(role).double()
    inputs, _ = batch(model)
    other = inputs | {"instruction": (inputs["instruction"] + 1) % 3}
    same = torch.equal(model(inputs).prediction, model(other).prediction)
    assert same == (role == "none")
    assert (model.gates(inputs) is None) == ("gates" not in role)


@pytest.mark.parametrize("build", [layers, sheet, simple])
def test_top_down_biases_are_those_of_gates(build):
    def count(role, **options):
        return sum(p.numel() for p in build(role, **options).parameters())

    assert count("gates", top_down_bias=True) > count("gates")
    for role in ("input", "heads", "separate", "none"):
        assert count(role, top_down_bias=True) == count(role)


def test_separate_networks_share_no_parameter():
    model = layers("separate").double()
    inputs, targets = batch(model)
    of_first = inputs["instruction"] == 0
    model.zero_grad()
    prediction = model(inputs).prediction
    F.cross_entropy(prediction[of_first], targets[of_first]).backward()
    layer_of = {p.target: p.layer for p in model.network.projections if "hidden" in p.target}
    assert layer_of["task0/hidden1"].weight.grad.any()
    assert not layer_of["task1/hidden1"].weight.grad.any()
    # The edges to the heads: a network has edges to its own head alone.
    heads = [p.layer.graph for p in model.network.projections if p.target == "prediction"]
    assert [graph.target.unique().tolist() for graph in heads] == [
        list(range(start, start + 5)) for start in (0, 5, 10)
    ]


def test_a_head_per_task_is_a_slice_of_the_prediction():
    model = layers("heads").double()
    inputs, _ = batch(model)
    neurons = model.neurons(inputs)["prediction"][..., 0].T.reshape(9, 3, 5)
    expected = torch.stack([neurons[at, at % 3] for at in range(9)])
    assert torch.equal(model(inputs).prediction, expected)
    both = layers("gates_and_heads")
    assert both.heads == 3
    assert both.task == "task"


def test_parameters_of_a_task():
    # 12 x 16 + 16, 16 x 8 + 8, 8 x 5 + 5 are shared; each task has 8 weights to the last layer.
    assert task_memory(layers())[:2] == (208 + 136 + 45 + 24, 8)
    assert task_memory(layers("input"))[:2] == (208 + 136 + 45 + 48, 16)
    assert task_memory(layers("heads"))[:2] == (208 + 136 + 3 * 45, 45)
    # Every separate network has biases of all heads, of which it uses those of its own.
    assert task_memory(layers("separate")).per_task == 208 + 136 + 40 + 15
    assert task_memory(layers(task_embedding=7))[:2] == (389 + 56 + 21, 7)
    assert task_memory(layers().double()).per_task_bytes == 64
    assert "8 parameters (32 bytes) belong to each of 3 tasks, 389 to all" in layers().describe()


def test_the_graph_of_the_sheet_comes_first_and_its_last_step_is_the_state():
    model = sheet(task_embedding=6)
    assert model.graph.num_columns == model.graph.num_sources == 20
    inputs, _ = batch(model.double())
    neurons = model.neurons(inputs)
    assert torch.equal(model(inputs).state, neurons["step2"])


def test_steps_of_a_wide_sheet_by_hand():
    model = wide_sheet(steps=1).double()
    inputs, _ = batch(model)
    neurons, gates = model.neurons(inputs), model.gates(inputs)
    layer = {p.target: p.layer for p in model.network.projections if p.source != "step0"}
    edges = next(p.layer for p in model.network.projections if p.target == "step0_edges")
    h, graph = neurons["step0"], model.graph
    summed = torch.zeros_like(h)
    for at, (source, target) in enumerate(graph.edge_index.T.tolist()):
        summed[target] += edges.weight[at] * h[source]
    mix = layer["step1"]
    z = h + torch.bmm(summed, mix.weight) + mix.bias[:, None]
    torch.testing.assert_close(neurons["step1"], z.relu() * gates["step1"])


def test_pixels_reach_all_channels_of_the_columns_that_see_them():
    model = wide_sheet().double()
    graph = next(p.layer.graph for p in model.network.projections if p.source == "image")
    seen = field_edges(grid.sheet(4, 5), (4, 5), 1, 3)
    for column in (0, 7, 19):
        for channel in range(3):
            found = graph.source[graph.target == 3 * column + channel]
            assert found.tolist() == seen.source[seen.target == column].tolist()


def test_the_network_of_the_source():
    torch.manual_seed(0)
    model = simple_net(10, 2, image_size=28)
    assert sum(p.numel() for p in model.parameters()) == 44_504
    # The source also counts biases of the layers to the embedding and to the task.
    assert 44_504 + 50 + 2 == 44_556
    inputs = {"image": torch.zeros(2, 1, 28, 28), "instruction": torch.tensor([0, 1])}
    gates = model.gates(inputs)
    # What was measured with the code of the source: 0.20, 0.42, 0.25, 0.54, 0.56.
    for name, share in (("conv1", 0.2), ("down1", 0.42), ("conv2", 0.25), ("down2", 0.54)):
        assert abs(gates[name].mean() - share) < 0.12
    with pytest.raises(ValueError, match="large enough for all convolutions"):
        simple_net(10, 2, image_size=(10, 12))


def test_sparse_layers_and_sizes_from_the_data():
    graph = nearest(grid.sheet(4, 4), 3)
    model = layered_top_down([12, 16, 16, 5], num_instructions=2, graphs={"hidden2": graph})
    assert model.graphs["hidden2"].num_edges == graph.num_edges
    with pytest.raises(ValueError, match=r"Expected some of 'hidden1', 'hidden2'. Got 'hidden3'"):
        layered_top_down([12, 16, 16, 5], num_instructions=2, graphs={"hidden3": graph})
    with pytest.raises(ValueError, match="three or more"):
        layered_top_down([12, 5], num_instructions=2)


def test_a_reshaped_connection_keeps_the_order_of_values_in_both_directions():
    image, columns = Population((2, 3, 4)), Population((6, 4), columns=True)
    layer, x = Reshape(image, columns), torch.randn(5, 2, 3, 4)
    out = layer(x)
    assert torch.equal(out[:, 3].flatten(), x[3].flatten())
    assert torch.equal(layer.top_down(out, x.shape), x)
    with pytest.raises(ValueError, match=r"Got 24 of .* and 20 of"):
        Reshape(image, Population(20))


@pytest.mark.parametrize("role", ["input", "heads", "separate", "none"])
def test_several_sweeps_need_gates(role):
    with pytest.raises(ValueError, match="several sweeps are of networks with gates"):
        layers(role, sweeps=2)


def test_an_empty_sub_network_is_named():
    model = layers().double()
    inputs, _ = batch(model)
    task = next(p.layer for p in model.network.projections if p.target == "task")
    with torch.no_grad():
        task.weight.view(3, 8)[1] = -1.0
    expected = r"sub-network of the instruction 1 is empty: all gates of 'hidden1' are closed"
    with pytest.warns(RuntimeWarning, match=expected):
        prediction = model(inputs).prediction
    assert torch.equal(prediction[1], prediction[4])
    assert not torch.equal(prediction[0], prediction[3])


def test_an_empty_sub_network_is_an_error_before_training(tmp_path):
    data = two_digits(train_count=300, test_count=10)
    model = layered_top_down([120, 8, 10], num_instructions=2)
    task = next(p.layer for p in model.network.projections if p.target == "task")
    with torch.no_grad():
        task.weight.view(2, 8)[1] = -1.0
    with pytest.raises(ValueError, match="sub-network of the instruction 1 is empty"):
        train(model, data, run=tmp_path / "run", steps=1, progress=False)
    assert not (tmp_path / "run").exists()


def test_a_closed_population_with_a_way_around_it_is_no_empty_sub_network():
    torch.manual_seed(0)
    sizes = {"image": 4, "branch": 3, "sum": 4, "prediction": 2, "task": 1}
    kinds = {"branch": "relu", "sum": "relu"}
    populations = {
        name: Population((size, 1), kinds.get(name, "identity"), columns=True)
        for name, size in sizes.items()
    }
    up = TopDownEdges(complete_between(4, 3))
    projections = [
        Projection("image", "branch", TopDownEdges(complete_between(3, 4))),
        Projection("branch", "sum", up),
        Projection("image", "sum", Identity()),
        Projection("sum", "prediction", TopDownEdges(complete_between(2, 4))),
        Projection("sum", "task", TopDownEdges(complete_between(1, 4))),
    ]
    with torch.no_grad():
        up.weight.fill_(-1)
        projections[-1].layer.weight.fill_(1)
    model = BottomUpTopDown(TopDownNetwork(populations, projections))
    gates = model.gates({"image": torch.ones(1, 4), "instruction": torch.tensor([0])})
    assert not gates["branch"].any()


@pytest.mark.parametrize("feedback", ["sign", "sign_fixed", "sign_redrawn", "independent"])
def test_blocks_start_small_in_both_directions(feedback):
    torch.manual_seed(0)
    model = residual_top_down(5, 3, image_size=(6, 5), channels=(8, 8), hidden=6, feedback=feedback)
    layer = next(p.layer for p in model.network.projections if p.target == "block1")
    layer.redraw_magnitudes()
    sizes = [w.detach().square().mean().sqrt() for w in (layer.weight, layer.feedback_weight)]
    assert float(sizes[1] / sizes[0]) == pytest.approx(1, abs=0.15)


def test_a_network_without_edges_says_so():
    populations = {"image": Population(4, "identity"), "prediction": Population(2, "identity")}
    links = [Projection("image", "prediction", TopDownLinear(4, 2))]
    model = BottomUpTopDown(TopDownNetwork(populations, links), task=None)
    with pytest.raises(ValueError, match=r"have a graph of columns\. Got layers without edges"):
        assert model.graph


def test_options_that_do_not_go_together():
    with pytest.raises(ValueError, match="'gates' needs a number of instructions"):
        layered_top_down([4, 3, 2])
    with pytest.raises(ValueError, match="is of networks with gates"):
        layers("input", task_embedding=5)
    with pytest.raises(ValueError, match="instruction must be one of"):
        layers("gate")
    with pytest.raises(ValueError, match="sweeps must be at least 1"):
        layers(sweeps=0)
    with pytest.raises(ValueError, match="field=3 needs the places of columns"):
        sheet(geometry=None)
    network = layers().network
    for roles in ({"task": "prediction"}, {"task": "image"}, {"prediction": "image"}):
        with pytest.raises(ValueError, match="must be different populations"):
            BottomUpTopDown(network, **roles)
    with pytest.raises(ValueError, match="Got 2 of 5 values"):
        BottomUpTopDown(network, task=None, heads=2)
    with pytest.raises(ValueError, match="Got 3 of task, 5 of heads"):
        BottomUpTopDown(network, heads=5)


def test_heads_take_instructions_of_one_task():
    model = layers("heads").double()
    inputs, _ = batch(model)
    mixed = torch.tensor([[1.0, 1.0, 0.0]]).expand(9, 3)
    with pytest.raises(ValueError, match="must be of one task where it selects a head"):
        model(inputs | {"instruction": mixed})
    with pytest.raises(ValueError, match=r"id of a task, 0 to 2. Got 0 to 8"):
        model(inputs | {"instruction": torch.arange(9)})


def test_two_sweeps_close_what_the_image_does_not_excite():
    one, two = layers().double(), layers(sweeps=2).double()
    inputs, _ = batch(one)
    first, second = one.neurons(inputs), two.neurons(inputs)
    silent = first["hidden2"] == 0
    assert not second["hidden2"][silent].any()
