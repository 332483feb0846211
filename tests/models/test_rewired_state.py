"""A rewired model saved by `torch.save(model.state_dict())` and loaded into a new one."""

import copy
import io
import pickle
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from geometries import grid
from graphcolumns import ColumnGraph, connect
from graphcolumns.models.columnformer import Columnformer, sheet
from graphcolumns.plasticity import carry, edge_parameters, rewire
from tests.models.support.variants import GEOMETRY, VARIANTS, make, make_staged
from tests.plasticity.support.nets import ConvNet

IMAGES = torch.randn(5, 1, 4, 4)
CHANGES = {"as many edges": 3, "fewer edges": 1, "more edges": 9}


def change(graph: ColumnGraph, born: int = 3, died: int = 3):
    """Some edges die, as many edges as asked for are born."""
    there = torch.zeros(graph.num_columns, graph.num_columns, dtype=torch.bool)
    there[graph.target.long(), graph.source.long()] = True
    free = (~there).nonzero()
    targets, sources = free[torch.randperm(len(free))[:born]].T
    dead = torch.randperm(graph.num_edges)[:died]
    return rewire(graph, dead, (targets, sources), geometry=GEOMETRY)


def rewired(born: int = 3, **options) -> Columnformer:
    model = make(**options).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    carry(change(model.graph, born), model)
    return model


def through_a_file(state: dict[str, Tensor]) -> dict[str, Tensor]:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def same(one: nn.Module, other: nn.Module) -> bool:
    return torch.equal(one(IMAGES).prediction, other(IMAGES).prediction)


