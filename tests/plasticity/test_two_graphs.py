"""A model with two graphs: each is rewired by itself, with what belongs to it."""

from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geometries import grid
from graphcolumns import ColumnGraph, connect, edge_linear
from graphcolumns.nn import EdgeLinear, keep_topology
from graphcolumns.nn.protocols import ModelOutput, graph_of
from graphcolumns.nn.recording import recording
from graphcolumns.plasticity import EdgeAdamW, Plasticity, edge_parameters, presets
from graphcolumns.plasticity.probe.evidence import Probe

SHEET = grid.sheet(3, 4)
NEAR, FAR = connect.nearest(SHEET, degree=3), connect.nearest(SHEET, degree=5)
EQUAL = NEAR.named("near"), NEAR.named("far")


class Two(nn.Module):
    """Two layers of the library, a graph each."""

    def __init__(self, near: ColumnGraph = NEAR, far: ColumnGraph = FAR) -> None:
        super().__init__()
        self.graphs = {"near": near, "far": far}
        self.near, self.far = EdgeLinear(near), EdgeLinear(far)
        self.read = nn.Linear(12, 3)
        keep_topology(self)

    def forward(self, inputs: Tensor) -> ModelOutput:
        x = inputs.T[..., None]
        x = torch.tanh(self.near(x, self.graphs["near"]))
        x = torch.tanh(self.far(x, self.graphs["far"]))
        return ModelOutput(self.read(x[..., 0].T))

    def rewired(self, graph: ColumnGraph, name: str) -> None:
        self.graphs[name] = graph


class Own(nn.Module):
    """Two tensors in one module, which says to which graph each belongs."""

    edge_tensors: ClassVar = {"one": "near", "other": "far"}

    def __init__(self, near: ColumnGraph = NEAR, far: ColumnGraph = FAR) -> None:
        super().__init__()
        self.graphs = {"near": near, "far": far}
        self.one = nn.Parameter(torch.randn(near.num_edges))
        self.other = nn.Parameter(torch.randn(far.num_edges))
        self.read = nn.Linear(12, 3)

    def forward(self, inputs: Tensor) -> ModelOutput:
        x = inputs.T[..., None]
        for name, weight in (("near", self.one), ("far", self.other)):
            x = torch.tanh(edge_linear(x, weight, self.graphs[name]))
        return ModelOutput(self.read(x[..., 0].T))

    rewired = Two.rewired


class Unsaid(Own):
    edge_tensors = ("one", "other")


def losses(output: ModelOutput, labels: Tensor) -> Tensor:
    return F.cross_entropy(output.prediction, labels, reduction="none")


def batch() -> tuple[Tensor, Tensor]:
    return torch.randn(5, 12), torch.randint(3, (5,))


@pytest.mark.parametrize("graphs", [(NEAR, FAR), EQUAL], ids=["different", "equal"])
@pytest.mark.parametrize("name", ["near", "far"])
def test_weights_are_those_of_one_graph(name, graphs):
    model, (x, y) = Two(*graphs), batch()
    edges = Probe(model, SHEET, x, y, losses, name=name).edges()
    weight = getattr(model, name).weight
    assert torch.equal(edges.weight[:, 0], weight)
    [gradient] = torch.autograd.grad(losses(model(x), y).mean(), weight)
    torch.testing.assert_close(edges.weight_gradient[:, 0], gradient)


@pytest.mark.parametrize("graphs", [(NEAR, FAR), EQUAL], ids=["different", "equal"])
@pytest.mark.parametrize("name", ["near", "far"])
@pytest.mark.parametrize("rule", ["set", "rigl"])
def test_one_graph_changes_and_the_other_stays(name, rule, graphs):
    model = Two(*graphs)
    kept = "far" if name == "near" else "near"
    weights = {each: getattr(model, each).weight for each in ("near", "far")}
    before = {each: weight.detach().clone() for each, weight in weights.items()}
    adam = EdgeAdamW([{"params": edge_parameters(model), "edges": True}], lr=0.1)
    made = getattr(presets, rule)(100, samples=3, check_samples=2)
    plasticity = Plasticity(made, SHEET, graph=name)
    losses(model(batch()[0]), batch()[1]).sum().backward()
    adam.step()
    update = plasticity.update(model, adam, 1, *batch(), losses)
    assert len(update.rewiring.born) > 0
    assert graph_of(model, name).same_topology(update.rewiring.graph)
    assert graph_of(model, kept) is dict(zip(("near", "far"), graphs, strict=True))[kept]
    assert weights[kept].shape == before[kept].shape
    assert adam.state[weights[name]]["exp_avg"].shape == weights[name].shape
    again = Two(*graphs)
    again.load_state_dict(model.state_dict())
    x = batch()[0]
    assert torch.equal(again(x).prediction, model(x).prediction)
    losses(model(x), batch()[1]).sum().backward()
    adam.step()


