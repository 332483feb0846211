"""The cost of attention by distance and communicability, in a model."""

import pytest
import torch
from torch import Tensor

from geometries import grid
from graphcolumns import connect
from graphcolumns.models.columnformer import sheet
from graphcolumns.nn.communicability import LIMIT, communicability
from graphcolumns.nn.recording import attention_mass, recording
from graphcolumns.plasticity.probe.trace import trace
from graphcolumns.training.terms import per_sample
from tests.models.support.variants import GEOMETRY, make, make_staged

KIND = {"cost": {"wiring": "communicability"}}


@pytest.fixture
def images() -> Tensor:
    return torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"attention": {"mode": "selection"}},
        {"weights": {"recurrent": False}, "interface": {"drive": "initial"}},
        {"heads": 1},
    ],
)
def test_the_sum_over_all_pairs(options, images):
    """sum |W| D C as the paper has it, in units of the mean length and of a column."""
    model = make(**KIND, **options)
    with recording(model) as heard:
        found = model(images).cost
    graph, weights = model.graph, torch.zeros(32, 32)  # row: from, column: to
    mass = torch.stack([attention_mass(exchange) for exchange in heard]).mean(0)
    weights[graph.source.long(), graph.target.long()] = mass.detach()
    everyone = torch.arange(32)
    lengths = GEOMETRY.distance(everyone[:, None], everyone)
    expected = (weights * lengths * communicability(weights)).sum() / model.wiring_norm / 32
    assert found.shape == (1, 32, 1, 1)
    torch.testing.assert_close(found.mean().detach(), expected)


def test_its_gradient_is_that_of_the_whole_term(images):
    """Through attention and through communicability, against finite differences."""
    model = make(attention={"edge_bias": "edge"}, channels=4, depth=2, **KIND).double()
    images = images[:2].double()
    scores = model.columns[0].attention.edge_bias.common
    model(images).cost.mean().backward()
    for edge in (0, 50):
        values = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                scores[edge] += step
                values.append(float(model(images).cost.mean()))
                scores[edge] -= step
        expected = (values[0] - values[1]) / 2e-5
        assert float(scores.grad[edge]) == pytest.approx(expected, rel=1e-4, abs=1e-10)


def test_the_cost_can_be_minimised(images):
    model = make(**KIND)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    costs = []
    for _ in range(20):
        cost = model(images).cost.mean()
        costs.append(float(cost.detach()))
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
    assert costs[-1] < 0.8 * costs[0]


def test_what_the_model_says_does_not_depend_on_it(images):
    assert torch.equal(make(**KIND)(images).prediction, make()(images).prediction)


def test_recomputed_steps_have_the_same_gradients(images):
    stored, recomputed = make(**KIND), make(cost=KIND["cost"] | {"memory": "recompute"})
    for model in (stored, recomputed):
        output = model(images)
        (output.prediction.square().mean() + output.cost.mean()).backward()
    for one, other in zip(stored.parameters(), recomputed.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_edges_are_scored_as_ever(images):
    labels, pairs = torch.arange(6) % 5, torch.randint(32, (2, 9))
    found, expected = (
        trace(model, images, labels, per_sample("classification"), *pairs).sums()
        for model in (make(**KIND), make())
    )
    assert torch.equal(found, expected)


@pytest.mark.parametrize("mode", ["mixing", "linear_mixing"])
def test_columns_that_do_not_attend_are_refused(mode):
    with pytest.raises(ValueError, match="communicability is that of attention"):
        make(attention={"mode": mode, "edge_bias": "head"}, **KIND)


def test_too_many_columns_are_refused_when_the_model_is_built():
    geometry = grid.sheet(33, 32)
    with pytest.raises(ValueError, match=f"at most {LIMIT}. Got 1056"):
        sheet(
            geometry, connect.nearest(geometry, 3), image_size=4, in_channels=1, num_classes=2,
            channels=2, depth=1, **KIND,
        )  # fmt: skip


def test_several_sheets_have_no_such_cost():
    with pytest.raises(ValueError, match="wiring must be one of"):
        make_staged(**KIND)
