"""What an observation says about a model, and at whose columns."""

import pytest
import torch

from geometries import grid
from graphcolumns import connect
from graphcolumns.analysis import observe
from graphcolumns.analysis.observe import spread_columns
from graphcolumns.models.columnformer import Columnformer
from tests.analysis.support.sheets import build, images

# An F: no rotation, reflection or transposition of the grid leaves it as it is.
F = torch.tensor(
    [
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 1, 0, 0],
        [0, 1, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ],
    dtype=torch.bool,
)


def light_up(model: Columnformer, permutation: torch.Tensor) -> None:
    """Give the columns that the user knows as the F a code far from zero."""
    with torch.no_grad():
        model.position[F.flatten()[permutation]] += 100.0


def test_activity_is_the_mean_over_samples_and_channels():
    geometry = grid.sheet(8, 8)
    model, data = build(geometry), images(test=70)  # more than one batch
    seen = observe(model, data, geometry)
    states = model(data.test_inputs, return_states=True).states
    expected = states.detach().double().abs().mean((2, 3))
    torch.testing.assert_close(seen.activity, expected, atol=1e-6, rtol=1e-5)
    assert seen.activity.shape == (2, 64)
    torch.testing.assert_close(seen.prediction, model(data.test_inputs).prediction.detach())


def test_attention_sums_to_one_over_the_sources_of_a_column():
    geometry = grid.sheet(8, 8)
    seen = observe(build(geometry), images(), geometry)
    assert seen.wiring.attention.shape == (2, 64 * 3)
    sums = torch.zeros(2, 64).double().index_add(1, seen.graph.target, seen.wiring.attention)
    torch.testing.assert_close(sums, torch.ones(2, 64).double())


def test_attention_by_hand():
    """With queries of zero only the edge bias decides."""
    geometry = grid.sheet(8, 8)
    model = build(geometry)
    with torch.no_grad():
        for parameter in model.columns[0].attention.query.parameters():
            parameter.zero_()
        bias = model.columns[0].attention.edge_bias
        for parameter in bias.parameters():
            parameter.copy_(torch.arange(parameter.numel()).view_as(parameter) % 3)
    seen = observe(model, images(), geometry)
    expected = torch.softmax(torch.arange(64 * 3).view(64, 3) % 3 * 1.0, 1).double().flatten()
    torch.testing.assert_close(seen.wiring.attention, expected.expand(2, -1), atol=1e-6, rtol=1e-6)


def test_a_column_is_shown_where_the_user_put_it():
    user = grid.sheet(8, 8)
    geometry, permutation = user.reorder()
    assert not torch.equal(permutation, torch.arange(64))
    model, data = build(geometry, permutation), images()
    light_up(model, permutation)
    seen = observe(model, data, geometry, permutation)
    torch.testing.assert_close(seen.geometry.positions, user.positions)
    assert torch.equal((seen.activity[0] > 10).view(8, 8), F)
    # Edges join the user's columns, and carry their own attention.
    expected = connect.nearest(geometry, 3)
    found = {tuple(edge) for edge in seen.graph.edge_index.T.tolist()}
    assert found == {tuple(edge) for edge in permutation[expected.edge_index].T.tolist()}
    lengths = user.distance(seen.graph.target, seen.graph.source)
    torch.testing.assert_close(seen.graph.distance, lengths)
    same = observe(model, data, geometry)  # in the order of the model
    place = permutation.argsort()
    torch.testing.assert_close(same.activity[:, place], seen.activity)
    assert by_edge(same, permutation) == by_edge(seen, torch.arange(64))


def by_edge(seen, names: torch.Tensor) -> dict[tuple[int, int], list[float]]:
    """The attention of every edge, its ends named by the user."""
    ends = map(tuple, names[seen.graph.edge_index].T.tolist())
    return dict(zip(ends, seen.wiring.attention.T.tolist(), strict=True))


def test_receptive_fields_are_where_the_column_looks():
    """Without edges to others a column sees its own pixel only."""
    user = grid.sheet(8, 8)
    geometry, permutation = user.reorder()
    model = build(geometry, permutation, degree=1)
    seen = observe(model, images(), geometry, permutation)
    assert seen.fields.shape == (len(seen.chosen), 8, 8)
    for column, field in zip(seen.chosen.tolist(), seen.fields, strict=True):
        assert field.flatten().nonzero().flatten().tolist() == [column]


def test_the_model_is_left_as_it_was():
    geometry = grid.sheet(8, 8)
    model = build(geometry, weights={"dropout": 0.5}).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    observe(model, images(), geometry)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    for module in model.modules():
        assert not module._forward_pre_hooks


def test_a_model_without_a_graph():
    with pytest.raises(TypeError, match=r"model\.graph must be a ColumnGraph"):
        observe(torch.nn.Linear(2, 2), images(), grid.sheet(8, 8))


@pytest.mark.parametrize("count", [1, 2, 6])
def test_spread_columns(count):
    ids = spread_columns(grid.sheet(8, 8), count)
    assert len(ids.unique()) == count


def test_spread_over_few_places():
    assert spread_columns(grid.sheet(1, 2), 6).tolist() == [0, 1]


@pytest.mark.parametrize("attention", ["selection", "mixing", "identity"])
def test_every_kind_of_attention_is_seen(attention):
    geometry = grid.sheet(8, 8)
    seen = observe(build(geometry, attention={"mode": attention}), images(), geometry).wiring
    assert seen.attention.shape == (2, 192)
    assert seen.attention.isfinite().all()


def test_weights_of_linear_mixing():
    geometry = grid.sheet(8, 8)
    user, permutation = geometry.reorder()
    model = build(user, permutation, attention={"mode": "linear_mixing"})
    seen = observe(model, images(), user, permutation).wiring
    assert seen.attention is None
    bias = model.columns[0].attention.edge_bias().detach().double().reshape(192, -1).mean(1)
    by_model = dict(
        zip(map(tuple, permutation[model.graph.edge_index].T.tolist()), bias, strict=True)
    )
    found = [by_model[tuple(edge)] for edge in seen.graph.edge_index.T.tolist()]
    torch.testing.assert_close(seen.weights, torch.stack(found))


def test_feed_forward():
    geometry = grid.sheet(8, 8)
    seen = observe(build(geometry, weights={"recurrent": False}), images(), geometry)
    assert seen.wiring.attention.shape == (2, 192)
