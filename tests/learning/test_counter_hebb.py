"""What top-down weights learn, by hand and against the definition, and what the rule refuses."""

from functools import partial

import pytest
import torch
from torch.amp import GradScaler
from torch.nn import functional as F

from graphcolumns import ColumnGraph
from graphcolumns.learning import backprop, counter_hebb, layer_angles
from graphcolumns.learning.top_down_updates import mirror_weights
from graphcolumns.models.bottom_up_top_down import BottomUpTopDown
from graphcolumns.nn.top_down import (
    DirectFeedback,
    FrozenNorm,
    Identity,
    Population,
    Projection,
    TopDownConv2d,
    TopDownEdges,
    TopDownLinear,
    TopDownNetwork,
    TopDownUntied,
)
from graphcolumns.training.optim import groups, parameters_without_decay

SCALER = GradScaler(enabled=False)
TERMS = {"task": (1.0, lambda model, output, y: F.cross_entropy(output.prediction, y))}


def complete(columns, sources):
    pairs = torch.cartesian_prod(torch.arange(columns), torch.arange(sources)).T
    return ColumnGraph.from_edge_index(pairs.flip(0), columns, num_sources=sources)


def build(feedback="tied", dtype=torch.float64, **options):
    """Two hidden populations and a sum without gates between them and the prediction."""
    torch.manual_seed(0)
    layer = partial(TopDownEdges, feedback=feedback, **options)
    populations = {
        "input": Population((6, 1), "identity", columns=True),
        "one": Population((12, 1), columns=True),
        "two": Population((8, 1), columns=True),
        "sum": Population((8, 1), "identity", columns=True),
        "prediction": Population((4, 1), "identity", columns=True),
    }
    projections = [
        Projection("input", "one", layer(complete(12, 6))),
        Projection("one", "sum", layer(complete(8, 12))),
        Projection("sum", "two", Identity()),
        Projection("two", "prediction", layer(complete(4, 8))),
    ]
    network = TopDownNetwork(populations, projections)
    return BottomUpTopDown(network, task=None).to(dtype)


def batch(samples=9):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(samples, 6, generator=generator).double(), torch.arange(samples) % 4


def learned(model, terms=TERMS, **options):
    model.zero_grad()
    counter_hebb(model, batch(), terms, scaler=SCALER, **options)
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def pairs(found):
    ends = [name for name in found if name.endswith("top_down_weight")]
    return [(found[name], found[name.replace("top_down_weight", "weight")]) for name in ends]


def test_one_factor_per_update_or_one_per_weight():
    found = pairs(learned(build("independent"), noise=0.1))
    assert len(found) == 3
    factors = []
    for own, other in found:
        ratio = own[other != 0] / other[other != 0]
        torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio), rtol=1e-12, atol=0)
        factors.append(float(ratio[0]))
    assert len(set(factors)) == 3
    assert 1 not in factors
    own, other = pairs(learned(build("independent"), noise=0.1, noise_per="weight"))[0]
    ratio = own[other != 0] / other[other != 0]
    assert float((ratio - 1).std()) == pytest.approx(0.1, rel=0.4)
    assert float(ratio.mean()) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("make", ["decay", "sgd", "adamw"])
def test_the_difference_of_mirrored_weights_shrinks_by_the_decay(make):
    model = build("independent")
    rate, decay, steps = 0.1, 0.05, 7
    optimizer = {
        "decay": torch.optim.SGD(model.parameters(), rate),
        "sgd": torch.optim.SGD(model.parameters(), rate, weight_decay=decay),
        "adamw": torch.optim.AdamW(model.parameters(), rate, weight_decay=decay),
    }[make]
    layers = [p.layer for p in model.network.projections if not isinstance(p.layer, Identity)]
    before = [layer.weight.detach() - layer.top_down_weight.detach() for layer in layers]
    for _ in range(steps):
        optimizer.zero_grad()
        options = {"decay": decay} if make == "decay" else {}
        counter_hebb(model, batch(), TERMS, scaler=SCALER, **options)
        optimizer.step()
    for difference, layer in zip(before, layers, strict=True):
        expected = difference * (1 - rate * decay) ** steps
        torch.testing.assert_close(layer.weight - layer.top_down_weight, expected)


