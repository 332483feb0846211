"""What a columnformer returns, step by step."""

import pytest
import torch
from torch import Tensor, nn

from geometries import grid
from graphcolumns import connect
from graphcolumns.models.columnformer import Columnformer
from graphcolumns.nn import MeanReadout, PatchEmbed
from tests.models.support.variants import GEOMETRY, VARIANTS, gradients, make


@pytest.fixture(params=VARIANTS)
def options(request) -> dict:
    return VARIANTS[request.param]


@pytest.fixture
def images() -> Tensor:
    return torch.randn(6, 1, 4, 4)


class TestOutput:
    def test_shapes(self, images):
        output = make(cost={"wiring": "distance"})(images, return_states=True)
        assert output.prediction.shape == (6, 5)
        assert output.state.shape == (32, 6, 8)
        assert output.cost.shape == (3, 32, 6, 2)
        assert output.states.shape == (3, 32, 6, 8)
        assert torch.equal(output.states[-1], output.state)

    def test_nothing_that_was_not_asked_for(self, images):
        output = make()(images)
        assert output.cost is None
        assert output.states is None

    def test_every_parameter_learns(self, options, images):
        model = make(**options)
        model(images).prediction.square().sum().backward()
        assert set(gradients(model)) == dict(model.named_parameters()).keys()

    def test_depth_at_call(self, images):
        model = make(interface={"drive": "initial"})
        deep = model(images, depth=5, return_states=True)
        assert len(deep.states) == 5
        assert torch.equal(model(images, depth=2).state, deep.states[1])

    def test_feedforward_may_stop_early(self, images):
        model = make(weights={"recurrent": False})
        states = model(images, return_states=True).states
        assert torch.equal(model(images, depth=2).state, states[1])

    def test_time_embedding_is_added_at_its_step(self, images):
        model = make(interface={"time_embedding": True})
        before = model(images, return_states=True).states
        with torch.no_grad():
            model.time[1] += torch.randn(8)  # a constant would vanish in the layer norm
        after = model(images, return_states=True).states
        assert torch.equal(before[0], after[0])
        assert not torch.allclose(before[1], after[1], atol=1e-2)


class Relay(nn.Module):
    """A column that adds one, to see what is copied from where."""

    num_columns, channels, skip_attention = 4, 1, True

    def forward(self, x, graph, cost=None, uses=None):
        return x + 1, None


class TestDirectEdges:
    def model(self, direct_edges: list[int], depth: int) -> Columnformer:
        graph = connect.complete(grid.sheet(2, 2))
        embed, readout = PatchEmbed((1, 4), 1, 1), MeanReadout(1, 2, norm="none")
        nn.init.ones_(embed.linear.weight)
        return Columnformer(
            graph,
            embed,
            [Relay() for _ in range(depth)],
            readout,
            depth=depth,
            direct_edges=torch.tensor(direct_edges),
            position_embedding=False,
        )

    def test_by_hand(self):
        """Columns 0 and 1 read their inputs again, 2 copies 0, 3 copies 2; each step adds one."""
        model = self.model([0, 1, 4, 6], depth=3)
        states = model(torch.tensor([[[[10.0, 20.0, 30.0, 40.0]]]]), return_states=True).states
        assert states.flatten(1).tolist() == [[11, 21, 31, 41], [11, 21, 12, 32], [11, 21, 12, 13]]


class TestCost:
    def uniform(self, **options) -> Columnformer:
        model = make(attention={"edge_bias": "none"}, **options)
        nn.init.zeros_(model.columns[0].attention.query.weight)
        return model

    def test_uniform_attention_costs_one(self, images):
        cost = self.uniform(cost={"wiring": "distance", "power": 2.0})(images).cost
        assert float(cost.mean().detach()) == pytest.approx(1, abs=1e-6)

    def test_the_unit_stays_when_edges_change(self, images):
        """Nine neighbours instead of seven reach further, and that is seen."""
        model = self.uniform(cost={"wiring": "distance"})
        wide = connect.nearest(GEOMETRY, 9)
        unit, model.graph = model.wiring_norm, wide
        expected = wide.distance.view(32, 9).mean() / unit
        assert float(model(images).cost.detach().mean()) == pytest.approx(float(expected), abs=1e-6)
        assert model.wiring_norm == unit

    def test_gaussian_cost_is_a_cross_entropy(self, images):
        model = self.uniform(cost={"wiring": "gaussian", "sigma": 1.5})
        distance = model.graph.distance.view(32, 7)
        expected = -torch.log_softmax(-(distance**2) / 4.5, 1).mean()
        assert float(model(images).cost.detach().mean()) == pytest.approx(float(expected), abs=1e-5)

    def test_costs_can_be_minimised(self, images):
        model = make(cost={"wiring": "distance"})
        before = model(images).cost.mean()
        before.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter -= 0.1 * parameter.grad
        assert model(images).cost.mean() < before


def test_mixture_maps():
    """One map for a sheet with shared coefficients, one per step without recurrence."""
    assert make().mixture_maps() == []
    (coefficients,) = make(weights={"attention": "mixture", "rank": 3}).mixture_maps()
    assert coefficients.shape == (32, 3)
    assert torch.allclose(coefficients.sum(1), torch.ones(32))
    assert len(make(weights={"attention": "mixture", "recurrent": False}).mixture_maps()) == 3


def test_learns_random_labels_by_heart():
    images, labels = torch.randn(16, 1, 4, 4), torch.randint(5, (16,))
    model = make()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images).prediction, labels)
        loss.backward()
        optimizer.step()
    assert loss < 0.05
    assert torch.equal(model(images).prediction.argmax(1), labels)
