"""A columnformer whose columns move."""

import copy

import pytest
import torch

from geometries import grid
from geometries.learned import positions
from graphcolumns import connect
from graphcolumns.models.columnformer import Columnformer, sheet
from graphcolumns.models.staged_columnformer import staged
from graphcolumns.nn import LearnedPositions

START = grid.stack([4, 4])
SIZES = {"image_size": 4, "in_channels": 1, "num_classes": 5, "channels": 8, "depth": 3}


def make(start=START, learnable: bool = True, **options) -> Columnformer:
    torch.manual_seed(3)
    geometry = positions(start, spacing=0.5) if learnable else start
    graph = connect.nearest(start, 7)
    cost = {"wiring": "distance"} | options.pop("cost", {})
    return sheet(geometry, graph, cost=cost, **(SIZES | options))


def moved(model: Columnformer) -> Columnformer:
    model.positions.offset.data.normal_(std=0.5)
    return model


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(6, 1, 4, 4)


def test_only_a_learnable_geometry_is_learned():
    assert make(learnable=False).positions is None
    module = make().positions
    assert isinstance(module, LearnedPositions)
    assert module.start.spacing == 0.5


def test_as_long_as_nothing_moved_it_is_the_same_model(images):
    fixed, model = make(learnable=False).eval(), make().eval()
    assert torch.equal(model.graph.distance, fixed.graph.distance)
    assert model.wiring_norm == fixed.wiring_norm
    for a, b in zip(fixed(images)[:3], model(images)[:3], strict=True):
        assert torch.equal(a, b)


def test_the_graph_is_measured_where_the_columns_are_and_the_unit_is_kept():
    model, before = make(), make()
    graph = moved(model).graph
    there = model.positions.geometry()
    expected = there.distance(graph.target, graph.source).detach()
    assert torch.equal(graph.distance, expected)
    assert not graph.distance.requires_grad, "the graph is for looking at"
    assert graph.same_topology(before.graph)
    assert not torch.equal(graph.distance, before.graph.distance)
    assert model.wiring_norm == before.wiring_norm
    torch.testing.assert_close(model.edge_cost(), graph.distance / before.wiring_norm)


@pytest.mark.parametrize(
    "options", [{}, {"cost": {"memory": "recompute"}}, {"cost": {"wiring": "gaussian"}}]
)
def test_the_cost_moves_the_columns(options, images):
    model = moved(make(**options))
    output = model(images)
    output.cost.mean().backward()
    gradient = model.positions.offset.grad
    assert (gradient.abs().amax(1) > 0).all()


def test_the_gradient_is_that_of_finite_differences(images):
    model, images = moved(make()).double(), images.double()
    offset = model.positions.offset
    model(images).cost.mean().backward()
    place, step = (5, 1), 1e-6
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            offset[place] += sign * step
            values.append(model(images).cost.mean())
            offset[place] -= sign * step
    torch.testing.assert_close(
        offset.grad[place], (values[0] - values[1]) / (2 * step), rtol=1e-4, atol=1e-8
    )


def test_logits_alone_do_not_move_them(images):
    model = make()
    model(images).prediction.sum().backward()
    assert not model.positions.offset.grad.any()


def test_anchored_columns_have_no_gradient(images):
    torch.manual_seed(3)
    geometry = positions(START, anchors=[0, 31], spacing=0.5)
    model = moved(
        sheet(geometry, connect.nearest(geometry, 7), cost={"wiring": "distance"}, **SIZES)
    )
    model(images).cost.mean().backward()
    still = (model.positions.offset.grad == 0).all(1).nonzero().squeeze(1)
    assert still.tolist() == [0, 31]


def test_state_dict_brings_positions_and_lengths_back():
    model, other = moved(make()), make()
    assert "positions.offset" in model.state_dict()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.graph.distance, model.graph.distance)
    assert torch.equal(copy.deepcopy(model).graph.distance, model.graph.distance)


def test_another_graph_can_be_put_in():
    model = moved(make())
    wide = connect.nearest(START, 9)
    model.graph = wide
    assert model.graph.same_topology(wide)
    assert not torch.equal(model.graph.distance, wide.distance)


def test_compiled_as_one_graph(images):
    model = moved(make(depth=1, heads=1, channels=4)).eval()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(images).cost, model(images).cost)


def test_double(images):
    model = moved(make()).eval()
    single = model(images).cost
    double = model.double()(images.double()).cost
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, rtol=1e-4, atol=1e-6)


def test_positions_for_another_number_of_columns():
    model = make()
    with pytest.raises(ValueError, match="must place 32 columns"):
        Columnformer(
            model.graph,
            model.embed,
            model.columns[0],
            model.readout,
            depth=2,
            positions=LearnedPositions(grid.sheet(3, 3)),
        )


def test_stages_do_not_learn_positions():
    sheets = (grid.sheet(4, 4), positions(grid.sheet(2, 2), spacing=0.5))
    with pytest.raises(ValueError, match="does not learn positions"):
        staged(sheets, image_size=4, in_channels=1, num_classes=2, depths=(1, 1), channels=4)
