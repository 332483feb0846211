"""Where Counter-Hebbian learning is backpropagation, where it is not, and how far it is off."""

import pytest
import torch
from torch.nn import functional as F

from graphcolumns.learning import counter_hebb
from graphcolumns.models.bottom_up_top_down import BottomUpTopDown
from graphcolumns.nn.top_down import (
    FrozenNorm,
    Identity,
    Population,
    Projection,
    TopDownBatchNorm,
    TopDownConv2d,
    TopDownEdges,
    TopDownLinear,
    TopDownNetwork,
    WeightedTopDownLayer,
)
from graphcolumns.ops import edge_products
from tests.models.bottom_up_top_down.support.gradients import (
    LOSSES,
    angle,
    both,
    gradients,
    relative_error,
)
from tests.models.bottom_up_top_down.support.random_networks import complete, random_graph


def sparse(feedback="tied", columns=10, classes=3):
    """Image -> columns -> columns -> prediction, the middle along sparse edges."""
    torch.manual_seed(0)
    layers = [
        TopDownEdges(complete(columns, 6), feedback=feedback),
        TopDownEdges(random_graph(columns), feedback=feedback),
        TopDownEdges(complete(classes, columns), feedback=feedback),
    ]
    populations = {
        "input": Population((6, 1), "identity", columns=True),
        "one": Population((columns, 1), columns=True),
        "two": Population((columns, 1), columns=True),
        "prediction": Population((classes, 1), "identity", columns=True),
    }
    names = list(populations)
    links = [Projection(*ends) for ends in zip(names, names[1:], layers, strict=False)]
    return BottomUpTopDown(TopDownNetwork(populations, links), task=None).double()


def batch(samples=12, features=(6,), classes=3):
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(samples, *features, generator=generator, dtype=torch.float64)
    return image, torch.arange(samples) % classes


def normalised(norm, feedback="tied"):
    """A convolutional residual block with a normalisation before ReLU."""
    torch.manual_seed(0)
    shape = (4, 6, 6)
    populations = {
        "input": Population((2, 6, 6), "identity"),
        "conv": Population(shape, "identity"),
        "one": Population(shape),
        "deep": Population(shape, "identity"),
        "two": Population(shape),
        "prediction": Population(3, "identity"),
    }
    links = [
        ("input", "conv", TopDownConv2d(2, 4, 3, padding=1, feedback=feedback)),
        ("conv", "one", norm(shape, feedback=feedback)),
        ("one", "deep", TopDownConv2d(4, 4, 3, padding=1, groups=2, feedback=feedback)),
        ("deep", "two", norm(shape, feedback=feedback)),
        ("one", "two", Identity()),
        ("two", "prediction", TopDownLinear(144, 3, feedback=feedback)),
    ]
    network = TopDownNetwork(populations, [Projection(*link) for link in links])
    return BottomUpTopDown(network, task=None).double()


@pytest.mark.parametrize("loss", LOSSES)
def test_along_sparse_edges_it_is_backpropagation_of_a_masked_network(loss):
    model = sparse()
    image, labels = batch()
    found = gradients(model, counter_hebb, (image, labels), (loss,))
    weights, biases, masks = [], [], []
    for layer in model.network.layers:
        graph = layer.graph
        dense = torch.zeros(graph.num_columns, graph.num_sources, dtype=torch.float64)
        at = graph.target.long(), graph.source.long()
        weights.append(dense.index_put(at, layer.weight.detach()).requires_grad_())
        masks.append(dense.index_put(at, torch.ones(graph.num_edges, dtype=torch.float64)))
        biases.append(layer.bias.detach().clone().requires_grad_())
    h = image
    for depth, (weight, mask, bias) in enumerate(zip(weights, masks, biases, strict=True)):
        h = F.linear(h, weight * mask, bias)
        h = h.relu() if depth < 2 else h
    LOSSES[loss](h, labels).backward()
    for depth, layer in enumerate(model.network.layers):
        graph, name = layer.graph, f"network.layers.{depth}"
        spread = torch.zeros_like(masks[depth])
        spread[graph.target.long(), graph.source.long()] = found[f"{name}.weight"]
        torch.testing.assert_close(spread, weights[depth].grad, rtol=1e-12, atol=1e-15)
        assert not weights[depth].grad[masks[depth] == 0].any()
        torch.testing.assert_close(
            found[f"{name}.bias"], biases[depth].grad, rtol=1e-12, atol=1e-15
        )
    assert int((masks[1] == 0).sum()) > 50


