"""Alignment of representations, probes on other columns, and directions of edges."""

import math

import pytest
import torch
from sklearn.linear_model import RidgeClassifier

from graphcolumns import ColumnGraph
from graphcolumns.analysis.function import (
    ModelStates,
    cka_matrix,
    decoding_accuracy,
    edge_directions,
    length_contrast,
    linear_cka,
    probe_transfer,
    weight_contrast,
)
from graphcolumns.analysis.function.decoding import ridge_probes, sample_parts
from tests.analysis.function.support.chains import chain_graph


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("unbiased", [False, True])
def test_alignment_of_a_rotated_and_scaled_copy_is_1(unbiased):
    x = gaussian(30, 6)
    rotation = torch.linalg.qr(gaussian(6, 6, seed=1)).Q
    assert linear_cka(x, 3 * x @ rotation + 5, unbiased=unbiased) == pytest.approx(1, abs=1e-12)


def test_alignment_of_independent_gaussians_has_the_known_bias():
    """For P and Q features and m = S - 1: sqrt(P Q / ((m + P + 1) (m + Q + 1)))."""
    pairs = [(gaussian(40, 10, seed=s), gaussian(40, 20, seed=1000 + s)) for s in range(60)]
    biased = torch.tensor([linear_cka(x, y) for x, y in pairs])
    free = torch.tensor([linear_cka(x, y, unbiased=True) for x, y in pairs])
    assert biased.mean() == pytest.approx(math.sqrt(200 / (50 * 60)), rel=0.03)
    assert free.mean() == pytest.approx(0, abs=0.02)


def test_without_bias_as_with_gram_matrices():
    x, y = gaussian(9, 3), gaussian(9, 4, seed=1)
    grams = [(v @ v.T).fill_diagonal_(0) for v in (x, y)]

    def hsic(k, m, n=9):
        sums = k.sum() * m.sum() / ((n - 1) * (n - 2))
        return ((k * m).sum() + sums - 2 / (n - 2) * (k.sum(0) @ m.sum(0))) / (n * (n - 3))

    expected = hsic(*grams) / (hsic(grams[0], grams[0]) * hsic(grams[1], grams[1])).sqrt()
    assert linear_cka(x, y, unbiased=True) == pytest.approx(float(expected), abs=1e-12)


def test_alignment_of_columns():
    states = ModelStates(torch.cat([gaussian(1, 3, 20, 4), torch.ones(1, 1, 20, 4)], 1))
    found = cka_matrix(states)
    assert found[:3, :3].diag().allclose(torch.ones(3).double())
    assert found[:3, :3].allclose(found[:3, :3].T)
    assert found[3].isnan().all()
    assert found[0, 1] == pytest.approx(linear_cka(states.values[0, 0], states.values[0, 1]))
    assert cka_matrix(states, ModelStates(gaussian(1, 2, 20, 7))).shape == (4, 2)


@pytest.mark.parametrize("classes", [2, 4])
def test_probes_are_ridge_classifiers(classes):
    x, labels = gaussian(3, 60, 5), torch.arange(60) % classes
    weight, bias = ridge_probes(x, labels, 2.0)
    for column in range(3):
        answers = (x[column] @ weight[column] + bias[column]).argmax(-1)
        other = RidgeClassifier(alpha=2.0).fit(x[column].numpy(), labels.numpy())
        assert answers.tolist() == other.predict(x[column].numpy()).tolist()


def test_transfer_of_probes():
    """Columns 0 and 1 have one code, column 2 the opposite one, column 3 none."""
    labels = torch.arange(80) % 2
    code = (2.0 * labels - 1)[:, None]
    states = torch.stack([code, 2 * code, -code, torch.zeros(80, 1)])[None]
    found = probe_transfer(ModelStates(states.double()), labels)
    one, none = [1, 1, 0], found.chance
    assert found.accuracy[:3, :3].tolist() == [one, one, [0, 0, 1]]
    assert found.accuracy[3].tolist() == [none] * 4 == [0.5] * 4
    assert found.samples == 40
    assert decoding_accuracy(states[0], labels).tolist() == [1, 1, 1, 0.5]


