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
from graphcolumns.plasticity import EdgeAdamW, Plasticity, edge_parameters, presets
from graphcolumns.plasticity.probe.evidence import Probe

SHEET = grid.sheet(3, 4)
NEAR, FAR = connect.nearest(SHEET, degree=3), connect.nearest(SHEET, degree=5)


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

    def __init__(self) -> None:
        super().__init__()
        self.graphs = {"near": NEAR, "far": FAR}
        self.one = nn.Parameter(torch.randn(NEAR.num_edges))
        self.other = nn.Parameter(torch.randn(FAR.num_edges))
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


@pytest.mark.parametrize("name", ["near", "far"])
def test_weights_are_those_of_one_graph(name):
    model, (x, y) = Two(), batch()
    edges = Probe(model, SHEET, x, y, losses, name=name).edges()
    weight = getattr(model, name).weight
    assert torch.equal(edges.weight[:, 0], weight)
    [gradient] = torch.autograd.grad(losses(model(x), y).mean(), weight)
    torch.testing.assert_close(edges.weight_gradient[:, 0], gradient)


@pytest.mark.parametrize("name", ["near", "far"])
@pytest.mark.parametrize("rule", ["set", "rigl"])
def test_one_graph_changes_and_the_other_stays(name, rule):
    model = Two()
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
    assert graph_of(model, kept) is {"near": NEAR, "far": FAR}[kept]
    assert weights[kept].shape == before[kept].shape
    assert adam.state[weights[name]]["exp_avg"].shape == weights[name].shape
    again = Two()
    again.load_state_dict(model.state_dict())
    x = batch()[0]
    assert torch.equal(again(x).prediction, model(x).prediction)
    losses(model(x), batch()[1]).sum().backward()
    adam.step()


@pytest.mark.parametrize(
    ("name", "changes", "stays"), [("near", "one", "other"), ("far", "other", "one")]
)
def test_tensors_of_one_module_know_their_graph(name, changes, stays):
    model = Own()
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


def test_graphs_with_the_same_edges_are_refused():
    rule = presets.set(100, samples=3, check_samples=0)
    with pytest.raises(ValueError, match=r"must have different edges.*Got 'near' and 'far'"):
        Plasticity(rule, SHEET).start(Two(NEAR, NEAR))


def test_a_state_goes_on_with_its_graph():
    rule = presets.set(100, samples=3, check_samples=0)
    state = Plasticity(rule, SHEET, graph="far").state_dict()
    with pytest.raises(ValueError, match=r"'far'. Got 'near'"):
        Plasticity(rule, SHEET, graph="near").load_state_dict(state)
