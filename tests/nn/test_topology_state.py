"""Values per edge know their edges: saved, loaded and used on those alone."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend

from geometries import grid
from graphcolumns import ColumnGraph, connect, edge_linear
from graphcolumns.nn import Column, ColumnAttention, ColumnConv, EdgeBias, keep_topology
from graphcolumns.plasticity import carry, rewire

SHEET = grid.sheet(4, 4)
GRAPH = connect.nearest(SHEET, 3)
OTHER = connect.random(SHEET, 3)  # as many edges
CHANGE = rewire(GRAPH, torch.tensor([3, 9]), (torch.tensor([0, 1]), torch.tensor([15, 14])),
                geometry=SHEET)  # fmt: skip
X = torch.randn(16, 2, 8)


class Circuit(nn.Module):
    """Signed edges, declared as the library asks; knows nothing of state dicts."""

    edge_tensors = ("weight", "trace")

    def __init__(self, graph: ColumnGraph) -> None:
        super().__init__()
        self.graph = graph
        self.weight = nn.Parameter(torch.randn(graph.num_edges))
        self.register_buffer("trace", torch.randn(graph.num_edges, 2))

    def rewired(self, graph: ColumnGraph) -> None:
        self.graph = graph

    def forward(self, x: Tensor) -> Tensor:
        return edge_linear(x, self.weight, self.graph)


class Kept(Circuit):
    """The same, and its state dict says of which edges it is."""

    def __init__(self, graph: ColumnGraph) -> None:
        super().__init__(graph)
        keep_topology(self)


class Around(nn.Module):
    """Keeps the graph; its part keeps the scores."""

    def __init__(self, graph: ColumnGraph) -> None:
        super().__init__()
        self.graph = graph
        bias = EdgeBias(graph, 2, per_head=True, std=1.0)
        self.column = Column(16, ColumnAttention(16, 8, 2, edge_bias=bias), 16)
        keep_topology(self)

    def rewired(self, graph: ColumnGraph) -> None:
        self.graph = graph

    def forward(self, x: Tensor) -> Tensor:
        return self.column(x, self.graph)[0]


@pytest.mark.parametrize("kind", [Kept, Around])
def test_a_model_of_ones_own_takes_the_edges_of_its_state(kind):
    model, fresh = kind(GRAPH), kind(GRAPH)
    carry(CHANGE, model)
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh(X), model(X))
    assert fresh.graph.same_topology(CHANGE.graph)
    wide = kind(connect.nearest(SHEET, 7))
    wide.load_state_dict(model.state_dict())
    assert torch.equal(wide(X), model(X))


def test_keeping_the_topology_twice_changes_nothing():
    model = Kept(GRAPH)
    keys = list(model.state_dict())
    keep_topology(keep := nn.Sequential(model))
    assert list(keep[0].state_dict()) == keys
    assert keys == [
        "weight", "trace", "graph.rowptr", "graph.source", "graph.distance", "graph.num_sources",
    ]  # fmt: skip


def test_a_model_that_was_rewired_cannot_be_loaded_without_its_edges():
    """A module that does not keep its topology starts to when it is rewired."""
    model, fresh = Circuit(GRAPH), Circuit(GRAPH)
    assert list(model.state_dict()) == ["weight", "trace"]
    carry(CHANGE, model)
    with pytest.raises(RuntimeError, match=r"Unexpected key.*graph\.rowptr"):
        fresh.load_state_dict(model.state_dict())
    keep_topology(fresh)
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh(X), model(X))
    assert torch.equal(fresh.trace, model.trace)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("edges", [OTHER, connect.nearest(SHEET, 5)], ids=["as many", "more"])
def test_scores_of_other_edges_are_refused_and_nothing_is_scrambled(edges, strict):
    bias, other = EdgeBias(GRAPH, std=1.0), EdgeBias(edges, std=1.0)
    before = bias.common.detach().clone()
    match = "values per edge must be loaded into a model of the same edges.*keep_topology"
    with pytest.raises(RuntimeError, match=match):
        bias.load_state_dict(other.state_dict(), strict=strict)
    assert torch.equal(bias.common, before)
    same = EdgeBias(ColumnGraph.from_edge_index(GRAPH.edge_index.flip(1), 16))
    same.load_state_dict(bias.state_dict())
    assert torch.equal(same.common, before)


@pytest.mark.parametrize("mode", ["attention", "selection", "mixing", "linear_mixing"])
def test_scores_are_used_on_their_edges_alone(mode):
    layer = ColumnAttention(16, 8, 2, mode, edge_bias=EdgeBias(GRAPH, std=1.0))
    layer(X, GRAPH)
    layer(X, GRAPH.remeasure(SHEET))
    layer(X, copy.deepcopy(GRAPH))
    for call in (layer, layer.edge_weights):
        with pytest.raises(ValueError, match="must be used on the edges that they belong to"):
            call(X, OTHER)
    carry(CHANGE, layer)
    layer(X, CHANGE.graph)
    with pytest.raises(ValueError, match="a model keeps the new graph in its method rewired"):
        layer(X, GRAPH)


def test_a_compiled_layer_is_not_compiled_again_for_other_edges():
    """Topologies are compared outside of what is compiled: swaps cost no compilation."""
    torch.compiler.reset()
    layer = ColumnAttention(16, 8, 2, edge_bias=EdgeBias(GRAPH, std=1.0))
    counter = CompileCounterWithBackend("eager")
    run = torch.compile(layer, fullgraph=True, backend=counter)
    first = run(X, GRAPH)[0]
    assert torch.equal(first, layer(X, GRAPH)[0])
    carry(CHANGE, layer)
    assert torch.equal(run(X, CHANGE.graph)[0], layer(X, CHANGE.graph)[0])
    assert counter.frame_count == 1


def test_column_conv_with_scores_takes_the_edges_of_its_state():
    conv, fresh = (ColumnConv(8, 4, 16, 2, edge_bias=GRAPH) for _ in range(2))
    nn.init.normal_(conv.edge_bias.per_head)
    carry(CHANGE, conv)
    keys = fresh.load_state_dict(conv.state_dict())
    assert not keys.missing_keys
    x = torch.randn(16, 8)
    with pytest.raises(ValueError, match="edge_bias holds one score per edge"):
        fresh(x, GRAPH)
    assert torch.equal(fresh(x, fresh.topology), conv(x, CHANGE.graph))
    plain = ColumnConv(8, 4, 16, 2)
    assert not [name for name in plain.state_dict() if "topology" in name]
    with pytest.raises(RuntimeError, match="Unexpected key"):
        plain.load_state_dict(conv.state_dict())


def test_two_graphs_in_one_module():
    """Each travels under its own name; values of one do not move with the other."""

    class Two(nn.Module):
        def __init__(self, graph: ColumnGraph) -> None:
            super().__init__()
            self._near, self.far = graph, OTHER
            self.bias = EdgeBias(graph, std=1.0)
            keep_topology(self)

        def rewired(self, graph: ColumnGraph) -> None:
            self._near = graph

    model, fresh = Two(GRAPH), Two(GRAPH)
    carry(CHANGE, model)
    assert {"near.source", "far.source", "bias.edges_of"} <= set(model.state_dict())
    fresh.load_state_dict(model.state_dict())
    assert fresh._near.same_topology(CHANGE.graph)
    assert fresh.far is OTHER
    assert torch.equal(fresh.bias.common, model.bias.common)


def test_tied_scores_are_moved_once():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.graph = GRAPH
            self.first, self.second = EdgeBias(GRAPH), EdgeBias(GRAPH)
            self.second.common = self.first.common
            keep_topology(self)

        def rewired(self, graph: ColumnGraph) -> None:
            self.graph = graph

    model, fresh = Tied(), Tied()
    nn.init.normal_(fresh.first.common)
    kept = fresh.first.common.detach()[CHANGE.origin.clamp(min=0)] * CHANGE.survived
    carry(CHANGE, model)
    part = {name: v for name, v in model.state_dict().items() if name.startswith("graph.")}
    fresh.load_state_dict(part, strict=False)
    assert torch.equal(fresh.first.common, kept)
    assert fresh.second.common is fresh.first.common


def test_on_the_meta_device():
    """Built without memory, then given the tensors of a state."""
    model = Around(GRAPH)
    carry(CHANGE, model)
    fresh = Around(GRAPH).to("meta")
    fresh.graph = fresh.graph.to("meta")
    fresh.load_state_dict(model.state_dict(), assign=True)
    assert torch.equal(fresh(X), model(X))