def test_parts_have_as_many_of_each_class():
    labels = torch.arange(30) % 3
    parts = sample_parts(labels, 5, 0)
    assert torch.stack([labels, parts]).unique(dim=1, return_counts=True)[1].tolist() == [2] * 15


ORDER = torch.tensor([1.0, 2, 2, 3, torch.nan])


def test_directions_of_edges_by_hand():
    """Edges sorted by target: 3-0, 0-1, 1-2, 0-3, 2-3, 3-4."""
    graph = chain_graph(5, ((3, 0), (0, 3)))
    found = edge_directions(graph, ORDER)
    assert found.forward.tolist() == [False, True, False, True, True, False]
    assert found.feedback.tolist() == [True, False, False, False, False, False]
    assert found.lateral.tolist() == [False, False, True, False, False, False]
    assert length_contrast(graph, found)[:3] == pytest.approx((5 / 3, 3, -4 / 3))


def random_graph():
    ids = torch.randperm(900, generator=torch.Generator().manual_seed(0))[:300]
    edges = torch.stack([ids // 30, ids % 30])
    return ColumnGraph.from_edge_index(edges, 30, distance=torch.rand(300) + 0.1)


def test_weights_that_lengths_explain_are_no_contrast():
    """Feed-forward edges are long and weights are lengths: z is small only within bins."""
    torch.manual_seed(0)
    graph = random_graph()
    directions = edge_directions(graph, torch.arange(30.0))
    longer = graph.distance + directions.forward * 0.3
    graph = type(graph)(graph.rowptr, graph.source, longer, 30)
    within = weight_contrast(graph, directions, longer, bins=40, permutations=200)
    free = weight_contrast(graph, directions, longer, bins=1, permutations=200)
    assert within.difference == pytest.approx(free.difference)
    assert free.z > 5
    assert within.null_mean > 0.9 * within.difference
    stronger = longer + directions.forward
    assert weight_contrast(graph, directions, stronger, bins=5, permutations=200).p < 0.01
    assert length_contrast(graph, directions, permutations=200).p < 0.01


def test_weights_at_random_are_no_contrast():
    graph = random_graph()
    directions = edge_directions(graph, torch.arange(30.0))
    found = [
        weight_contrast(graph, directions, gaussian(300, seed=s), permutations=100).p
        for s in range(30)
    ]
    assert 0.3 < sum(found) / 30 < 0.7


def test_one_direction_only_has_no_contrast():
    graph = chain_graph()
    directions = edge_directions(graph, torch.arange(5.0))
    found = weight_contrast(graph, directions, torch.ones(4))
    assert found.forward == 1
    assert math.isnan(found.feedback)
    assert math.isnan(found.p)


ERRORS = [
    (lambda: linear_cka(torch.ones(3, 1), torch.ones(4, 1)), "both must be of the same samples"),
    (lambda: linear_cka(torch.ones(3, 1), torch.ones(3, 1), unbiased=True), "at least 4. Got 3"),
    (lambda: linear_cka(torch.full((3, 1), math.inf), torch.ones(3, 1)), "x must be finite"),
    (
        lambda: probe_transfer(ModelStates(torch.ones(1, 1, 3, 1)), torch.tensor([0, 0, 1])),
        "folds must be at least 2 and at most the number of samples of the rarest class, 1. Got 2",
    ),
    (
        lambda: decoding_accuracy(torch.ones(1, 2, 1), torch.tensor([0, 1]), ridge=0),
        "ridge must be above 0 and finite. Got 0",
    ),
    (lambda: edge_directions(chain_graph(), torch.ones(4)), "order must be floating, one place"),
    (
        lambda: weight_contrast(
            chain_graph(), edge_directions(chain_graph(), ORDER), torch.ones(3)
        ),
        r"weights must be finite, one per edge, \[4\]. Got \[3\]",
    ),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_wrong_input(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