def test_a_weight_that_layers_share_decays_once():
    model = build()
    first = model.network.layers[0]
    second = TopDownEdges(first.graph.named("again"), bias=False)
    second.weight = first.weight
    populations = {**model.network.populations, "aside": Population((12, 1), columns=True)}
    links = [*model.network.projections, Projection("input", "aside", second)]
    links.append(Projection("aside", "one", Identity()))
    model = BottomUpTopDown(TopDownNetwork(populations, links), task=None).double()
    plain, found = learned(model), learned(model, decay=0.5)
    name = "network.layers.0.weight"
    torch.testing.assert_close(found[name] - plain[name], 0.5 * first.weight.detach())


def test_weights_of_edges_decay_in_the_training_loop():
    model = build("independent")
    decaying, others = groups(model, weight_decay=0.05)
    names = {id(p): name.split(".")[-1] for name, p in model.named_parameters()}
    assert {names[id(p)] for p in decaying["params"]} == {"weight", "top_down_weight"}
    assert {names[id(p)] for p in others["params"]} == {"bias"}


def test_fixed_weights_learn_nothing_and_do_not_decay():
    model = build("independent")
    found = learned(model, top_down="fixed", decay=0.5)
    assert not pairs(found)
    plain = learned(model, top_down="fixed")
    weight = model.network.projections[0].layer.weight
    name = "network.layers.0.weight"
    torch.testing.assert_close(found[name], plain[name] + 0.5 * weight.detach())


@pytest.mark.parametrize("rule", ["mirrored", "weight_mirror"])
def test_frozen_top_down_weights_learn_nothing(rule):
    model = build("independent")
    frozen = model.network.layers[0].top_down_weight.requires_grad_(False)
    found = learned(model, top_down=rule, decay=0.5)
    assert frozen.grad is None
    assert "network.layers.0.weight" in found
    assert len(pairs(found)) == 2


def test_a_weight_mirror_learns_the_correlation_of_its_noise():
    model = build("independent")
    torch.manual_seed(3)
    found = learned(model, top_down="weight_mirror", mirror_rate=2.0, mirror_decay=0.5)
    torch.manual_seed(3)
    for projection in model.network.projections:
        layer = projection.layer
        if isinstance(layer, Identity):
            continue
        graph = layer.graph
        noise = torch.randn(graph.num_sources, 9, 1, dtype=torch.float64)
        dense = torch.zeros(graph.num_columns, graph.num_sources, dtype=torch.float64)
        dense[graph.target, graph.source] = layer.weight.detach()
        response = dense @ noise[..., 0]
        correlation = (response @ noise[..., 0].T / 9)[graph.target, graph.source]
        name = next(n for n, p in model.named_parameters() if p is layer.top_down_weight)
        expected = 0.5 * layer.top_down_weight.detach() - 2.0 * correlation
        torch.testing.assert_close(found[name], expected)


def test_a_weight_mirror_comes_to_rest_at_the_weights():
    torch.manual_seed(0)
    layer = TopDownLinear(5, 4, feedback="independent").double()
    ends = {"below": Population(5, "identity"), "above": Population(4, "identity")}
    network = TopDownNetwork(ends, [Projection("below", "above", layer)])
    for _ in range(150):
        mirror_weights(network, samples=200, rate=1.0, decay=2.0)
        with torch.no_grad():
            layer.top_down_weight -= 0.1 * layer.top_down_weight.grad
    torch.testing.assert_close(layer.top_down_weight, layer.weight / 2, rtol=0, atol=0.1)
    assert float((layer.top_down_weight - layer.weight).detach().abs().max()) > 0.2


SHARED = [
    (TopDownConv2d(2, 3, 3, stride=2, feedback="independent"), (2, 7, 7), (3, 3, 3), False),
    (TopDownUntied(4, 3, 2, feedback="independent"), (4, 3), (4, 2), True),
    (TopDownEdges(complete(3, 4), feedback="independent", heads=2), (4, 6), (3, 6), True),
]


@pytest.mark.parametrize(("layer", "below", "above", "columns"), SHARED, ids=lambda c: type(c))
def test_pairs_that_share_a_weight_are_averaged(layer, below, above, columns):
    torch.manual_seed(0)
    ends = {
        "below": Population(below, "identity", columns=columns),
        "above": Population(above, "identity", columns=columns),
    }
    network = TopDownNetwork(ends, [Projection("below", "above", layer)])
    mirror_weights(network, samples=4000, rate=1.0, decay=0.0)
    error = layer.top_down_weight.grad + layer.weight.detach()
    assert float(error.abs().max()) < 0.2 * float(layer.weight.detach().abs().max())


