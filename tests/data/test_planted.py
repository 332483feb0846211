"""The wiring task: without the planted edge nothing can be known, with it everything."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from geometries import grid
from graphcolumns import connect
from graphcolumns.data import planted
from graphcolumns.data.partners import partners
from graphcolumns.data.planted import agreement, ceiling
from graphcolumns.data.tasks import TASKS
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.columnformer import sheet
from graphcolumns.training.optim import adamw, learning_rate, set_learning_rate

SIDE = 8


def test_labels_by_hand():
    patterns = torch.tensor([[1.0, -1.0, -1.0], [1.0, 1.0, -1.0]])[:, None, None]
    one = torch.tensor([[1], [0], [1]])
    assert agreement(patterns, one).tolist() == [[0, 0, 1], [1, 1, 0]]
    three = torch.tensor([[1, 2, 1], [0, 2, 2], [0, 0, 1]])
    assert agreement(patterns, three).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_two_channels_are_a_scalar_product():
    patterns = torch.tensor([[[[2.0, 1.0]], [[-1.0, 1.0]]]])  # x_0 = (2, -1), x_1 = (1, 1)
    assert agreement(patterns, torch.tensor([[1], [0]])).tolist() == [[1, 1]]
    patterns[0, 1, 0, 0] = -3.0
    assert agreement(patterns, torch.tensor([[1], [0]])).tolist() == [[0, 0]]


def test_permuted_labels_are_exchanged_among_training_samples_and_nothing_else():
    plain, permuted = (planted(4, 4, count=64, permuted_labels=p) for p in (False, True))
    assert not torch.equal(plain.train_targets, permuted.train_targets)
    rows = (sorted(d.train_targets.tolist()) for d in (plain, permuted))
    assert next(rows) == next(rows)
    for name in ("train_inputs", "test_inputs", "test_targets", "truth"):
        assert torch.equal(getattr(plain, name), getattr(permuted, name))


def every_pattern(pixels: int) -> torch.Tensor:
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=pixels)))
    return signs.reshape(-1, 1, 1, pixels)


@pytest.mark.parametrize("context", [0, 2])
def test_without_the_far_partner_the_best_column_is_right_as_often_as_the_ceiling(context):
    """All patterns of seven pixels are equally likely, so counts are probabilities."""
    patterns, partner = every_pattern(7), torch.tensor([[3, 1, 2][: 1 + context]] * 7)
    label = agreement(patterns, partner)[:, 0]
    others = patterns.flatten(1)[:, [0, 1, 2, 4, 5, 6]]  # all but the far partner of column 0
    _, seen = others.unique(dim=0, return_inverse=True)
    # The best answer to each thing that can be seen: the commoner label.
    ones = torch.zeros(64).index_add(0, seen, label.float())
    assert float(torch.maximum(ones, 2 - ones).sum() / len(label)) == ceiling(context)
    if not context:
        assert mutual_info_score(seen, label) == pytest.approx(0, abs=1e-12)
        with_partner = patterns.flatten(1)[:, [0, 3]].unique(dim=0, return_inverse=True)[1]
        assert mutual_info_score(with_partner, label) == pytest.approx(torch.tensor(2.0).log())


def test_ceilings_by_hand():
    assert ceiling(0) == ceiling(0, 5) == 0.5
    assert ceiling(2) == 0.75  # two near votes agree in half of the samples
    assert ceiling(4) == 0.5 + 0.5 * (1 - 6 / 16)  # four near votes cancel in 6 of 16


def test_ceiling_equals_the_best_answer_on_drawn_samples():
    data = planted(6, 6, channels=3, count=20_000, far=0.6)
    chosen = partners(6, 6, far=0.6)
    near = agreement(data.train_inputs, chosen[:, 1:])
    right = (near == data.train_targets).double().mean().item()
    # Where the near votes cancel, "no" is as good as any answer.
    assert right == pytest.approx(ceiling(2, 3), abs=3e-3)


def test_data_are_what_partners_and_agreement_say():
    data = planted(5, 7, channels=3, count=64, seed=3)
    chosen = partners(5, 7, seed=3)
    assert data.train_inputs.shape == (32, 3, 5, 7)
    assert data.train_targets.shape == (32, 35)
    assert set(data.train_inputs.unique().tolist()) == {-1.0, 1.0}
    assert (data.task.name, data.num_classes) == ("multi_label", 35)
    assert torch.equal(data.test_targets, agreement(data.test_inputs, chosen))
    wanted = {(t, int(s)) for t, row in enumerate(chosen) for s in row}
    assert set(map(tuple, data.truth.T.tolist())) == wanted


def test_noise_is_seen_and_changes_no_label():
    clean, noisy = planted(count=64), planted(count=64, noise=0.5)
    spread = (noisy.train_inputs - clean.train_inputs).std().item()
    # Noise is drawn for the training half first, so that half has the same patterns.
    assert spread == pytest.approx(0.5, abs=0.05)
    assert torch.equal(noisy.train_targets, clean.train_targets)


def test_gaussian_patterns_never_tie():
    data = planted(count=64, patterns="gaussian", channels=2, context=1)
    assert data.train_inputs.unique().numel() == data.train_inputs.numel()
    assert data.train_targets.double().mean().item() == pytest.approx(0.5, abs=0.05)


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(4, 9),
    width=st.integers(4, 9),
    far=st.floats(0.4, 0.5),
    local=st.floats(0, 1),
    context=st.sampled_from([0, 1, 2]),
    seed=st.integers(0, 9),
)
def test_partners_keep_their_distance(height, width, far, local, context, seed):
    near = 1.5  # below 0.4 * 4
    chosen = partners(height, width, far, local, context, near, seed)
    n = height * width
    assert chosen.shape == (n, 1 + context)
    distance = grid.sheet(height, width).distance(
        torch.arange(n)[:, None].expand_as(chosen).flatten(), chosen.flatten()
    )
    distance = distance.reshape(chosen.shape)
    assert (distance[:, 1:] > 0).all()
    assert (distance[:, 1:] <= near + 1e-6).all()
    at_home = distance[:, 0] <= near
    away = distance[:, 0] >= far * max(height, width) - 1e-6
    assert (at_home | away).all()
    expected = round(local * n)
    assert at_home.sum() >= expected
    assert away.sum() >= n - expected
    assert all(len(set(row)) == 1 + context for row in chosen.tolist())
    assert torch.equal(chosen, partners(height, width, far, local, context, near, seed))


def test_far_partners_are_different_and_seeds_differ():
    first, second = partners(8, 8, seed=0), partners(8, 8, seed=1)
    assert first[:, 0].unique().numel() == 64
    assert not torch.equal(first[:, 0], second[:, 0])


def test_no_path_of_two_edges_brings_the_far_partner_on_the_local_graph():
    geometry = grid.sheet(SIDE, SIDE)
    graph = connect.nearest(geometry, 5)
    hears = torch.zeros(64, 64)
    hears[graph.target.long(), graph.source.long()] = 1
    two = (hears @ hears + hears) > 0
    chosen = partners(SIDE, SIDE)
    assert not two[torch.arange(64), chosen[:, 0]].any()
    assert hears[torch.arange(64)[:, None], chosen[:, 1:]].all()  # the near ones are neighbours


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 2}, "channels must be odd and context even, so that votes never tie"),
        ({"channels": 0}, "channels must be at least 1"),
        ({"context": 1}, "Got channels=1, context=1"),
        ({"context": -2}, "context of at least 0"),
        ({"patterns": "binary"}, "patterns must be 'sign' or 'gaussian'. Got 'binary'"),
        ({"far": 0.0}, "far above 0"),
        ({"far": 0.1}, r"far=0.1 \(0.8 pixels\) must be above near=1"),
        ({"far": 1.3}, r"None fit far=1.3 \(10.4 pixels\); lower far"),
        ({"local": 1.5}, r"local in \[0, 1\]"),
        ({"near": 0.5}, "each column needs 2 near partners. Some have 0 columns within near=0.5"),
        ({"height": 1, "width": 1}, "at least two columns. Got 1 x 1"),
        ({"count": 1}, "count >= 2"),
        ({"noise": -0.1}, "noise >= 0"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        planted(**arguments)


def test_truth_follows_the_reordered_columns():
    data = planted(count=4)
    geometry, permutation = grid.sheet(SIDE, SIDE).reorder()
    target, source = data.truth_at(permutation)
    # The same places hear the same places.
    before, after = grid.sheet(SIDE, SIDE).positions, geometry.positions
    planned = {(*before[t].tolist(), *before[s].tolist()) for t, s in data.truth.T.tolist()}
    found = {(*after[t].tolist(), *after[s].tolist()) for t, s in zip(target, source, strict=True)}
    assert planned == found
    graph = ColumnGraph.from_edge_index(torch.stack([source, target]), 64)
    assert torch.equal(graph.target.long(), target)
    assert torch.equal(graph.source.long(), source)
    assert torch.equal(data.truth_at(), data.truth)


@pytest.fixture
def one_thread():
    """Small products: more threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def trained(graph: ColumnGraph, weights: str, depth: int, steps: int = 250):
    """Held-out accuracy of every answer of a small sheet, with the geometry reordered."""
    data = planted(SIDE, SIDE, count=6144)
    geometry, permutation = grid.sheet(SIDE, SIDE).reorder()
    torch.manual_seed(0)
    model = sheet(
        geometry, graph, image_size=SIDE, in_channels=1, num_classes=64, channels=8, depth=depth,
        weights={"attention": weights}, interface={"readout": "columns"}, permutation=permutation,
    )  # fmt: skip
    optimizer = adamw(model, 1e-2, 0.05, (0.9, 0.95))
    for step in range(steps):
        set_learning_rate(optimizer, learning_rate(step, steps, 1e-2, 0.1, 0.05))
        chosen = torch.arange(step * 32, step * 32 + 32) % len(data.train_inputs)
        optimizer.zero_grad()
        logits = model(data.train_inputs[chosen]).prediction
        TASKS["binary"].loss(logits, data.train_targets[chosen]).backward()
        optimizer.step()
    with torch.no_grad():
        logits = model.eval()(data.test_inputs).prediction
    return ((logits > 0) == data.test_targets.bool()).double().mean(0)


def local_and_planted() -> tuple[ColumnGraph, ColumnGraph]:
    geometry, permutation = grid.sheet(SIDE, SIDE).reorder()
    local = connect.nearest(geometry, 5)
    truth = planted(SIDE, SIDE, count=4).truth_at(permutation)
    far = ColumnGraph.from_edge_index(truth.flip(0), 64).remeasure(geometry)
    return local, connect.union(local, far)


@pytest.mark.parametrize(("weights", "depth"), [("shared", 2), ("untied", 1)])
@pytest.mark.usefixtures("one_thread")
def test_with_the_planted_edges_a_sheet_learns_it(weights, depth):
    _, wired = local_and_planted()
    assert trained(wired, weights, depth).mean() > 0.97


@pytest.mark.parametrize(("weights", "depth"), [("shared", 1), ("untied", 2)])
@pytest.mark.usefixtures("one_thread")
def test_with_local_edges_no_column_is_above_the_ceiling(weights, depth):
    local, _ = local_and_planted()
    right = trained(local, weights, depth)
    # 3072 samples: the standard error of one column is 0.008, of the mean 0.001.
    assert right.mean() == pytest.approx(0.75, abs=0.015)
    assert right.max() < 0.75 + 4 * 0.008
