"""What the experiment ``feedback`` measures on a run."""

import copy
from math import isnan
from pathlib import Path
from typing import Any

import pytest
import torch

from geometries import grid
from graphcolumns import connect
from graphcolumns.studies import (
    Retrained,
    StudyRun,
    column_order,
    edge_asymmetry,
    feedback_lesions,
    feedback_retrained,
)
from graphcolumns.studies.column_order import column_latency, input_distance
from graphcolumns.studies.edge_asymmetry import with_edges
from graphcolumns.studies.feedback_use import _interactions, edges_like, occluded
from graphcolumns.training import TrainOptions
from tests.analysis.support.sheets import build, images

ENDS = {"patch": 2, "inputs": "first_sheet", "outputs": "last_sheet"}


def chain(columns: int = 5):
    """One token at one end of a line; each column receives from itself and its two nearest."""
    return build(grid.sheet(columns, 1), size=2, depth=4, interface=ENDS)


def a_run(height: int = 6, depth: int = 6) -> StudyRun:
    """A sheet with two columns per row that sees images of 2 x 2 tokens at one end."""
    torch.manual_seed(0)
    geometry, data = grid.sheet(height, 2), images(4, train=60, test=40)
    before = build(geometry, degree=5, size=4, depth=depth, interface=ENDS).eval()
    model = copy.deepcopy(before)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn(weight.shape))
    return StudyRun(
        Path(), geometry, model.graph, data, model, before, before.graph,
        TrainOptions(seed=3, steps=1), lambda graph, seed=None: Retrained(model, {}),
    )  # fmt: skip


def test_distance_from_the_input_by_hand():
    """Both ends receive from two columns on the same side: 0 from 1 and 2, 4 from 3 and 2."""
    assert input_distance(chain()).tolist() == [0, 1, 2, 3, 3]


def test_no_path_is_no_distance():
    model = chain()
    graph = model.graph
    model.rewired(with_edges(graph, (graph.target != 3) | (graph.source == 3)))
    distance = input_distance(model)
    assert distance[:3].tolist() == [0, 1, 2]
    assert isnan(distance[3])
    assert distance[4] == 3


def test_a_model_that_says_nothing_of_its_input_is_refused():
    with pytest.raises(TypeError, match=r"which columns see the input.*Got none from Linear"):
        input_distance(torch.nn.Linear(1, 1))


def test_every_difference_counts_at_threshold_0_so_that_the_graph_alone_decides():
    run = a_run()
    latency = column_latency(run, run.untrained, 0.0, 60)
    assert latency.equal(input_distance(run.untrained).clamp(min=1))
    found = column_order(run, threshold=0.0, samples=60, fields=4)
    assert found["untrained_delay"] == found["delay"] == 0
    assert found["untrained_silent"] == 0
    assert found["latest"] == found["farthest"] > 1
    assert [found[f"latency_{n:02d}"] for n in range(12)] == latency.tolist()
    assert 0 < found["distance_rho"] <= 1


def test_columns_that_never_exceed_the_threshold_have_no_order():
    found = column_order(a_run(), threshold=1e9, samples=60, fields=4)
    assert found["silent"] == 12
    assert all(isnan(found[name]) for name in ("distance_rho", "delay", "latency_00"))


def test_edges_climb_the_order_that_the_latency_gives():
    run = a_run()
    found = edge_asymmetry(run, threshold=0.0, samples=60, draws=20)
    different = int((run.graph.source != run.graph.target).sum())
    assert found["forward"] + found["feedback"] + found["lateral"] == different
    assert 0 <= found["forward_f0"] < found["flipped_f0"]
    assert found["attention_f0"] != found["untrained_attention_f0"]
    silent = edge_asymmetry(run, threshold=1e9, samples=60, draws=20)
    assert silent["forward"] == 0
    assert isnan(silent["forward_f0"])