@pytest.mark.parametrize("graphs", [(NEAR, FAR), EQUAL], ids=["different", "equal"])
@pytest.mark.parametrize(
    ("name", "changes", "stays"), [("near", "one", "other"), ("far", "other", "one")]
)
def test_tensors_of_one_module_know_their_graph(name, changes, stays, graphs):
    model = Own(*graphs)
    before = {each: getattr(model, each).detach().clone() for each in ("one", "other")}
    rule = presets.set(100, samples=3, check_samples=0)
    update = Plasticity(rule, SHEET, graph=name).update(model, None, 1, *batch(), losses)
    alive = update.rewiring.origin >= 0
    carried = getattr(model, changes).detach()[alive]
    assert torch.equal(carried, before[changes][update.rewiring.origin[alive]])
    assert torch.equal(getattr(model, stays), before[stays])


def test_a_module_that_does_not_say_is_refused():
    rule = presets.set(100, samples=3, check_samples=0)
    with pytest.raises(ValueError, match=r"near, far, and Unsaid does not say to which one"):
        Plasticity(rule, SHEET, graph="far").dry_run(Unsaid(), 1, *batch(), losses)


def test_records_are_those_of_one_of_two_equal_graphs():
    model, (x, _) = Two(*EQUAL), batch()
    for name in ("near", "far"):
        with recording(model, model.graphs[name]) as records:
            model(x)
        assert [record.weight is getattr(model, name).weight for record in records] == [True]


def test_effects_of_edges_are_those_of_one_of_two_equal_graphs():
    model, other = Two(*EQUAL), Two(NEAR, FAR)
    other.near.load_state_dict(model.near.state_dict())
    with torch.no_grad():  # the second layer of both passes nothing on
        model.far.weight.zero_()
        other.far.weight.zero_()
    other.read.load_state_dict(model.read.state_dict())
    x, y = batch()
    mass, expected = (
        Probe(m, SHEET, x, y, losses, name="near").edges().mass for m in (model, other)
    )
    assert torch.equal(mass, expected)
    assert not Probe(model, SHEET, x, y, losses, name="far").edges().mass.any()


def test_a_named_state_loads_where_graphs_have_no_names_and_the_other_way_round():
    near, far = NEAR.named("near"), FAR.named("far")
    for saved, fresh in ((Two(near, far), Two()), (Two(), Two(near, far))):
        names = [graph.name for graph in fresh.graphs.values()]
        rule = presets.set(100, samples=3, check_samples=0)
        Plasticity(rule, SHEET, graph="far").update(saved, None, 1, *batch(), losses)
        fresh.load_state_dict(saved.state_dict())
        assert [graph.name for graph in fresh.graphs.values()] == names
        x = batch()[0]
        assert torch.equal(fresh(x).prediction, saved(x).prediction)


@pytest.mark.parametrize("graphs", [(NEAR, NEAR), (EQUAL[0], EQUAL[0])])
def test_graphs_with_the_same_edges_and_name_are_refused(graphs):
    rule = presets.set(100, samples=3, check_samples=0)
    with pytest.raises(ValueError, match=r"edges or in their names.*far = graph.named\('far'\)"):
        Plasticity(rule, SHEET).start(Two(*graphs))


def test_a_layer_on_the_edges_of_a_graph_under_another_name_is_refused():
    rule, model = presets.set(100, samples=3, check_samples=0), Two(*EQUAL)
    model.far = EdgeLinear(NEAR)
    with pytest.raises(ValueError, match=r"Got far \(EdgeLinear\).* build it on model.graphs"):
        Plasticity(rule, SHEET).start(model)


def test_a_state_goes_on_with_its_graph():
    rule = presets.set(100, samples=3, check_samples=0)
    state = Plasticity(rule, SHEET, graph="far").state_dict()
    with pytest.raises(ValueError, match=r"'far'. Got 'near'"):
        Plasticity(rule, SHEET, graph="near").load_state_dict(state)
