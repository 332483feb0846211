"""Every rule on graphs at the edge of what a graph can be: it works, or says why it does not."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from graphcolumns import connect
from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import edge_keys
from graphcolumns.nn import ColumnConv
from graphcolumns.plasticity import Constraints, Plasticity, presets, samplers
from graphcolumns.plasticity.candidates.proposals import Everything, Mixture
from graphcolumns.plasticity.probe.evidence import Probe
from tests.plasticity.support.learners import LOSSES, SHEET, batch, descend, optimizer_of
from tests.plasticity.support.nets import Answer, ConvNet


class Bipartite(nn.Module):
    """Sixteen columns listen to the first twelve pixels."""

    def __init__(self, graph: ColumnGraph) -> None:
        super().__init__()
        self.graph = graph
        sizes = graph.num_sources, graph.num_columns
        self.conv = ColumnConv((1, 1), 4, sizes, heads=2, concat=False, edge_bias=graph)

    def forward(self, images):
        x = images.flatten(1)[..., None]
        return Answer(self.conv((x[:, : self.graph.num_sources], x), self.graph).mean(1))

    def rewired(self, graph):
        self.graph = graph


def edges(pairs: list[tuple[int, int]], sources: int = 16, measured: bool = True) -> ColumnGraph:
    index = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).t()
    distance = SHEET.distance(index[1], index[0]) if measured else None
    return ColumnGraph.from_edge_index(index, 16, sources, distance)


GRAPHS = {
    "complete": connect.complete(SHEET),
    "complete without self-edges": connect.complete(SHEET, self_loops=False),
    "half hear nobody": edges([(j, j % 8) for j in range(16)]),
    "no edges": edges([]),
    "bipartite": edges([(j % 12, j // 3) for j in range(48)], 12, measured=False),
}
REFUSED = {
    ("bipartite", "chts"): "two hops need a graph within one sheet",
    ("bipartite", "homeostatic"): "homeostasis compares columns with columns",
    ("bipartite", "wiring"): "needs the places of columns",
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_rule_works_or_says_why(name, rule, request):
    called = request.node.callspec.id.removeprefix(f"{name}-").removesuffix(f"-{name}")
    graph = GRAPHS[name]
    if rule.choose is None and int(graph.in_degree.min()) == 0:
        rule = replace(rule, constraints=Constraints())
    if rule.choose is not None:
        rule = replace(rule, constraints=Constraints())
    torch.manual_seed(0)
    bipartite = name == "bipartite"
    model = Bipartite(graph) if bipartite else ConvNet(graph)
    optimizer = optimizer_of(model)
    changing = Plasticity(rule, None if bipartite else SHEET)
    expected = REFUSED.get((name, called))
    for number in (1, 2):
        samples = batch(rule, number)
        if expected is not None:
            with pytest.raises(ValueError, match=expected):
                changing.dry_run(model, 2, *samples, LOSSES)
            assert model.graph is graph
            return
        changing.dry_run(model, 2 * number, *samples, LOSSES)
        if graph.num_edges:
            descend(model, optimizer, 1)
        changing.update(model, optimizer, 2 * number, *samples, LOSSES)
        assert (edge_keys(model.graph).diff() > 0).all()
        assert changing.age.shape == (model.graph.num_edges,)
    before = graph.num_edges
    if name.startswith("complete") and rule.budget is None and rule.choose is None:
        assert model.graph.same_topology(graph)  # nothing else is there to be born
    if rule.budget is None and rule.choose is None:
        assert model.graph.num_edges == before


def test_columns_that_hear_nobody_are_refused_where_each_must_hear_somebody():
    changing = Plasticity(presets.rigl(8, samples=8, check_samples=0), SHEET)
    with pytest.raises(ValueError, match=r"in-edges of column 8 must be at least 1 from the start"):
        changing.start(ConvNet(GRAPHS["half hear nobody"]))


def test_a_complete_graph_may_be_the_start_of_a_pruning_schedule():
    """All 256 edges, self-edges among them, are within a budget of 16 in-edges per column."""
    rule = presets.gmp(8, every=2, stop=1.0, degree=2, initial=16, samples=8, check_samples=0)
    model = ConvNet(connect.complete(SHEET))
    changing = Plasticity(rule, SHEET)
    sizes = []
    for step in (2, 4, 6, 8):
        changing.update(model, None, step, *batch(rule, step), LOSSES)
        sizes.append(model.graph.num_edges)
    assert (sizes[0], sizes[-1]) == (256, 32)


def test_a_large_bipartite_graph_is_looked_at_without_two_hops(monkeypatch):
    monkeypatch.setattr(samplers, "SMALL", 10)
    samples = batch(presets.set(8, samples=8, check_samples=0))
    for name, parts in (("bipartite", 2), ("complete", 3)):
        graph = GRAPHS[name]
        model = Bipartite(graph) if name == "bipartite" else ConvNet(graph)
        proposal = samplers.thorough(Probe(model, None, *samples, LOSSES).edges())
        assert isinstance(proposal, Mixture)
        assert len(proposal.parts) == parts
    monkeypatch.setattr(samplers, "SMALL", 256)
    assert isinstance(samplers.thorough(Probe(model, None, *samples, LOSSES).edges()), Everything)


def test_lengths_are_not_measured_from_columns_to_sources_of_another_place():
    probe = Probe(Bipartite(GRAPHS["bipartite"]), SHEET, torch.zeros(2, 1), torch.zeros(2), LOSSES)
    with pytest.raises(ValueError, match="must place 12 columns"):
        _ = probe.edges().distance
