"""The graphs of every stage are pruned and regrown by a rule, and the run is resumed."""

from functools import partial

import pytest
import torch

from geometries import grid
from graphcolumns import checkpoint, connect
from graphcolumns.data import Dataset
from graphcolumns.models.staged_columnformer import StagedColumnformer, staged
from graphcolumns.nn.protocols import graphs_of
from graphcolumns.plasticity import Plasticity, presets
from graphcolumns.training import train

BELOW, ABOVE = grid.sheet(4, 4), grid.sheet(2, 2, spacing=2.0)
PLACES = {"stage0": BELOW, "pool1": (ABOVE, BELOW), "stage1": ABOVE}
NAMES = list(PLACES)


def small(seed: int = 0) -> StagedColumnformer:
    torch.manual_seed(seed)
    return staged(
        [BELOW, ABOVE],
        [connect.nearest(BELOW, degree=4), connect.nearest(ABOVE, degree=2)],
        [connect.bipartite(BELOW, ABOVE, 5)],
        **{"image_size": 4, "in_channels": 1, "num_classes": 3, "channels": 8, "heads": 2},
        **{"depths": (1, 2), "experts": (1, 1)},
        weights={"hidden": 8},
        cost={"wiring": "distance"},
    )


def rows() -> Dataset:
    images = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(40) % 3
    return Dataset(images[:24], labels[:24], images[24:], labels[24:], num_classes=3)


def losses(output, labels):
    return torch.nn.functional.cross_entropy(output.prediction, labels.long(), reduction="none")


def run(path, rule: str, model: StagedColumnformer, **options):
    made = partial(
        getattr(presets, rule), every=2, samples=4, check_samples=4, fraction=0.5, stop=1.0
    )
    common = {"steps": 6, "batch_size": 8, "progress": False, "checkpoint_every": 3}
    rules = dict.fromkeys(NAMES, made)
    return train(model, rows(), run=path, plasticity=rules, geometry=PLACES, **common, **options)


def test_graphs_have_names_and_are_together_the_graph_of_the_model():
    model = small()
    assert list(graphs_of(model)) == NAMES
    assert model.graph.num_edges == sum(g.num_edges for g in model.graphs.values())
    dropped = connect.bipartite(BELOW, ABOVE, 3)
    model.rewired(dropped, "pool1")
    assert model.stages[1].pool_graph is dropped
    assert model.graph.num_edges == sum(g.num_edges for g in model.graphs.values())


@pytest.mark.parametrize("rule", ["set", "rigl"])
def test_every_graph_is_rewired_and_resumed(tmp_path, rule):
    before, model = small().graphs, small()
    summary = run(tmp_path / "whole", rule, model)
    for name, graph in model.graphs.items():
        assert graph.num_edges == before[name].num_edges
        events = checkpoint.read_history(tmp_path / "whole", graph=name)
        born = sum(event.born.shape[1] for event in events[1:])
        # The four columns above have few pairs that are no edges.
        assert born > 0, name
        last = checkpoint.replay(events, graph.num_columns, graph.num_sources)
        assert last.same_topology(graph)
        assert graph.distance is not None
    assert summary["pool1/edges"] == 20

    class Killed(BaseException):
        pass

    def kill(model, data):
        raise Killed

    scored = {"evaluate_every": 5, "evaluate_test": False}
    with pytest.raises(Killed):
        run(tmp_path / "killed", rule, small(), metrics={"kill": kill}, **scored)
    run(tmp_path / "killed", rule, small(seed=3), resume=True, **scored)
    for name in ("edges.jsonl", "checkpoint/model.safetensors", "checkpoint/topology.safetensors"):
        whole, killed = ((tmp_path / each / name).read_bytes() for each in ("whole", "killed"))
        assert whole == killed, name


def test_stages_with_the_same_edges_are_rewired_each_by_itself():
    graph = connect.nearest(BELOW, degree=4)
    torch.manual_seed(0)
    model = staged(
        [BELOW, BELOW, BELOW],
        [graph] * 3,
        [graph] * 2,
        **{"image_size": 4, "in_channels": 1, "num_classes": 3, "channels": 8, "heads": 2},
        **{"depths": (1, 2, 2), "experts": (1, 1, 1)},
        weights={"hidden": 8},
    )
    assert model.graph.num_edges == 5 * graph.num_edges
    data, name = rows(), "stage1"
    rule = presets.set(100, samples=4, check_samples=0, fraction=0.5)
    plasticity = Plasticity(rule, BELOW, graph=name)
    plasticity.update(
        model, None, 1, data.batch("train", torch.arange(4))[0], torch.zeros(4), losses
    )
    changed = [one for one, after in model.graphs.items() if not after.same_topology(graph)]
    assert changed == [name]
    assert model.graphs[name].name == name


def test_the_state_of_a_rewired_model_loads_into_a_new_one():
    model, other = small(), small(seed=1)
    model.rewired(connect.bipartite(BELOW, ABOVE, 3), "pool1")
    model.wiring_norm = 2.5
    other.load_state_dict(model.state_dict())
    assert other.graphs["pool1"].same_topology(model.graphs["pool1"])
    assert other.wiring_norm == 2.5
    images = torch.rand(2, 1, 4, 4)
    assert torch.equal(other(images).prediction, model(images).prediction)


def test_a_state_dict_with_all_edges_together_is_read():
    model = small()
    earlier = model.state_dict() | {"graph.rowptr": model.graph.rowptr}
    small(seed=1).load_state_dict(earlier)