def test_gains_of_norms_get_the_same_updates_and_do_not_decay():
    torch.manual_seed(0)
    norm = FrozenNorm(12, feedback="independent")
    network = TopDownNetwork(
        {
            "input": Population(6, "identity"),
            "sum": Population(12, "identity"),
            "one": Population(12),
            "prediction": Population(4, "identity"),
        },
        [
            Projection("input", "sum", TopDownLinear(6, 12, feedback="independent")),
            Projection("sum", "one", norm),
            Projection("one", "prediction", TopDownLinear(12, 4, feedback="independent")),
        ],
    )
    model = BottomUpTopDown(network, task=None).double()
    plain = learned(model)["network.layers.1.weight"]
    found = learned(model, top_down="weight_mirror", decay=0.5)
    torch.testing.assert_close(found["network.layers.1.weight"], plain)
    torch.testing.assert_close(found["network.layers.1.top_down_weight"], plain)
    assert parameters_without_decay(model) >= {norm.weight, norm.top_down_weight}


def test_direct_feedback_by_hand():
    model = build("direct")
    found = learned(model, top_down="direct")
    x, y = batch()
    neurons = model.neurons(x)
    prediction = neurons["prediction"][..., 0].T.detach()
    error = (prediction.softmax(1) - F.one_hot(y, 4)) / len(y)
    one, two = (neurons[name][..., 0].T.detach() for name in ("one", "two"))
    direct = model.direct_feedback
    assert direct.populations == ("one", "two")
    counter_one = (error @ direct.matrix0) * (one > 0)
    counter_two = (error @ direct.matrix1) * (two > 0)
    by_hand = {0: counter_one.T @ x, 1: counter_two.T @ one, 3: error.T @ two}
    for place, expected in by_hand.items():
        graph = model.network.layers[place].graph
        torch.testing.assert_close(
            found[f"network.layers.{place}.weight"], expected[graph.target, graph.source]
        )


def test_random_matrices_are_part_of_the_state():
    model = build("direct")
    names = [name for name in model.state_dict() if name.startswith("direct_feedback")]
    assert names == ["direct_feedback.matrix0", "direct_feedback.matrix1"]
    assert not [name for name, _ in model.named_parameters() if name.startswith("direct")]
    other = build("direct")
    torch.manual_seed(5)
    other.direct_feedback = DirectFeedback(other.network)
    other.double().load_state_dict(model.state_dict())
    assert torch.equal(other.direct_feedback.matrix1, model.direct_feedback.matrix1)
    units = Population(1000)
    wide = TopDownNetwork(
        {"input": Population(3, "identity"), "wide": units, "top": Population(40, "identity")},
        [
            Projection("input", "wide", TopDownLinear(3, 1000)),
            Projection("wide", "top", TopDownLinear(1000, 40)),
        ],
    )
    assert float(DirectFeedback(wide, "top").matrix0.var()) == pytest.approx(2 / 1000, rel=0.1)


def test_magnitudes_are_redrawn_per_batch_or_kept():
    fixed, redrawn = build("sign_fixed"), build("sign_redrawn")
    for model, changes in ((fixed, False), (redrawn, True)):
        layer = model.network.layers[1]
        before = layer.top_down_magnitude.clone()
        learned(model)
        assert torch.equal(layer.feedback_weight.sign(), layer.weight.sign())
        assert torch.equal(before, layer.top_down_magnitude) != changes
        assert "network.layers.1.top_down_magnitude" in model.state_dict()
        spread = layer.top_down_magnitude.square().mean()
        assert float(spread) == pytest.approx(2 / 12, rel=0.6)


def test_angles_are_zero_with_tied_weights_and_right_with_others():
    tied = layer_angles(build(), batch(), TERMS)
    assert list(tied) == ["input -> one", "one -> sum", "two -> prediction"]
    assert all(pair.gradient < 1e-6 and pair.weights == 0 for pair in tied.values())
    model = build("independent")
    state = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.get_rng_state()
    found = layer_angles(model, batch(), TERMS, partial(counter_hebb, top_down="weight_mirror"))
    assert torch.equal(generator, torch.get_rng_state())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert found["two -> prediction"].gradient < 1e-6
    mine = learned(model)["network.layers.0.weight"]
    model.zero_grad()
    backprop(model, batch(), TERMS, scaler=SCALER)
    cosine = torch.cosine_similarity(mine, model.network.layers[0].weight.grad, dim=0)
    expected = float(torch.rad2deg(torch.acos(cosine)))
    assert found["input -> one"].gradient == pytest.approx(expected, rel=1e-9)
    assert 20 < found["input -> one"].gradient < 160
    assert 60 < found["input -> one"].weights < 120