def test_products_on_pairs_that_are_no_edges_are_the_dense_gradient():
    model = sparse()
    image, labels = batch()
    neurons = model.neurons(image)
    y = neurons["prediction"].detach().requires_grad_()
    F.cross_entropy(y[:, :, 0].T, labels).backward()
    counters = model.network.top_down({"prediction": y.grad}, neurons)
    dense = edge_products(neurons["one"], counters["two"], complete(10, 10)).reshape(10, 10)
    middle = model.network.layers[1]
    weight = torch.zeros(10, 10, dtype=torch.float64)
    weight[middle.graph.target.long(), middle.graph.source.long()] = middle.weight.detach()
    weight.requires_grad_()
    two = (neurons["one"][:, :, 0].T @ weight.T + middle.bias).relu()
    out = model.network.layers[2](two.T[:, :, None])[:, :, 0].T
    F.cross_entropy(out, labels).backward()
    torch.testing.assert_close(dense, weight.grad, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("loss", LOSSES)
def test_fixed_statistics_are_exact_in_training(loss):
    model = normalised(FrozenNorm)
    images, labels = batch(features=(2, 6, 6))
    for _ in range(2):
        expected, found = both(model, (images, labels), (loss,))
        assert relative_error(expected, found) < 1e-12
        for layer in model.network.layers:
            getattr(layer, "after_step", lambda: None)()


@pytest.mark.parametrize("statistics", ["bottom_up", "own"])
def test_batch_statistics_are_not_exact_in_training(statistics):
    model = normalised(
        lambda shape, feedback: TopDownBatchNorm(
            shape, feedback=feedback, top_down_statistics=statistics
        )
    )
    data = batch(features=(2, 6, 6))
    expected, found = both(model, data)
    angles = {name: angle(expected[name], found[name]) for name in expected}
    # At and behind the last norm nothing is lost; in front of it the angle grows with depth.
    above = [f"network.layers.{at}.weight" for at in (3, 5)]
    assert max(angles[name] for name in above) < 1e-5
    deep, first = angles["network.layers.2.weight"], angles["network.layers.0.weight"]
    assert 1 < deep < 90
    assert 1 < first < 90
    model.eval()
    expected, found = both(model, data)
    assert (relative_error(expected, found) < 1e-12) == (statistics == "bottom_up")


def own_weights(model):
    return [
        (layer.weight, layer.top_down_weight)
        for layer in model.network.layers
        if isinstance(layer, WeightedTopDownLayer) and layer.top_down_weight is not None
    ]


def distances(model):
    """How far top-down weights are from the bottom-up weights, by layer."""
    with torch.no_grad():
        return torch.stack([(w - down).norm() for w, down in own_weights(model)])


def train(model, optimizer, steps):
    for _ in range(steps):
        gradients(model, counter_hebb, batch())
        optimizer.step()


OPTIMIZERS = {
    "SGD": lambda p, decay: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=decay),
    "Adam": lambda p, decay: torch.optim.Adam(p, lr=1e-2, weight_decay=decay),
    "AdamW": lambda p, decay: torch.optim.AdamW(p, lr=1e-2, weight_decay=decay),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_copied_weights_stay_equal(optimizer):
    model = sparse("copied")
    before = [w.detach().clone() for w, _ in own_weights(model)]
    train(model, OPTIMIZERS[optimizer](model.parameters(), 1e-2), 10)
    assert len(own_weights(model)) == 3
    for (weight, down), start in zip(own_weights(model), before, strict=True):
        assert torch.equal(weight, down)
        assert not torch.equal(weight, start)
    expected, found = both(model, batch())
    found = {name: found[name] for name in expected}
    assert relative_error(expected, found) < 1e-12


def test_independent_weights_are_not_exact_until_decay_has_aligned_them():
    rate, decay, steps = 0.1, 0.2, 60
    model = sparse("independent")
    start = distances(model)

    def angles():
        expected, found = both(model, batch())
        return [angle(expected[n], found[n]) for n in expected if n.endswith("0.weight")]

    (first,) = angles()
    assert first > 10
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, weight_decay=decay)
    train(model, optimizer, steps)
    # The same product is added to both, so that only decay acts on the difference.
    shrunk = (1 - rate * decay) ** steps
    torch.testing.assert_close(distances(model), shrunk * start, rtol=1e-10, atol=0)
    (last,) = angles()
    assert last < first / 2


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_without_decay_independent_weights_stay_as_far_apart(optimizer):
    model = sparse("independent")
    start = distances(model)
    weights = [weight.detach().clone() for weight, _ in own_weights(model)]
    train(model, OPTIMIZERS[optimizer](model.parameters(), 0.0), 20)
    torch.testing.assert_close(distances(model), start, rtol=1e-10, atol=0)
    moved = [(w - b).norm() for (w, _), b in zip(own_weights(model), weights, strict=True)]
    assert min(moved) > 1e-2


def test_a_prediction_with_gates_sends_no_error_where_it_is_silent():
    torch.manual_seed(0)
    populations = {
        "input": Population((6, 1), "identity", columns=True),
        "one": Population((10, 1), columns=True),
        "prediction": Population((3, 1), columns=True),
    }
    layers = [TopDownEdges(complete(10, 6)), TopDownEdges(complete(3, 10))]
    names = list(populations)
    links = [Projection(*ends) for ends in zip(names, names[1:], layers, strict=False)]
    model = BottomUpTopDown(TopDownNetwork(populations, links), task=None).double()
    predicted = model(batch()[0]).prediction
    assert 0 < float((predicted == 0).double().mean()) < 1
    expected, found = both(model, batch())
    assert relative_error(expected, found) < 1e-12