@pytest.mark.parametrize("born", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_it_answers_as_the_saved_one(options, born):
    model, fresh = rewired(born, **options), make(**options).eval()
    keys = fresh.load_state_dict(through_a_file(model.state_dict()))
    assert not keys.missing_keys
    assert not keys.unexpected_keys
    assert same(fresh, model)
    assert fresh.graph.same_topology(model.graph)
    assert torch.equal(fresh.graph.distance, model.graph.distance)
    output = fresh(IMAGES)
    output.prediction.sum().backward()
    assert all(p.grad.shape == p.shape for p in fresh.parameters() if p.grad is not None)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("assign", [True, False])
@pytest.mark.parametrize("born", CHANGES.values(), ids=CHANGES)
def test_however_it_is_loaded(born, assign, strict):
    model, fresh = (
        rewired(born, attention={"edge_bias": "both"}),
        make(attention={"edge_bias": "both"}).eval(),
    )
    fresh.load_state_dict(through_a_file(model.state_dict()), strict=strict, assign=assign)
    assert same(fresh, model)


WRAPPERS = {
    "sequential": nn.Sequential,
    "averaged": AveragedModel,
    "parallel": lambda model: nn.DataParallel(model),
    "compiled": lambda model: torch.compile(model, backend="eager"),
    "nested": lambda model: nn.ModuleDict({"a": nn.ModuleList([model])}),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_inside_another_module(wrap):
    model, fresh = rewired(9), make().eval()
    wrapped = wrap(fresh)
    wrapped.load_state_dict(through_a_file(wrap(model).state_dict()))
    inner = [part for part in wrapped.modules() if isinstance(part, Columnformer)]
    assert len(inner) == 1
    assert same(inner[0], model)


def test_twice_rewired_and_back_again():
    """A model takes the edges of any state, also those that it had before."""
    model = rewired(9)
    first = through_a_file(model.state_dict())
    answer = model(IMAGES).prediction
    carry(change(model.graph, 0, 5), model)
    later = through_a_file(model.state_dict())
    model.load_state_dict(first)
    assert torch.equal(model(IMAGES).prediction, answer)
    twin = make().eval()
    twin.load_state_dict(later)
    assert twin.graph.num_edges == model.graph.num_edges - 5
    carry(change(twin.graph), twin)
    twin(IMAGES).prediction.sum().backward()


def test_as_safetensors(tmp_path):
    model, fresh = rewired(9), make().eval()
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    fresh.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert same(fresh, model)


def test_copies_pickles_and_other_precisions_know_their_edges():
    model = rewired(9)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert same(twin, model)
        carry(change(twin.graph, 2), twin)
        fresh = make().eval()
        fresh.load_state_dict(twin.state_dict())
        assert same(fresh, twin)
        twin.load_state_dict(model.state_dict())
        assert same(twin, model)
    double, fresh = copy.deepcopy(model).double(), make().double().eval()
    fresh.load_state_dict(double.state_dict())
    inputs = IMAGES.double()
    assert torch.equal(fresh(inputs).prediction, double(inputs).prediction)
    assert fresh.graph.distance.dtype == torch.float32


def test_the_cost_of_wire_stays_in_its_unit():
    """D_0 is that of the first edges of the saved model, not of those it is loaded into."""
    model = rewired(9, cost={"wiring": "distance"})
    options = {"image_size": 4, "in_channels": 1, "num_classes": 5, "channels": 8, "depth": 3}
    other = sheet(
        GEOMETRY, connect.nearest(GEOMETRY, 3), heads=2, cost={"wiring": "distance"}, **options
    )
    other.eval().load_state_dict(model.state_dict())
    assert other.wiring_norm == model.wiring_norm
    assert torch.equal(other(IMAGES).cost, model(IMAGES).cost)


def test_a_reset_starts_from_the_lengths_of_the_loaded_edges():
    model, fresh = rewired(9, attention={"local_sigma": 1.0}), make(attention={"local_sigma": 1.0})
    fresh.load_state_dict(model.state_dict())
    for each in (model, fresh):
        each.columns[0].attention.edge_bias.reset_parameters()
    assert torch.equal(edge_parameters(fresh)[0], edge_parameters(model)[0])


def test_learned_positions():
    geometry = grid.sheet(4, 4)
    options = {"image_size": 4, "in_channels": 1, "num_classes": 3, "channels": 8, "depth": 2}
    moving = replace(geometry, learnable=True)

    def build() -> Columnformer:
        return sheet(
            moving, connect.nearest(moving, 5), cost={"wiring": "distance"}, **options
        ).eval()

    model, fresh = build(), build()
    nn.init.normal_(model.positions.offset, std=0.1)
    graph = model.graph
    carry(rewire(graph, torch.tensor([3, 9]), (torch.tensor([0]), torch.tensor([15])),
                 geometry=model.positions.geometry()), model)  # fmt: skip
    fresh.load_state_dict(through_a_file(model.state_dict()))
    assert torch.equal(fresh(IMAGES).cost, model(IMAGES).cost)
    assert torch.equal(fresh.graph.distance, model.graph.distance)


def test_a_stage_that_was_rewired():
    model, fresh = make_staged().eval(), make_staged().eval()
    first, second = model.stages[0], model.stages[1]
    first.graph = connect.nearest(grid.sheet(8, 8), 5)
    below, here = grid.sheet(8, 8), grid.sheet(4, 4, spacing=2.0)
    second.pool_graph = connect.bipartite(below, here, 4)
    images = torch.randn(2, 1, 8, 8)
    fresh.load_state_dict(through_a_file(model.state_dict()))
    assert torch.equal(fresh(images).prediction, model(images).prediction)
    assert fresh.stages[1].pool_graph.same_topology(second.pool_graph)


def test_a_model_of_other_columns_is_refused():
    fresh = make()
    small = sheet(grid.sheet(3, 3), connect.nearest(grid.sheet(3, 3), 3), image_size=3,
                  in_channels=1, num_classes=5, channels=8, depth=3, heads=2)  # fmt: skip
    match = r"graph: .*same columns. Got num_columns is 9 there and 32 in the model.*rescale"
    with pytest.raises(RuntimeError, match=match):
        fresh.load_state_dict(small.state_dict())


def test_the_state_of_another_model_is_refused():
    with pytest.raises(RuntimeError, match="size mismatch"):
        make().load_state_dict(make_staged().state_dict(), strict=False)


def test_a_changed_topology_is_refused():
    state = rewired().state_dict()
    forged = state | {"graph.source": state["graph.source"] + 32}
    with pytest.raises(RuntimeError, match=r"graph: source ids must lie in \[0, 32\)"):
        make().load_state_dict(forged)
    halved = {name: value.half() for name, value in state.items()}
    with pytest.raises(RuntimeError, match="graph: rowptr must be int64"):
        make().load_state_dict(halved)
    state.pop("graph.source")
    with pytest.raises(RuntimeError, match=r"must be whole.*lacks source"):
        make().load_state_dict(state)


def test_averaging_the_entries_of_a_state_dict_leaves_the_graph_alone():
    """As written by hand: every entry is replaced by a mean, in place."""
    model = rewired()
    average = copy.deepcopy(model)
    graph = copy.deepcopy(average.graph)
    for mine, theirs in zip(
        average.state_dict().values(), model.state_dict().values(), strict=True
    ):
        mine.copy_(0.9 * mine + 0.1 * theirs)
    assert average.graph.same_topology(graph)
    average.graph.validate()
    assert torch.equal(average.graph.source, graph.source)


def test_a_state_dict_of_an_earlier_version_is_loaded_with_a_warning():
    state = make().state_dict()
    old = {name: v for name, v in state.items() if not name.endswith(("edges_of", "wiring_norm"))}
    old = {name: v for name, v in old.items() if not name.startswith("graph.")}
    assert old.keys() == dict(make().named_parameters()).keys()
    with pytest.warns(UserWarning, match=r"edge_bias\.common, and does not say of which edges"):
        keys = make().load_state_dict(old)
    assert not keys.missing_keys
    make(attention={"edge_bias": "none"}).load_state_dict(
        dict(make(attention={"edge_bias": "none"}).named_parameters())
    )
    wide = rewired(9)
    with pytest.warns(UserWarning, match="does not say"), pytest.raises(RuntimeError, match="size"):
        wide.load_state_dict(old)


def test_a_part_of_a_state_dict():
    """What is not in it keeps its value: edges that stay keep their scores."""
    model, fresh = rewired(9), make().eval()
    nn.init.normal_(edge_parameters(fresh)[0])
    before, graph = edge_parameters(fresh)[0].detach().clone(), fresh.graph
    part = {name: v for name, v in model.state_dict().items() if name.startswith("graph.")}
    fresh.load_state_dict(part, strict=False)
    scores = dict(zip(zip(*graph.edge_index.tolist(), strict=True), before.tolist(), strict=True))
    ends = zip(*fresh.graph.edge_index.tolist(), strict=True)
    expected = [scores.get(pair, 0.0) for pair in ends]
    assert edge_parameters(fresh)[0].tolist() == expected
    assert fresh.graph.same_topology(model.graph)


def test_layers_of_a_model_of_ones_own_take_their_edges_or_refuse():
    """A model of ColumnConv layers that keeps its graph itself and does not know of any of this."""
    graph = connect.nearest(grid.sheet(4, 4), 3)
    model, fresh = ConvNet(graph).eval(), ConvNet(graph).eval()
    step = rewire(graph, torch.tensor([3, 9]), (torch.tensor([0]), torch.tensor([15])),
                  geometry=grid.sheet(4, 4))  # fmt: skip
    carry(step, model)
    with pytest.raises(RuntimeError, match=r"Unexpected key.*graph\.rowptr"):
        fresh.load_state_dict(model.state_dict())
    fresh.load_state_dict(model.state_dict(), strict=False)
    with pytest.raises(ValueError, match="edge_bias holds one score per edge"):
        fresh(IMAGES)  # its own graph is the old one
    fresh.rewired(fresh.first.topology)
    assert torch.equal(fresh(IMAGES).prediction, model(IMAGES).prediction)