def test_edges_like_others_are_as_many_of_every_length_and_never_self_edges():
    graph = connect.nearest(grid.sheet(5, 5), 9)
    different = graph.source != graph.target
    edges = different & (torch.arange(graph.num_edges) % 3 == 0)
    draws = [
        edges_like(graph, edges, torch.Generator().manual_seed(seed), by_length=True)
        for seed in range(20)
    ]
    for found in draws:
        assert found[different].sum() == found.sum()
        assert graph.distance[found].sort().values.allclose(graph.distance[edges].sort().values)
    # Every edge between columns can be drawn.
    assert torch.stack(draws).any(0).equal(different)


def test_edges_of_any_length_are_as_many():
    graph = connect.nearest(grid.sheet(5, 5), 9)
    longest = graph.distance == graph.distance.max()
    found = edges_like(graph, longest, torch.Generator().manual_seed(0), by_length=False)
    assert found.sum() == longest.sum()
    assert not found.equal(longest)
    assert not found[graph.source == graph.target].any()


def test_kept_edges_keep_their_lengths():
    graph = connect.nearest(grid.sheet(3, 3), 4)
    kept = torch.arange(graph.num_edges) % 2 == 0
    found = with_edges(graph, kept)
    assert found.edge_index.equal(graph.edge_index[:, kept])
    assert found.distance.equal(graph.distance[kept])


def test_the_interaction_is_of_pairs_of_images():
    changes = {kind: torch.zeros(4) for kind in ("forward", "random")}
    changes |= {"feedback": torch.tensor([1.0, 3, 1, 3]), "matched": torch.tensor([0.0, 2, 1, 3])}
    found = _interactions(changes, 4)
    assert found["interaction_feedback_4"] == 2
    assert found["interaction_4"] == 0.5
    # The differences are 1, 1, 0, 0: a standard deviation of sqrt(1 / 3), of 4 images.
    assert found["interaction_4_se"] == pytest.approx((1 / 3) ** 0.5 / 2)


def test_an_interaction_is_the_difference_of_two_effects():
    found = feedback_lesions(a_run(), [0, 2, 3], threshold=0.0, samples=60, draws=2)
    for size in (2, 3):
        for kind in ("feedback", "forward", "random", "matched"):
            effects = found[f"cut_{kind}_{size}_loss"], found[f"cut_{kind}_0_loss"]
            assert found[f"interaction_{kind}_{size}"] == pytest.approx(
                effects[0] - effects[1], abs=1e-6
            )
    assert found["cut_feedback_0_loss"] != 0
    assert found["intact_3_loss"] != found["intact_0_loss"]


def test_clean_images_come_first():
    with pytest.raises(ValueError, match=r"sizes must begin with 0, clean images\. Got \[2\]"):
        feedback_lesions(a_run(), [2])


def test_occluded_images_are_the_same_in_every_call():
    run = a_run()
    first, again, clean = (occluded(run, size).test_inputs for size in (2, 2, 0))
    assert first.equal(again)
    assert clean.equal(run.data.test_inputs)
    assert ((first == 0).sum((1, 2, 3)) == 4).all()


def test_the_control_is_trained_without_as_many_edges_of_every_length():
    run, graphs = a_run(), list[Any]()

    def retrain(graph, seed=None):
        graphs.append(graph)
        return Retrained(run.model, {})

    found = feedback_retrained(run._replace(retrain=retrain), [0, 2], threshold=0.0, samples=60)
    counts = edge_asymmetry(run, threshold=0.0, samples=60, draws=2)
    feedback, matched = graphs
    assert run.graph.num_edges - feedback.num_edges == counts["feedback"] > 0
    assert matched.distance.sort().values.allclose(feedback.distance.sort().values)
    assert not matched.same_graph(feedback)
    assert found["without_feedback_0_accuracy"] == found["without_matched_0_accuracy"]
    assert (
        feedback_retrained(run._replace(initial_graph=feedback), [0], threshold=0.0, samples=60)
        == {}
    )