def test_angles_leave_magnitudes_as_they_are():
    model = build("sign_redrawn")
    before = model.network.layers[0].top_down_magnitude.clone()
    found = layer_angles(model, batch(), TERMS)
    assert torch.equal(model.network.layers[0].top_down_magnitude, before)
    assert 0 < found["input -> one"].weights < 90


def test_angles_leave_statistics_as_they_are():
    torch.manual_seed(0)
    network = TopDownNetwork(
        {"input": Population(6), "one": Population(6), "prediction": Population(4, "identity")},
        [
            Projection("input", "one", FrozenNorm(6, momentum=1.0)),
            Projection("one", "prediction", TopDownLinear(6, 4)),
        ],
    )
    model = BottomUpTopDown(network, task=None).double().train()
    assert layer_angles(model, batch(), TERMS)["input -> one"].gradient < 1e-6
    network.layers[0].after_step()
    assert torch.equal(network.layers[0].mean, torch.zeros(6, dtype=torch.float64))


def test_direct_feedback_is_not_taken_for_tied_weights():
    with pytest.raises(ValueError, match=r"pass no error on. Expected .* Got 'mirrored'"):
        learned(build("direct"))


WRONG = [
    ({"top_down": "mirror"}, "top_down must be one of"),
    ({"noise_per": "layer"}, "noise_per must be one of"),
    ({"noise": -0.1}, "noise must be 0 or more"),
    ({"decay": float("nan")}, "decay must be 0 or more"),
    ({"noise": 0.1, "top_down": "fixed"}, "noise on mirrored updates"),
    ({"mirror_decay": 0.5}, "those of a weight mirror"),
    ({"top_down": "weight_mirror", "mirror_samples": 0}, "mirror_samples must be at least 1"),
    ({"top_down": "weight_mirror", "mirror_rate": -1.0}, "mirror_rate must be 0 or more"),
    ({"amp": "bfloat16"}, "not run in half precision"),
    ({"top_down": "direct"}, r"model\.direct_feedback\. Got NoneType"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_options_that_do_not_go_together(options, message):
    with pytest.raises(ValueError, match=message):
        learned(build("independent"), **options)


@pytest.mark.parametrize("feedback", ["tied", "sign", "sign_redrawn"])
@pytest.mark.parametrize(
    "options", [{"top_down": "fixed"}, {"top_down": "weight_mirror"}, {"noise": 0.1}]
)
def test_weights_that_are_not_there_cannot_learn(feedback, options):
    with pytest.raises(ValueError, match=rf"weights of their own. Got .*'{feedback}'"):
        learned(build(feedback), **options)


STRAYS = {
    "state": lambda model, output, y: output.state.abs().mean(),
    "both": lambda model, output, y: output.state.mean() * output.prediction.mean(),
    "size": lambda model, output, y: model.network.layers[0].weight.square().sum(),
    "again": lambda model, output, y: model(batch()[0]).prediction.mean(),
}


@pytest.mark.parametrize("name", STRAYS)
def test_a_term_of_more_than_the_prediction_is_named(name):
    terms = {**TERMS, name: (0.1, STRAYS[name])}
    with pytest.raises(ValueError, match=f"Got '{name}', which depends on"):
        learned(build(), terms)
    assert learned(build(), {**TERMS, name: (0.0, STRAYS[name])}).keys() == learned(build()).keys()


def test_a_term_of_the_prediction_is_learned():
    terms = {**TERMS, "small": (0.3, lambda model, output, y: output.prediction.square().mean())}
    model = build()
    found = learned(model, terms)
    model.zero_grad()
    backprop(model, batch(), terms, scaler=SCALER)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad)


def test_other_models_are_refused():
    with pytest.raises(TypeError, match=r"network that has a top-down pass\. Got Linear"):
        counter_hebb(torch.nn.Linear(2, 2), batch(), TERMS, scaler=SCALER)
